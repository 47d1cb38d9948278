// Machine code against the kernels, to the last bit; its instructions against a disassembler; and a system that
// refuses.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>

#include "../../cpp/program/machine/aarch64/assembler.hpp"
#include "../../cpp/program/machine/row_machine.hpp"
#include "../../cpp/program/machine/x86_64/assembler.hpp"
#include "check.hpp"
#include "runs.hpp"

#if defined(__linux__)
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#endif

using namespace kilograd;
using namespace kilograd::program;
using namespace kilograd::program::machine;
using namespace kilograd::program::testing;

namespace {

bool same(double a, double b) {
    return std::isnan(a) ? std::isnan(b) : std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

// Numbers as programs get them, and as nobody expects them.
double draw(std::mt19937_64& g, bool wild) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    static constexpr double edges[] = {0.0,   -0.0,   1.0,    -1.0,      infinity,  -infinity, nan, 5e-324,
                                       1e300, 1e-300, -1e200, 0x1p-1024, 0x1p-1025, 2.0,       0.5, -3.0};
    if (wild && g() % 3 == 0) return edges[g() % std::size(edges)];
    return std::uniform_real_distribution<double>(-2.0, 2.0)(g);
}

// One row, or a vector of rows, by the kernels and by machine code.
void compare(const Program& p, const Kernels& kernels, Wants wants, bool several, std::mt19937_64& g, bool wild) {
    const RowSchedule& schedule = p.row(wants);
    const RowMachine code(p.graph(), schedule, wants, kernels, several);
    if (!CHECK(code.usable())) return;
    const std::size_t width = several ? static_cast<std::size_t>(kernels.width) : 1, size = schedule.size();
    const std::size_t extra = several ? 0 : schedule.adjoint_room() - size;
    std::vector<double> by_kernels((2 * size + extra) * width, 0.0);
    schedule.load_constants(width, by_kernels.data());
    for (const auto* leaves : {&schedule.inputs(), &schedule.parameters()})
        for (const RowSchedule::Leaf& leaf : *leaves)
            for (std::size_t r = 0; r < width; ++r) by_kernels[leaf.position * width + r] = draw(g, wild);
    std::vector<double> by_code = by_kernels;

    const bool suspects = several ? kernels.rows_forward(schedule.code(), by_kernels.data())
                                  : kernels.row_forward(schedule.code(), by_kernels.data());
    CHECK(code.forward(by_code.data()) == suspects);
    // Which sign a NaN has is chance, and copysign() shows it.
    const auto& nodes = p.graph().nodes;
    if (std::any_of(nodes.begin(), nodes.end(), [](const Node& node) { return node.code == Code::copysign; }) &&
        std::any_of(by_kernels.begin(), by_kernels.begin() + static_cast<std::ptrdiff_t>(size * width),
                    [](double x) { return std::isnan(x); }))
        return;
    for (std::uint32_t output : p.graph().outputs)
        for (std::size_t r = 0; r < width; ++r) {
            const std::size_t at = schedule.position(output) * width + r;
            CHECK(same(by_code[at], by_kernels[at]));
        }
    if (!wants.any()) return;

    const std::size_t start = size * width;
    double *d = by_kernels.data() + start, *code_d = by_code.data() + start;
    std::fill_n(d, size * width, 0.0);
    std::fill_n(code_d, size * width, 77.0);  // it reads the outputs' alone
    for (std::uint32_t output : p.graph().outputs) std::fill_n(code_d + schedule.position(output) * width, width, 0.0);
    for (std::uint32_t output : p.graph().outputs)
        for (std::size_t r = 0; r < width; ++r) {
            const double weight = draw(g, wild);
            d[schedule.position(output) * width + r] += weight;
            code_d[schedule.position(output) * width + r] += weight;
        }
    if (several)
        kernels.rows_reverse(schedule.code(), by_kernels.data(), d);
    else
        kernels.row_reverse(schedule.code(), by_kernels.data(), d, d + schedule.locals_at());
    code.reverse(by_code.data(), code_d);
    const auto check = [&](const std::vector<RowSchedule::Leaf>& leaves) {
        for (const RowSchedule::Leaf& leaf : leaves)
            for (std::size_t r = 0; r < width; ++r)
                CHECK(same(code_d[leaf.position * width + r], d[leaf.position * width + r] + 0.0));
    };
    if (wants.inputs) check(schedule.inputs());
    if (wants.parameters) check(schedule.parameters());
}

// A recording of the operations that are instructions, above all; a tame one is finite.
Recording arithmetic(std::mt19937_64& g, std::size_t ops, bool tame = false) {
    Recording r;
    std::vector<std::uint32_t> pool;
    for (int k = 0; k < 3; ++k) r.inputs.push_back(r.add(Op::leaf, 0, 0, 0.0));
    for (int k = 0; k < 2; ++k) r.parameters.push_back(r.add(Op::leaf, 0, 0, 0.0));
    for (double constant : {0.5, -1.0, 3.0}) r.add(Op::leaf, 0, 0, constant);
    const std::vector<Op> others = tame ? std::vector<Op>{Op::relu, Op::tanh, Op::sin}
                                        : std::vector<Op>{Op::powc, Op::relu, Op::exp,  Op::tanh,   Op::sin,
                                                          Op::pow,  Op::gate, Op::less, Op::maximum};
    for (std::size_t k = 0; k < ops; ++k) {
        const Op op = g() % (tame ? 3 : 8) == 0 ? others[g() % others.size()] : g() % 2 ? Op::add : Op::mul;
        const auto size = static_cast<std::uint32_t>(r.size()), reach = std::min<std::uint32_t>(size, 12);
        const std::uint32_t a = size - 1 - static_cast<std::uint32_t>(g() % reach),
                            b = static_cast<std::uint32_t>(g() % size);
        const double exponents[] = {-1.0, 2.0, 3.0, 0.5};
        r.add(op, a, kilograd::info(op).arity == kilograd::Arity::Binary ? b : 0,
              op == Op::powc ? exponents[g() % 4] : 0.0);
    }
    for (std::uint32_t k = 0; k < 1 + g() % 3; ++k)
        r.outputs.push_back(static_cast<std::uint32_t>(r.size() - 1 - g() % (ops / 4 + 1)));
    return r;
}

// Long enough for machine code.
Case long_case(std::size_t rows) {
    std::mt19937_64 g(1);
    Case c;
    c.recording = arithmetic(g, 400, true);
    c.rows = rows;
    c.x.resize(rows * c.recording.inputs.size());
    c.p.resize(c.recording.parameters.size());
    for (auto* numbers : {&c.x, &c.p})
        for (double& x : *numbers) x = std::uniform_real_distribution<double>(-0.5, 0.5)(g);
    return c;
}

// Graphs of each kind that are tried: KILOGRAD_ROUNDS, or a few.
unsigned rounds() {
    const char* given = std::getenv("KILOGRAD_ROUNDS");
    return given ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : 300;
}

constexpr Wants all_wants[] = {{}, {.inputs = true}, {.parameters = true}, {.inputs = true, .parameters = true}};

}  // namespace

TEST(equals_the_kernels_to_the_last_bit) {
    for (const Kernels* kernels : available_kernels()) {
        if (!RowMachine::suits(*kernels)) continue;
        std::mt19937_64 g(5);
        for (unsigned seed = 0; seed < rounds(); ++seed) {
            const Program every(random_case(seed, 3, 3, 20 + seed % 300 * 2, 1 + seed % 3, 1).recording);
            const Program some(arithmetic(g, seed % 64 == 0 ? 3000 : 5 + g() % 300));
            for (const Program* p : {&every, &some})
                for (bool several : {false, true})
                    compare(*p, *kernels, all_wants[seed % 4], several, g, seed % 3 != 0);
        }
    }
}

#if defined(__x86_64__) && (defined(__linux__) || defined(_WIN32))

namespace {

// Calls a function of vectors of eight with `operands` in registers 0, 1 and 2 and `marks` in those from 16 on, and
// gives back what is there afterwards.
void call_with_marks(VectorFunctions::Any function, const double* operands, const double* c, unsigned* suspects,
                     double* marks) {
#define ALL_MARKS(move)                                                                                                \
    move(16, 0) move(17, 64) move(18, 128) move(19, 192) move(20, 256) move(21, 320) move(22, 384) move(23, 448) move( \
        24, 512) move(25, 576) move(26, 640) move(27, 704) move(28, 768) move(29, 832) move(30, 896) move(31, 960)
#define LOAD(r, at) "vmovupd " #at "(%%rbx), %%zmm" #r "\n\t"
#define STORE(r, at) "vmovupd %%zmm" #r ", " #at "(%%rbx)\n\t"
    const double* argument = c;
    unsigned* second = suspects;
    asm volatile(
        "mov %%rsp, %%r12\n\t"
        "sub $256, %%rsp\n\t"  // what the compiler may have below the stack
        "and $-64, %%rsp\n\t"
        "vmovupd (%%rcx), %%zmm0\n\t"
        "vmovupd 64(%%rcx), %%zmm1\n\t"
        "vmovupd 128(%%rcx), %%zmm2\n\t" ALL_MARKS(LOAD) "call *%%rax\n\t"
        "mov %%r12, %%rsp\n\t" ALL_MARKS(STORE) "vzeroupper\n\t"
        : "+a"(function), "+c"(operands), "+D"(argument), "+S"(second)
        : "b"(marks)
        : "rdx", "r8", "r9", "r10", "r11", "r12", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
          "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc");
}

}  // namespace

// Also where they ask the C library.
TEST(functions_leave_the_registers_that_code_keeps) {
    for (const Kernels* kernels : available_kernels()) {
        if (!RowMachine::suits(*kernels) || !kernels->vectors->keep_high) continue;
        for (std::size_t k = 0; k < code_count; ++k)
            for (VectorFunctions::Any function :
                 {kernels->vectors->value[k], kernels->vectors->da[k], kernels->vectors->db[k]})
                for (double x : {0.3, 2.7, -1.5, 1e7, 1e300, -0.0, std::nan("")}) {
                    if (!function) continue;
                    double operands[24], marks[16 * 8];
                    for (std::size_t n = 0; n < 24; ++n) operands[n] = n % 8 ? 0.1 * static_cast<double>(n) : x;
                    for (std::size_t n = 0; n < 16 * 8; ++n) marks[n] = static_cast<double>(n + 1);
                    const double c = 2.0;
                    unsigned suspects = 0;
                    call_with_marks(function, operands, &c, &suspects, marks);
                    bool kept = true;
                    for (std::size_t n = 0; n < 16 * 8; ++n) kept &= marks[n] == static_cast<double>(n + 1);
                    if (!CHECK(kept)) std::printf("    %s at %g\n", code_infos[k].name, x);
                }
    }
}

#endif

TEST(takes_over_without_a_trace) {
    const Case c = long_case(300);
    Program never(c.recording);
    const Program p(c.recording);
    never.allow_machine(false);
    for (const Kernels* kernels : available_kernels())
        for (std::size_t rows : {std::size_t{1}, std::size_t{5}, std::size_t{300}}) {
            Case used = c;
            used.rows = rows;
            const Results want = run(never, used, *kernels);
            for (int call = 0; call < 400; ++call) {
                const Results got = run(p, used, *kernels);
                CHECK(got.values == want.values);
                CHECK(got.dx == want.dx);
                CHECK(got.dp == want.dp);
            }
        }
    CHECK(never.machine_state(*available_kernels()[0]) == "interpreted: code=False");
    if (RowMachine::suits(*available_kernels()[0]))
        CHECK(p.machine_state(*available_kernels()[0]).starts_with("machine code: "));
}

#if defined(__linux__)

namespace {

// What `command` prints of a file with these bytes: of each line the instruction, with single blanks, up to the first
// `end`. Nothing where there is no such program.
std::string disassembled(const std::string& command, std::span<const std::uint8_t> bytes, const std::string& end) {
    char name[] = "/tmp/kilograd-code-XXXXXX";
    const int file = mkstemp(name);
    if (file < 0) return "";
    const bool written = write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
    close(file);
    std::string text;
    bool ended = false;
    if (FILE* pipe = written ? popen((command + " " + name + " 2>/dev/null").c_str(), "r") : nullptr) {
        char buffer[256];
        while (std::fgets(buffer, sizeof buffer, pipe)) {
            std::string line = buffer;
            if (ended || line[0] != '\t') continue;
            line = line.substr(line.find_first_not_of("\t "));
            if (line.starts_with("{evex} ")) line = line.substr(7);  // where there is another way to write it
            for (const char* rest : {"\n", " # ", "//"}) line = line.substr(0, line.find(rest));
            while (!line.empty() && (line.back() == ' ' || line.back() == '\t')) line.pop_back();
            if (const auto blank = line.find_first_of(" \t"); blank != std::string::npos)
                line = line.substr(0, blank) + " " + line.substr(line.find_first_not_of(" \t", blank));
            text += line + "\n";
            ended = line == end;
        }
        if (pclose(pipe) != 0) text.clear();
    }
    unlink(name);
    return text;
}

void check_text(const std::string& got, const std::string& want) {
    if (!CHECK(got == want)) std::printf("got:\n%s\nwant:\n%s\n", got.c_str(), want.c_str());
}

constexpr Memory close_by{Base::Values, 64}, far{Base::Adjoints, 4096 + 8}, constant{Base::Constants, 1024};

}  // namespace

TEST(instructions_of_x86_64_are_what_a_disassembler_says) {
    using namespace x86_64;
    if (std::system("objdump -i 2>/dev/null | grep -q 'elf64-x86-64'") != 0) {
        std::printf("no objdump for x86-64 here\n");
        return;
    }
    struct Kind {
        Shape shape;
        bool many;
    };
    for (const auto& [shape, many] :
         {Kind{Shape::One, false}, Kind{Shape::Four, false}, Kind{Shape::Eight, true}, Kind{Shape::One, true}}) {
        const bool one = shape == Shape::One;
        const std::string v = one ? "xmm" : shape == Shape::Four ? "ymm" : "zmm", kind = one ? "sd" : "pd";
        const std::string memory = one ? "QWORD PTR [" : v == "ymm" ? "YMMWORD PTR [" : "ZMMWORD PTR [";
        Assembler emit(shape, many);
        std::string want;
        const auto line = [&](const std::string& name, const std::string& operands) {
            want += name + " " + operands + "\n";
        };
        const auto lines = [&](std::initializer_list<const char*> all) {
            for (const char* each : all) want += std::string(each) + "\n";
        };
        const auto three = [&](const Instruction& i, const std::string& name) {
            emit(i, 3, 12, 7);
            line(name, v + "3," + v + "12," + v + "7");
            emit(i, 9, 2, 14);
            line(name, v + "9," + v + "2," + v + "14");
            emit(i, 1, 0, close_by);
            line(name, v + "1," + v + "0," + memory + "rbx+0x40]");
            emit(i, 15, 8, far);
            line(name, v + "15," + v + "8," + memory + "rbp+0x1008]");
            emit(i, 5, 11, constant);
            line(name, v + "5," + v + "11," + memory + "r15+0x400]");
            if (!many) return;
            for (const std::uint8_t r : {std::uint8_t{16}, std::uint8_t{27}}) {
                const std::string high = v + std::to_string(r);
                emit(i, r, 2, 3);
                line(name, high + "," + v + "2," + v + "3");
                emit(i, 1, r, 9);
                line(name, v + "1," + high + "," + v + "9");
                emit(i, 1, 10, r);
                line(name, v + "1," + v + "10," + high);
                emit(i, 1, r, constant);
                line(name, v + "1," + high + "," + memory + "r15+0x400]");
                emit(i, r, 1, far);
                line(name, high + "," + v + "1," + memory + "rbp+0x1008]");
            }
            emit(i, 1, 2, {{Base::Values, 128}});  // short, and not short, where offsets are counted in bytes
            line(name, v + "1," + v + "2," + memory + "rbx+0x80]");
            emit(i, 1, 2, {{Base::Values, 8192}});
            line(name, v + "1," + v + "2," + memory + "rbx+0x2000]");
        };
        emit.enter(Direction::Forward, reinterpret_cast<const double*>(0x123456789abcdef0));
        lines({"push rbx", "push rbp", "push r15", "mov rbx,rdi", "movabs r15,0x123456789abcdef0", "xor ebp,ebp",
               "push 0x0", "push 0x0"});
        emit.enter(Direction::Reverse, nullptr);
        lines({"push rbx", "push rbp", "push r15", "mov rbx,rdi", "movabs r15,0x0", "mov rbp,rsi"});
        three(instructions::add, "vadd" + kind);
        three(instructions::multiply, "vmul" + kind);
        three(instructions::subtract, "vsub" + kind);
        three(instructions::divide, "vdiv" + kind);
        three(instructions::maximum, "vmax" + kind);
        three(instructions::add_product, "vfmadd231" + kind);
        three(instructions::subtract_product, "vfnmadd231" + kind);
        three(instructions::times_plus, "vfmadd213" + kind);
        three(instructions::times_minus, "vfmsub213" + kind);
        emit(instructions::bit_and, 3, 12, 7);
        line("vandpd", v + "3," + v + "12," + v + "7");
        if (emit.spreads()) {
            emit(instructions::multiply, 4, 9, Operand::spread(constant));
            line("vmulpd", "zmm4,zmm9,QWORD PTR [r15+0x400]{1to8}");
            emit(instructions::add, 4, 9, Operand::spread({Base::Constants, 1 << 20}));
            line("vaddpd", "zmm4,zmm9,QWORD PTR [r15+0x100000]{1to8}");
        }
        const std::string move = one ? "vmovsd" : "vmovupd";
        emit.load(13, close_by);
        line(move, v + "13," + memory + "rbx+0x40]");
        emit.store(far, 6);
        line(move, memory + "rbp+0x1008]," + v + "6");
        emit.copy(6, 13);
        line("vmovapd", v + "6," + v + "13");
        emit.spread(10, constant);
        line(one ? "vmovsd" : "vbroadcastsd", v + "10,QWORD PTR [r15+0x400]");
        emit.zero(15);
        line("vxorpd", "xmm15,xmm15,xmm15");
        if (many) {
            emit.load(31, close_by);
            line(move, v + "31," + memory + "rbx+0x40]");
            emit.store(far, 17);
            line(move, memory + "rbp+0x1008]," + v + "17");
            emit.copy(22, 13);
            line("vmovapd", v + "22," + v + "13");
            emit.copy(6, 31);
            line("vmovapd", v + "6," + v + "31");
            emit.zero(31);
            line("vxorpd", "xmm31,xmm31,xmm31");
        }
        for (std::uint8_t spare : {std::uint8_t{3}, std::uint8_t{13}})
            for (Comparison comparison : {Comparison::LessEqual, Comparison::Equal}) {
                emit.note(comparison, 12, close_by, spare);
                const std::string s = std::to_string(spare);
                const std::string name = comparison == Comparison::Equal ? "vcmpeq" : "vcmple";
                if (many) {
                    line(name + kind, "k1," + v + "12," + memory + "rbx+0x40]");
                    line("kmovw", "eax,k1");
                } else {
                    line(name + kind, v + s + "," + v + "12," + memory + "rbx+0x40]");
                    line(one ? "vmovd" : "vmovmskpd", "eax," + v + s);
                }
                line("or", "ebp,eax");
            }
        emit.ones_where_greater(9, 14, 15);
        if (many) {
            line("vcmpgt_oq" + kind, "k1," + v + "14," + v + "15");
            line(move, v + "9{k1}{z}," + memory + "rip+POOL]");
        } else {
            line("vcmpgt_oq" + kind, v + "9," + v + "14," + v + "15");
            line("vandpd", v + "9," + v + "9," + (one ? "XMMWORD" : "YMMWORD") + " PTR [rip+POOL]");
        }
        emit.keep_where_not_equal(9, 4, 14, 15);
        if (many) {
            line("vcmpneq" + kind, "k1," + v + "14," + v + "15");
            line("vmovapd", v + "9{k1}{z}," + v + "4");
        } else {
            line("vcmpneq" + kind, v + "9," + v + "14," + v + "15");
            line("vandpd", v + "9," + v + "9," + v + "4");
        }
        emit.argument(0, 0x123456789abcdef0);
        emit.argument(1, 7);
        emit.argument(2, far);
        emit.argument(3, Base::Constants);
        emit.argument(4, close_by);
        lines({"movabs rdi,0x123456789abcdef0", "movabs rsi,0x7", "lea rdx,[rbp+0x1008]", "mov rcx,r15",
               "lea r8,[rbx+0x40]"});
        emit.call(0x123456789abcdef0);
        lines({"call QWORD PTR [rip+POOL]"});
        emit.call_function(0x123456789abcdef0, 1, nullptr, false);
        lines({"call QWORD PTR [rip+POOL]"});
        emit.call_function(0x123456789abcdef8, 2, &constant, true);
        lines({"lea rdi,[r15+0x400]", "mov rsi,rsp", "call QWORD PTR [rip+POOL]"});
        emit.note_result();
        lines({"movzx eax,al", "or ebp,eax"});
        emit.leave(Direction::Forward);
        lines({"pop rax", "or eax,ebp", "pop rcx"});
        if (!one) lines({"vzeroupper"});
        lines({"pop r15", "pop rbp", "pop rbx", "ret"});

        std::string got = disassembled("objdump -D -b binary -m i386:x86-64 -M intel --no-show-raw-insn --no-addresses",
                                       emit.finish(), "ret");
        for (std::size_t at = got.find("[rip+"); at != std::string::npos; at = got.find("[rip+0", at + 1))
            got.replace(at, got.find(']', at) - at, "[rip+POOL");
        for (std::size_t at = got.find("QWORD BCST"); at != std::string::npos; at = got.find("QWORD BCST", at)) {
            got.insert(got.find('\n', at), "{1to8}");  // as newer versions say it
            got.replace(at, 10, "QWORD PTR");
        }
        check_text(got, want);
    }
}

TEST(instructions_of_aarch64_are_what_a_disassembler_says) {
    using namespace aarch64;
    std::string objdump = "aarch64-linux-gnu-objdump";
    if (std::system((objdump + " --version >/dev/null 2>&1").c_str()) != 0) objdump = "objdump";
    if (std::system((objdump + " -i 2>/dev/null | grep -q aarch64").c_str()) != 0) {
        std::printf("no objdump for AArch64 here\n");
        return;
    }
    for (Shape shape : {Shape::One, Shape::Two}) {
        const bool two = shape == Shape::Two;
        Assembler emit(shape, false);
        std::string want;
        const auto lines = [&](std::initializer_list<std::string> all) {
            for (const std::string& each : all) want += each + "\n";
        };
        // By its number, as an operand of arithmetic, and as one of loads and stores.
        const auto v = [&](unsigned r) { return two ? "v" + std::to_string(r) + ".2d" : "d" + std::to_string(r); };
        const auto q = [&](unsigned r) { return (two ? "q" : "d") + std::to_string(r); };
        const auto bytes = [](unsigned r) { return "v" + std::to_string(r) + ".16b"; };
        const auto moved = [&](unsigned to, unsigned from) { return "mov " + bytes(to) + ", " + bytes(from); };
        // Where the offset is too long for an instruction, it is in x16.
        const std::string far_place = two ? "[x20, x16]" : "[x20, #4104]";
        const auto reach = [&] {
            if (two) lines({"mov x16, #0x1008"});
        };
        const auto plain = [&](const Instruction& i, const std::string& name) {
            emit(i, 3, 12, 7);
            lines({name + " " + v(19) + ", " + v(28) + ", " + v(23)});
            emit(i, 1, 0, close_by);
            lines({"ldr " + q(0) + ", [x19, #64]", name + " " + v(17) + ", " + v(16) + ", " + v(0)});
            emit(i, 15, 8, far);
            reach();
            lines({"ldr " + q(0) + ", " + far_place, name + " " + v(31) + ", " + v(24) + ", " + v(0)});
            emit(i, 5, 11, Operand::spread(constant));
            lines({"ldr d0, [x21, #1024]"});
            if (two) lines({"dup v0.2d, v0.d[0]"});
            lines({name + " " + v(21) + ", " + v(27) + ", " + v(0)});
            emit(i, 5, 11, Number::Tiny);
            lines({"ldr " + q(0) + ", [x22, #32]", name + " " + v(21) + ", " + v(27) + ", " + v(0)});
        };
        for (Direction direction : {Direction::Forward, Direction::Reverse}) {
            emit.enter(direction, reinterpret_cast<const double*>(0x1234567800000000));
            lines({"stp x29, x30, [sp, #-80]!", "stp x19, x20, [sp, #16]", "stp x21, x22, [sp, #32]",
                   "str d8, [sp, #48]", "mov x29, sp", "mov x19, x0", "mov x20, x1", "mov x21, #0x0",
                   "movk x21, #0x5678, lsl #32", "movk x21, #0x1234, lsl #48", "adrp x22,", "add x22, x22, #POOL",
                   "movi d8, #0x0", "str xzr, [sp, #56]"});
        }
        plain(instructions::add, "fadd");
        plain(instructions::multiply, "fmul");
        plain(instructions::subtract, "fsub");
        plain(instructions::divide, "fdiv");
        emit(instructions::bit_and, 3, 12, 7);
        lines({two ? "and v19.16b, v28.16b, v23.16b" : "and v19.8b, v28.8b, v23.8b"});
        emit(instructions::maximum, 3, 12, 7);
        lines({"fcmgt " + v(1) + ", " + v(28) + ", " + v(23), "bsl v1.16b, v28.16b, v23.16b", moved(19, 1)});
        emit(instructions::add_product, 3, 12, 7);
        emit(instructions::subtract_product, 3, 12, 7);
        emit(instructions::times_minus, 3, 12, 7);
        emit(instructions::times_plus, 3, 12, 7);
        emit(instructions::times_plus, 3, 12, close_by);
        if (two)
            lines({"fmla v19.2d, v28.2d, v23.2d", "fmls v19.2d, v28.2d, v23.2d", "fneg v0.2d, v23.2d",
                   "fmla v0.2d, v28.2d, v19.2d", moved(19, 0), moved(0, 23), "fmla v0.2d, v28.2d, v19.2d", moved(19, 0),
                   "ldr q0, [x19, #64]", "fmla v0.2d, v28.2d, v19.2d", moved(19, 0)});
        else
            lines({"fmadd d19, d28, d23, d19", "fmsub d19, d28, d23, d19", "fnmsub d19, d28, d19, d23",
                   "fmadd d19, d28, d19, d23", "ldr d0, [x19, #64]", "fmadd d19, d28, d19, d0"});
        emit.load(13, close_by);
        lines({"ldr " + q(29) + ", [x19, #64]"});
        emit.store(close_by, 6);
        lines({"str " + q(22) + ", [x19, #64]"});
        emit.store(far, 6);
        reach();
        lines({"str " + q(22) + ", " + far_place});
        emit.copy(6, 13);
        lines({moved(22, 29)});
        emit.spread(10, constant);
        lines({"ldr d26, [x21, #1024]"});
        if (two) lines({"dup v26.2d, v26.d[0]"});
        emit.zero(15);
        lines({"movi v31.2d, #0x0"});
        emit.note(Comparison::Equal, 12, 7, 0);
        emit.note(Comparison::LessEqual, 12, 7, 0);
        for (const std::string& compared :
             {"fcmeq " + v(0) + ", " + v(28) + ", " + v(23), "fcmge " + v(0) + ", " + v(23) + ", " + v(28)}) {
            lines({compared});
            if (two) lines({"xtn v0.2s, v0.2d"});
            lines({"orr v8.8b, v8.8b, v0.8b"});
        }
        emit.ones_where_greater(9, 14, 15);
        lines({"fcmgt " + v(25) + ", " + v(30) + ", " + v(31), "ldr " + q(0) + ", [x22]",
               two ? "and v25.16b, v25.16b, v0.16b" : "and v25.8b, v25.8b, v0.8b"});
        emit.keep_where_not_equal(9, 4, 14, 15);
        lines({"fcmeq " + v(0) + ", " + v(30) + ", " + v(31), "bic v25.16b, v20.16b, v0.16b"});
        emit.argument(0, 0x10002);
        emit.argument(1, Base::Constants);
        emit.argument(2, far);
        lines({"mov x0, #0x2", "movk x0, #0x1, lsl #16", "mov x1, x21", "mov x2, #0x1008", "add x2, x2, x20"});
        emit.call(0x70000);
        lines({"mov x16, #0x0", "movk x16, #0x7, lsl #16", "blr x16"});
        emit.call_function(0x70000, 3, &constant, true);
        lines({moved(0, 16), moved(1, 17), moved(2, 18), "mov x0, #0x400", "add x0, x0, x21", "add x1, sp, #0x38",
               "mov x16, #0x0", "movk x16, #0x7, lsl #16", "blr x16", moved(16, 0)});
        emit.note_result();
        lines({"and w0, w0, #0xff", "fmov d0, x0", "orr v8.8b, v8.8b, v0.8b"});
        emit.leave(Direction::Forward);
        lines({"fmov x0, d8", "ldr x1, [sp, #56]", "orr x0, x0, x1", "orr x0, x0, x0, lsr #32", "ldr d8, [sp, #48]",
               "ldp x21, x22, [sp, #32]", "ldp x19, x20, [sp, #16]", "ldp x29, x30, [sp], #80", "ret"});

        std::string got =
            disassembled(objdump + " -D -b binary -m aarch64 --no-show-raw-insn --no-addresses", emit.finish(), "ret");
        for (std::size_t at = got.find("add x22, x22, #"); at != std::string::npos;
             at = got.find("add x22, x22, #0", at))
            got.replace(at, got.find('\n', at) - at, "add x22, x22, #POOL");
        check_text(got, want);
    }
}

#endif

#if defined(__linux__) && defined(__x86_64__)

TEST(goes_on_where_the_system_refuses_to_execute_memory) {
    if (!RowMachine::suits(*available_kernels()[0])) return;
    const pid_t child = fork();
    if (child == 0) {
        // mprotect() with PROT_EXEC is not permitted.
        sock_filter filter[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3),
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
            BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        sock_fprog program{std::size(filter), filter};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
            _exit(77);
        const Case c = long_case(1);
        const Program p(c.recording);
        const Results first = run(p, c, *available_kernels()[0]);
        bool equal = true;
        for (int call = 0; call < 400; ++call) {
            const Results got = run(p, c, *available_kernels()[0]);
            equal &= got.values == first.values && got.dx == first.dx;
        }
        const bool said = p.machine_state(*available_kernels()[0]) ==
                          "interpreted: the system does not execute memory that was written";
        _exit(!equal ? 1 : !said ? 2 : 0);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        std::printf("no filter of system calls here\n");
    else
        CHECK(status == 0);
}

#endif

RUN_TESTS()
