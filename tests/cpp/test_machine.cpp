// Machine code against the kernels, to the last bit; its instructions against a disassembler; and a system that
// refuses.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>

#include "../../cpp/program/machine/assembler.hpp"
#include "../../cpp/program/machine/row_machine.hpp"
#include "check.hpp"
#include "runs.hpp"

#if defined(__linux__) && defined(__x86_64__)
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
    static constexpr double edges[] = {0.0,   -0.0,   1.0,    -1.0,      infinity,  -infinity, std::nan(""), 5e-324,
                                       1e300, 1e-300, -1e200, 0x1p-1024, 0x1p-1025, 2.0,       0.5,          -3.0};
    if (wild && g() % 3 == 0) return edges[g() % std::size(edges)];
    return std::uniform_real_distribution<double>(-2.0, 2.0)(g);
}

// One row, or a vector of rows, by the kernels and by machine code.
void compare(const Program& p, const Kernels& kernels, Wants wants, bool several, std::mt19937_64& g, bool wild) {
    const RowSchedule& schedule = p.row(wants);
    const RowMachine code(p.graph(), schedule, wants, kernels, several);
    if (!CHECK(code.usable())) return;
    const std::size_t width = several ? static_cast<std::size_t>(kernels.width) : 1, size = schedule.size();
    const std::size_t extra = 8 + (several ? 0 : schedule.local_count()) + 8 + 8;
    std::vector<double> by_kernels((2 * size + extra + code.slots()) * width, 0.0);
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

    const std::size_t start = (size + (several ? 0 : 8)) * width;
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
        kernels.row_reverse(schedule.code(), by_kernels.data(), d, d + size + 8);
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

constexpr Wants all_wants[] = {{}, {.inputs = true}, {.parameters = true}, {.inputs = true, .parameters = true}};

}  // namespace

TEST(equals_the_kernels_to_the_last_bit) {
    for (const Kernels* kernels : available_kernels()) {
        if (!RowMachine::suits(*kernels)) continue;
        std::mt19937_64 g(5);
        for (unsigned seed = 0; seed < 300; ++seed) {
            const Program every(random_case(seed, 3, 3, 20 + seed * 2, 1 + seed % 3, 1).recording);
            const Program some(arithmetic(g, 5 + g() % 300));
            for (const Program* p : {&every, &some})
                for (bool several : {false, true})
                    compare(*p, *kernels, all_wants[seed % 4], several, g, seed % 3 != 0);
        }
    }
}

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
            for (int call = 0; call < 280; ++call) {
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

#if defined(__linux__) && defined(__x86_64__)

namespace {

std::string disassembled(const std::vector<std::uint8_t>& bytes) {
    char name[] = "/tmp/kilograd-code-XXXXXX";
    const int file = mkstemp(name);
    if (file < 0) return "";
    const bool written = write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
    close(file);
    std::string text;
    const std::string command =
        std::string("objdump -D -b binary -m i386:x86-64 -M intel --no-show-raw-insn --no-addresses ") + name + " 2>&1";
    if (FILE* pipe = written ? popen(command.c_str(), "r") : nullptr) {
        char line[256];
        while (std::fgets(line, sizeof line, pipe)) text += line;
        if (pclose(pipe) != 0) text.clear();
    }
    unlink(name);
    return text;
}

}  // namespace

TEST(instructions_are_what_a_disassembler_says) {
    if (std::system("objdump --version >/dev/null 2>&1") != 0) {
        std::printf("no objdump here\n");
        return;
    }
    const Memory near{Register::rbx, 64}, far{Register::rbp, 4096 + 8}, constant{Register::r15, 1024};
    for (Shape shape : {Shape::One, Shape::Four, Shape::Eight}) {
        const bool one = shape == Shape::One;
        const std::string v = one ? "xmm" : shape == Shape::Four ? "ymm" : "zmm", kind = one ? "sd" : "pd";
        const std::string memory = one ? "QWORD PTR [" : v == "ymm" ? "YMMWORD PTR [" : "ZMMWORD PTR [";
        Assembler emit(shape);
        std::string want;
        const auto line = [&](const std::string& name, const std::string& operands) {
            want += name + " " + operands + "\n";
        };
        const auto three = [&](const Instruction& i, const std::string& name) {
            emit(i, 3, 12, 7);
            line(name, v + "3," + v + "12," + v + "7");
            emit(i, 9, 2, 14);
            line(name, v + "9," + v + "2," + v + "14");
            emit(i, 1, 0, near);
            line(name, v + "1," + v + "0," + memory + "rbx+0x40]");
            emit(i, 15, 8, far);
            line(name, v + "15," + v + "8," + memory + "rbp+0x1008]");
            emit(i, 5, 11, constant);
            line(name, v + "5," + v + "11," + memory + "r15+0x400]");
        };
        three(instructions::add, "vadd" + kind);
        three(instructions::multiply, "vmul" + kind);
        three(instructions::subtract, "vsub" + kind);
        three(instructions::divide, "vdiv" + kind);
        three(instructions::maximum, "vmax" + kind);
        three(instructions::add_product, "vfmadd231" + kind);
        three(instructions::subtract_product, "vfnmadd231" + kind);
        three(instructions::times_minus, "vfmsub213" + kind);
        emit(instructions::bit_and, 3, 12, 7);
        line("vandpd", v + "3," + v + "12," + v + "7");
        if (shape == Shape::Eight) {
            emit(instructions::multiply, 4, 9, Operand::spread(constant));
            line("vmulpd", "zmm4,zmm9,QWORD PTR [r15+0x400]{1to8}");
            emit(instructions::add, 4, 9, Operand::spread({Register::r15, 1 << 20}));
            line("vaddpd", "zmm4,zmm9,QWORD PTR [r15+0x100000]{1to8}");
        }
        const std::string move = one ? "vmovsd" : "vmovupd";
        emit.load(13, near);
        line(move, v + "13," + memory + "rbx+0x40]");
        emit.store(far, 6);
        line(move, memory + "rbp+0x1008]," + v + "6");
        emit.copy(6, 13);
        line("vmovapd", v + "6," + v + "13");
        emit.spread(10, constant);
        line(one ? "vmovsd" : "vbroadcastsd", v + "10,QWORD PTR [r15+0x400]");
        emit.zero(15);
        line("vxorpd", "xmm15,xmm15,xmm15");
        for (std::uint8_t spare : {std::uint8_t{3}, std::uint8_t{13}}) {
            emit.note(Comparison::LessEqual, 12, near, spare);
            const std::string s = std::to_string(spare);
            if (shape == Shape::Eight) {
                line("vcmplepd", "k1,zmm12,ZMMWORD PTR [rbx+0x40]");
                line("kmovw", "eax,k1");
            } else {
                line("vcmple" + kind, v + s + "," + v + "12," + memory + "rbx+0x40]");
                line(one ? "vmovd" : "vmovmskpd", "eax," + v + s);
            }
            line("or", "ebp,eax");
        }
        emit.ones_where_greater(9, 14, 15);
        emit.address(Register::rdx, far);
        emit.push(Register::r15);
        emit.push(Register::rbx);
        emit.pop(Register::r15);
        emit.pop(Register::rbp);
        emit.move(Register::rbx, Register::rdi);
        emit.move(Register::rdx, Register::r15);
        emit.move(Register::r8, 0x123456789abcdef0);
        emit.clear_ebp();
        emit.note_al();
        emit.call_rax();
        emit.return_ebp();
        emit.clear_upper_lanes();
        emit.ret();
        if (shape == Shape::Eight) {
            line("vcmpgt_oqpd", "k1,zmm14,zmm15");
            line("vmovupd", "zmm9{k1}{z},ZMMWORD PTR [rip+POOL]");
        } else {
            line("vcmpgt_oq" + kind, v + "9," + v + "14," + v + "15");
            line("vandpd", v + "9," + v + "9," + (one ? "XMMWORD" : "YMMWORD") + " PTR [rip+POOL]");
        }
        for (const char* rest : {"lea rdx,[rbp+0x1008]", "push r15", "push rbx", "pop r15", "pop rbp", "mov rbx,rdi",
                                 "mov rdx,r15", "movabs r8,0x123456789abcdef0", "xor ebp,ebp", "movzx eax,al",
                                 "or ebp,eax", "call rax", "mov eax,ebp", "vzeroupper", "ret"})
            want += std::string(rest) + "\n";
        // Of each line the instruction, with single blanks; places in the pool by its name.
        std::string got;
        std::size_t begin = 0;
        for (const std::string text = disassembled(emit.finish()); begin < text.size();) {
            const std::size_t end = std::min(text.find('\n', begin), text.size());
            std::string found = text.substr(begin, end - begin);
            begin = end + 1;
            if (found.empty() || found[0] != '\t') continue;
            found = found.substr(found.find_first_not_of("\t "));
            found = found.substr(0, found.find(" #"));
            while (!found.empty() && found.back() == ' ') found.pop_back();
            if (const auto blank = found.find(' '); blank != std::string::npos)
                found = found.substr(0, blank) + " " + found.substr(found.find_first_not_of(' ', blank));
            if (const auto at = found.find("QWORD BCST"); at != std::string::npos)  // as newer versions say it
                found = found.substr(0, at) + "QWORD PTR" + found.substr(at + 10) + "{1to8}";
            if (const auto at = found.find("[rip+"); at != std::string::npos)
                found = found.substr(0, at) + "[rip+POOL]";
            got += found + "\n";
            if (found == "ret") break;
        }
        if (!CHECK(got == want)) std::printf("got:\n%s\nwant:\n%s\n", got.c_str(), want.c_str());
    }
}

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
        for (int call = 0; call < 280; ++call) {
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
