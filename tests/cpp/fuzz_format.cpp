// Fuzzer of program files: whatever the bytes, the outcome is a refusal or a program that runs.
//
// An input is what stands between the version and the checksum of a file, so that no mutation is wasted on those. What
// is accepted is written and read again, and run: by all instruction sets, with gradients, tangents and Hessians, on
// one row and several, and in two threads to the same bits.
//
// With Clang and -DKILOGRAD_FUZZERS=ON this is a libFuzzer target under ASan and UBSan:
//     build/tests/cpp/fuzz_format -max_total_time=3600 build/tests/cpp/corpus tests/cpp/corpus/format
// Otherwise the same function has a main() of its own, which runs the folders' files and mutates them at random:
//     build/tests/cpp/fuzz_format --seconds 3600 build/tests/cpp/corpus tests/cpp/corpus/format
// `--write FOLDER` makes seeds there: random programs over all operations.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "../../cpp/program/format.hpp"
#include "../../cpp/program/kernels/isa.hpp"
#include "../../cpp/program/program.hpp"
#include "random_graph.hpp"
#include "runs.hpp"

using namespace kilograd::program;

namespace {

constexpr std::size_t head = 8, tail = 8;  // magic and version; checksum

// The head that this version writes.
const std::string& head_of_files() {
    static const std::string bytes = [] {
        Saved saved;
        saved.graph.nodes.resize(1);
        saved.graph.outputs.assign(1, 0);
        return serialise(saved).substr(0, head);
    }();
    return bytes;
}

std::string file_of(const char* body, std::size_t size) {
    std::string file = head_of_files() + std::string(body, size);
    std::uint64_t h = 0xcbf29ce484222325u;
    for (char byte : file) h = (h ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
    for (std::size_t k = 0; k < tail; ++k) file.push_back(static_cast<char>(h >> (8 * k) & 0xff));
    return file;
}

void require(bool condition, const char* what) {
    if (condition) return;
    std::fprintf(stderr, "fuzz_format: %s\n", what);
    std::abort();
}

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
}

void run_program(const Program& p, const std::vector<double>& parameters, const Kernels& kernels, std::size_t rows) {
    std::vector<double> x(rows * p.n_inputs() + 1), values(rows * p.n_outputs() + 1), dx(x.size());
    for (std::size_t k = 0; k < x.size(); ++k) x[k] = 0.25 * static_cast<double>(k % 13) - 1.0;
    std::vector<double> dp(p.n_parameters() + 1), tangents(x.size(), 0.5), value_tangents(values.size());
    Request q;
    q.x = x.data();
    q.row_stride = p.n_inputs();
    q.rows = rows;
    q.parameters = parameters.data();
    q.values = values.data();
    q.dx = dx.data();
    q.dp = dp.data();
    try {
        p.run(q, kernels);
    } catch (const DomainError&) {
    }
    q.check = false;
    p.run(q, kernels);
    const std::vector<double> once[] = {values, dx, dp};
    q.threads = 2;
    p.run(q, kernels);
    require(same_bits(once[0], values) && same_bits(once[1], dx) && same_bits(once[2], dp),
            "threads change the result");
    q.reduce = Reduce::Mean;
    p.run(q, kernels);
    q.reduce = Reduce::None;
    q.tangents = tangents.data();
    q.value_tangents = value_tangents.data();
    q.dp = nullptr;
    q.dx = nullptr;
    q.dx_tangents = dx.data();
    p.run(q, kernels);
    Request h;
    h.x = x.data();
    h.row_stride = p.n_inputs();
    h.rows = rows;
    h.parameters = parameters.data();
    h.promoted = true;
    h.check = false;
    const std::size_t columns = p.n_inputs() + p.n_parameters();
    std::vector<double> square(rows * columns * columns + 1);
    testing::whole_hessian(p, h, square.data(), kernels);
    testing::swept_hessian(p, h, square.data(), kernels);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string file = file_of(reinterpret_cast<const char*>(data), size);
    Saved saved;
    try {
        saved = deserialise(file.data(), file.size());
    } catch (const std::invalid_argument&) {
        return 0;
    }
    require(serialise(deserialise(serialise(saved).data(), serialise(saved).size())) == serialise(saved),
            "what is written is not what is read");
    if (saved.graph.n_inputs > 40 || saved.graph.n_parameters > 40 || saved.graph.nodes.size() > 2000) return 0;
    std::vector<double> parameters = saved.parameters;
    parameters.push_back(0.0);
    const Program p(std::move(saved.graph));
    for (const Kernels* kernels : available_kernels())
        for (std::size_t rows : {1, 9}) run_program(p, parameters, *kernels, rows);
    require(p.bytes() < (std::size_t{1} << 26), "schedules are out of proportion");
    return 0;
}

namespace {

void write_seeds(const std::filesystem::path& folder) {
    std::filesystem::create_directories(folder);
    for (unsigned seed = 0; seed < 24; ++seed) {
        const testing::Case c = testing::random_case(seed, 1 + seed % 4, seed % 3, 3 + seed * 2, 1 + seed % 3, 4);
        Saved saved{optimise(c.recording), {static_cast<std::uint32_t>(c.recording.outputs.size())}, c.p};
        const std::string file = serialise(saved);
        std::ofstream out(folder / ("seed" + std::to_string(seed)), std::ios::binary);
        out.write(file.data() + head, static_cast<std::streamsize>(file.size() - head - tail));
    }
}

}  // namespace

#ifdef KILOGRAD_LIBFUZZER

extern "C" int LLVMFuzzerInitialize(int* count, char*** arguments) {
    if (*count == 3 && std::string((*arguments)[1]) == "--write") {
        write_seeds((*arguments)[2]);
        std::exit(0);
    }
    return 0;
}

#else

namespace {

std::string mutated(std::mt19937_64& g, std::string body, const std::string& other) {
    const auto at = [&](std::size_t size) { return static_cast<std::size_t>(g() % (size + 1)); };
    for (std::size_t changes = 1 + g() % 4; changes-- > 0 && !body.empty();) {
        const std::size_t k = at(body.size() - 1), length = std::min<std::size_t>(1 + g() % 32, body.size() - k);
        switch (g() % 6) {
            case 0:
                body[k] = static_cast<char>(g());
                break;
            case 1:
                body[k] = static_cast<char>(g() % 8);
                break;
            case 2:
                body.erase(k, length);
                break;
            case 3:
                body.insert(k, body.substr(at(body.size() - 1), length));
                break;
            case 4:
                for (std::size_t n = 0; n < std::min<std::size_t>(4, length); ++n) body[k + n] = static_cast<char>(-1);
                break;
            default:
                body.replace(k, length, other.substr(std::min(k, other.size()), length));
        }
    }
    return body;
}

}  // namespace

int main(int count, char** arguments) {
    double seconds = 0.0;
    std::vector<std::string> bodies;
    for (int k = 1; k < count; ++k) {
        const std::string argument = arguments[k];
        if (argument == "--write" && k + 1 < count) {
            write_seeds(arguments[k + 1]);
            return 0;
        }
        if (argument == "--seconds" && k + 1 < count) {
            seconds = std::atof(arguments[++k]);
            continue;
        }
        for (const auto& entry : std::filesystem::directory_iterator(argument)) {
            std::ifstream in(entry.path(), std::ios::binary);
            bodies.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
        }
    }
    const auto run = [](const std::string& body) {
        LLVMFuzzerTestOneInput(reinterpret_cast<const unsigned char*>(body.data()), body.size());
    };
    require(!bodies.empty(), "no inputs");
    std::sort(bodies.begin(), bodies.end());
    for (const std::string& body : bodies) run(body);
    std::mt19937_64 g(1);
    std::size_t tried = bodies.size();
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    for (; std::chrono::steady_clock::now() < end; ++tried)
        run(mutated(g, bodies[g() % bodies.size()], bodies[g() % bodies.size()]));
    std::printf("%zu programs\n", tried);
    return 0;
}

#endif
