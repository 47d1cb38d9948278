#include "format.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <unordered_map>

namespace kilograd::program {

namespace {

constexpr char magic[8] = {'k', 'g', 'p', 'r', 'o', 'g', 1, 0};

std::uint64_t hash_of(const char* bytes, std::size_t size) {
    std::uint64_t h = 0xcbf29ce484222325u;
    for (std::size_t k = 0; k < size; ++k) h = (h ^ static_cast<unsigned char>(bytes[k])) * 0x100000001b3u;
    return h;
}

template <class Number>
void put(std::string& out, Number value) {
    for (std::size_t k = 0; k < sizeof value; ++k) out.push_back(static_cast<char>(value >> (8 * k) & 0xff));
}
void write_name(std::string& out, std::string_view name) {
    out.push_back(static_cast<char>(name.size()));
    out += name;
}

class Reader {
  public:
    Reader(const char* bytes, std::size_t size) : at_(bytes), left_(size) {}

    template <class Number>
    Number number() {
        const char* from = take(sizeof(Number));
        Number value = 0;
        for (std::size_t k = 0; k < sizeof value; ++k)
            value |= static_cast<Number>(static_cast<unsigned char>(from[k])) << (8 * k);
        return value;
    }
    std::string_view name() {
        const std::size_t size = number<std::uint8_t>();
        return {take(size), size};
    }
    // A count of items of at least `each` bytes: refused before anything is allocated for it.
    std::uint32_t count(std::size_t each) {
        const auto n = number<std::uint32_t>();
        if (n > left_ / each) refuse("a count exceeds the file");
        return n;
    }
    std::size_t left() const { return left_; }

    [[noreturn]] static void refuse(const std::string& why) {
        throw std::invalid_argument("not a kilograd program, or a damaged one: " + why);
    }

  private:
    const char* take(std::size_t size) {
        if (size > left_) refuse("it ends too early");
        const char* here = at_;
        at_ += size;
        left_ -= size;
        return here;
    }
    const char* at_;
    std::size_t left_;
};

// The entry of a table by the name that comes next.
template <class Table>
auto named(const Table& table, Reader& in) {
    const std::string_view name = in.name();
    const auto found = table.find(name);
    if (found == table.end())
        Reader::refuse("it has the operation '" + std::string(name) + "', which this version does not know");
    return found->second;
}

}  // namespace

std::string serialise(const Saved& saved) {
    const Graph& graph = saved.graph;
    std::string out(magic, sizeof magic);
    const auto unused = std::count(graph.recorded.begin(), graph.recorded.end(), 0u);
    for (std::size_t n :
         {std::size_t{graph.n_inputs}, std::size_t{graph.n_parameters}, graph.nodes.size(), graph.terms.size(),
          graph.outputs.size(), graph.recorded.size() - static_cast<std::size_t>(unused), saved.shape.size()})
        put(out, static_cast<std::uint32_t>(n));
    for (const Node& node : graph.nodes) {
        write_name(out, info(node.code).name);
        put(out, node.a);
        put(out, node.b);
        put(out, std::bit_cast<std::uint64_t>(node.c));
    }
    for (const Term& term : graph.terms) {
        put(out, term.a);
        put(out, term.b);
    }
    for (std::uint32_t n : graph.outputs) put(out, n);
    for (std::size_t op = 0; op < graph.recorded.size(); ++op) {
        if (graph.recorded[op] == 0) continue;
        write_name(out, op_infos[op].name);
        put(out, graph.recorded[op]);
    }
    for (std::uint32_t extent : saved.shape) put(out, extent);
    for (double data : saved.parameters) put(out, std::bit_cast<std::uint64_t>(data));
    put(out, hash_of(out.data(), out.size()));
    return out;
}

Saved deserialise(const char* bytes, std::size_t size) {
    if (size < sizeof magic || std::memcmp(bytes, magic, 6) != 0) Reader::refuse("it begins otherwise");
    if (std::memcmp(bytes, magic, sizeof magic) != 0)
        throw std::invalid_argument("a kilograd program of another version; this one reads version 1");
    if (size < sizeof magic + 8) Reader::refuse("it ends too early");
    if (Reader(bytes + size - 8, 8).number<std::uint64_t>() != hash_of(bytes, size - 8))
        Reader::refuse("its checksum is wrong");
    Reader in(bytes + sizeof magic, size - sizeof magic - 8);

    std::unordered_map<std::string_view, Code> codes;
    for (std::size_t k = 0; k < code_count; ++k) codes.emplace(code_infos[k].name, static_cast<Code>(k));
    std::unordered_map<std::string_view, std::size_t> ops;
    for (std::size_t k = 0; k < op_count; ++k) ops.emplace(op_infos[k].name, k);

    Saved saved;
    Graph& graph = saved.graph;
    graph.n_inputs = in.number<std::uint32_t>();
    graph.n_parameters = in.count(8);
    const std::uint32_t nodes = in.count(17), terms = in.count(8), outputs = in.count(4), recorded = in.count(5);
    const std::uint32_t dimensions = in.count(4);
    graph.nodes.resize(nodes);
    for (Node& node : graph.nodes) {
        node.code = named(codes, in);
        node.a = in.number<std::uint32_t>();
        node.b = in.number<std::uint32_t>();
        node.c = std::bit_cast<double>(in.number<std::uint64_t>());
    }
    graph.terms.resize(terms);
    for (Term& term : graph.terms) {
        term.a = in.number<std::uint32_t>();
        term.b = in.number<std::uint32_t>();
    }
    graph.outputs.resize(outputs);
    for (std::uint32_t& n : graph.outputs) n = in.number<std::uint32_t>();
    graph.recorded.assign(op_count, 0);
    for (std::uint32_t k = 0; k < recorded; ++k) {
        std::uint32_t& count = graph.recorded[named(ops, in)];
        count = in.number<std::uint32_t>();
    }
    std::uint64_t product = 1;
    saved.shape.resize(dimensions);
    for (std::uint32_t& extent : saved.shape) {
        extent = in.number<std::uint32_t>();
        product *= extent;
        if (product == 0 || product > outputs) Reader::refuse("the shape does not fit the outputs");
    }
    if (product != outputs) Reader::refuse("the shape does not fit the outputs");
    saved.parameters.resize(graph.n_parameters);
    for (double& data : saved.parameters) data = std::bit_cast<double>(in.number<std::uint64_t>());
    if (in.left() != 0) Reader::refuse("bytes left over");
    validate(graph);
    return saved;
}

}  // namespace kilograd::program
