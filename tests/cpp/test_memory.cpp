// Every allocation of every operation fails once: what was there before is there afterwards, and nothing else.
//
// `operator new` and, on Linux, mmap are this program's own. exhaust(body) runs the body with the n-th request failing,
// for n = 0, 1, 2 ... until it gets through without a failure.
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <random>
#include <vector>

#include "../../cpp/engine/backward.hpp"
#include "../../cpp/engine/order.hpp"
#include "../../cpp/engine/replay.hpp"
#include "../../cpp/nn/elementwise_losses.hpp"
#include "../../cpp/nn/losses.hpp"
#include "../../cpp/program/format.hpp"
#include "../../cpp/program/kernels/isa.hpp"
#include "../../cpp/program/program.hpp"
#include "check.hpp"
#include "nodes.hpp"
#include "random_graph.hpp"

#ifdef __linux__
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

thread_local long left = -1;  // requests that are granted until one fails; negative: all
thread_local bool failed = false;

bool fails() {
    if (left < 0 || left-- > 0) return false;
    failed = true;  // and those after it are granted: what cleans up may need memory
    return true;
}

}  // namespace

// Not in line: of a pair of which it sees one half, GCC says that they do not match.
#ifdef _MSC_VER
#define KILOGRAD_APART __declspec(noinline)
#else
#define KILOGRAD_APART [[gnu::noinline]]
#endif
KILOGRAD_APART void* operator new(std::size_t size) {
    void* memory = fails() ? nullptr : std::malloc(size ? size : 1);
    if (!memory) throw std::bad_alloc();
    return memory;
}
KILOGRAD_APART void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return fails() ? nullptr : std::malloc(size ? size : 1);
}
KILOGRAD_APART void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
KILOGRAD_APART void operator delete(void* memory) noexcept { std::free(memory); }
KILOGRAD_APART void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

#ifdef __linux__
#ifdef __GLIBC__
constexpr bool declared_noexcept = true;
#else  // musl
constexpr bool declared_noexcept = false;
#endif
extern "C" void* mmap(void* start, std::size_t size, int protection, int flags, int file,
                      off_t offset) noexcept(declared_noexcept) {
    if (fails()) return MAP_FAILED;
    // NOLINTNEXTLINE: the number that the kernel returns is the address
    return reinterpret_cast<void*>(syscall(SYS_mmap, start, size, protection, flags, file, offset));
}
#endif

using namespace kilograd;
using namespace kilograd::testing;
using nn::Builder;
using nn::Term;
using nn::Terms;

namespace {

// x * x + sin(x), whose gradient shows every mark that was left behind.
struct Witness {
    Node* x = leaf(3.0);
    Node* square = make(Op::mul, x, x);
    Node* sine = make(Op::sin, x);
    Node* y = make(Op::add, square, sine);
    ~Witness() {
        for (Node* node : {y, sine, square, x}) release(node);
    }
    void check() const {
        zero_grad(y);
        backward(y, 1.0, FloatKind);
        CHECK(x->grad == 6.0 + std::cos(3.0));
        arena().for_each_node([](Node* node) { CHECK(!node->has(Marked | Seen)); });
    }
};

void exhaust(
    const std::function<void()>& body, const std::function<void()>& check = [] {}) {
    const Witness witness;
    const std::size_t before = arena().live_nodes();
    for (long n = 0;; ++n) {
        bool through = false;
        failed = false;
        left = n;
        try {
            body();
            through = true;
        } catch (const std::bad_alloc&) {
        }
        left = -1;
        CHECK(arena().live_nodes() == before);
        witness.check();
        check();
        if (through && !failed) {
            CHECK(n > 0);
            return;
        }
        if (check::failures > 20 || !CHECK(n < 100'000)) return;
    }
}

// Nodes that are released in the end, whatever happens.
struct Owner {
    std::vector<Node*> nodes;
    Owner() { nodes.reserve(20'000); }
    ~Owner() {
        while (!nodes.empty()) {
            release(nodes.back());
            nodes.pop_back();
        }
    }
    Node* own(Node* node) {
        nodes.push_back(node);
        return node;
    }
};

Node* random_graph(Owner& owner, int size, unsigned seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < 5; ++i) owner.own(leaf(0.1 * i + 0.1));
    for (int i = 0; i < size; ++i) {
        Node* a = owner.nodes[random() % owner.nodes.size()];
        owner.own(i % 3 ? make(Op::mul, a, owner.nodes.back()) : make(Op::sin, a));
    }
    return owner.nodes.back();
}

Terms terms(const std::vector<double>& data, bool as_leaves) {
    Terms made;
    for (double x : data) as_leaves ? made.push_back(Term::own(leaf(x))) : (void)made.emplace_back(x, FloatKind);
    return made;
}

}  // namespace

TEST(building_a_chain) {
    exhaust([] {
        Owner owner;
        owner.own(leaf(0.5));
        for (int i = 0; i < 3000; ++i) owner.own(make(Op::mul, owner.nodes.back(), owner.nodes[0]));
    });
}

TEST(building_fans) {
    exhaust([] {
        Owner owner;
        for (std::uint32_t count : {1u, 2u, 3u, 50u}) {
            Node* x = owner.own(leaf(1.0));
            Fan* fan = new_fan(count);
            for (Fan::Edge& edge : *fan) edge = {x, 2.0, FloatKind};
            owner.own(record_fan(Op::linear, 1.0, FloatKind, fan, 0, 0));
        }
    });
}

TEST(finding_ancestors) {
    Owner owner;
    Node* root = random_graph(owner, 3000, 1);
    exhaust([&] { ancestors(root); });
    exhaust([&] { ancestors(owner.nodes.data() + owner.nodes.size() - 9, 9); });
    exhaust([&] { ancestors(&root, 1, [](Node* node) { return node->op == Op::sin; }); });
}

TEST(sweeps_that_keep_a_list) {
    Owner owner;
    Node* x = owner.own(leaf(9e15, IntKind, ExactInts));
    Node* y = x;
    for (int i = 0; i < 100; ++i) y = owner.own(make(Op::mul, y, x));
    exhaust([&] { backward_while_exact(y, IntKind, Order::Tape); });
}

TEST(replay) {
    Owner owner;
    Node* plain = random_graph(owner, 2000, 2);
    exhaust([&] { forward(plain); });
    Node* fallible = owner.own(make(Op::exp, plain));
    const double before = fallible->data;
    exhaust([&] { forward(fallible); }, [&] { CHECK(fallible->data == before); });
}

TEST(neurons) {
    Owner owner;
    std::vector<Node*> weights;
    for (int i = 0; i < 1500; ++i) weights.push_back(owner.own(leaf(0.01)));
    Node* bias = owner.own(leaf(0.5));
    for (bool bias_first : {false, true})
        for (bool as_leaves : {false, true})
            exhaust([&] {
                const Terms x = terms(std::vector<double>(weights.size(), 0.5), as_leaves);
                const Term a = Builder(true).plain_neuron(weights, x, bias, bias_first, {Op::tanh}, 0);
                const Term b = Builder(true).plain_neuron(weights, x, bias, bias_first, {}, 0);
                const Term c = Builder(true).weighted_sum(Term::share(bias), weights, x);
            });
}

TEST(losses) {
    const std::vector<double> data = {0.2, 0.7, 0.1};
    for (bool as_leaves : {false, true})
        exhaust([&] {
            const Builder g(true);
            const Terms x = terms(data, true), t = terms(data, as_leaves);
            nn::softmax(g, x);
            nn::log_softmax(g, x);
            nn::logsumexp(g, x);
            nn::mean(g, x);
            nn::cross_entropy(g, x, std::size_t{1});
            nn::cross_entropy(g, x, t);
            nn::l2(g, x, 0.5);
            for (const nn::ElementwiseLoss& loss : nn::elementwise_losses)
                for (std::size_t i = 0; i < x.size(); ++i) loss.build(g, x[i], t[i], 0.1);
        });
}

TEST(programs) {
    using namespace kilograd::program;
    const program::testing::Case c = program::testing::random_case(5, 3, 2, 40, 2, 20);
    exhaust([&] {
        const Program p(c.recording);
        std::vector<double> values(c.rows * 2), dx(c.rows * 5), hessian(c.rows * 25);
        Request request;
        request.x = c.x.data();
        request.row_stride = 3;
        request.rows = c.rows;
        request.parameters = c.p.data();
        request.values = values.data();
        request.dx = dx.data();
        p.run(request);
        request.threads = 3;
        p.run(request);
        request.values = request.dx = nullptr;
        request.promoted = true;
        const Columns columns = Columns::of(p.graph(), true, true);
        const auto second = Derivatives::Of::Hessian;
        p.derivatives().whole(second, p, request, columns, hessian.data(), chosen_kernels());
        p.derivatives().by_sweeps(second, p, request, columns, hessian.data(), chosen_kernels());
        const std::string bytes = serialise(Saved{p.graph(), {2}, c.p});
        deserialise(bytes.data(), bytes.size());
    });
    // A program that was short of memory works once there is some.
    const Program p(c.recording);
    std::vector<double> values(c.rows * 2);
    Request request;
    request.x = c.x.data();
    request.row_stride = 3;
    request.rows = c.rows;
    request.parameters = c.p.data();
    request.values = values.data();
    exhaust([&] { p.run(request); }, [&] { CHECK(p.bytes() > 0); });
}

// Where memory for machine code fails, the kernels go on with what they have, and nobody tries again.
TEST(machine_code) {
    using namespace kilograd::program;
    const Kernels& kernels = chosen_kernels();
    if (!machine::RowMachine::suits(kernels) || machine::when() != machine::When::ItPays) return;
    Recording recording;
    for (int k = 0; k < 2; ++k) recording.inputs.push_back(recording.add(Op::leaf));
    std::uint32_t last = 0;
    for (int k = 0; k < 60; ++k)
        last = recording.add(Op::add, recording.add(Op::mul, recording.add(Op::sin, last), 1), 0);
    recording.outputs.assign(1, last);
    const double x[] = {0.3, 0.7};
    for (long n = 0;; ++n) {
        const Program p(recording);
        std::vector<double> values(1), dx(2);
        Request request;
        request.x = x;
        request.values = values.data();
        request.dx = dx.data();
        p.run(request);
        const std::vector<double> want = dx;
        const std::string waits = p.machine_state(kernels);
        failed = false;
        for (int call = 0; call < 1000 && p.machine_state(kernels) == waits; ++call) {
            left = n;
            p.run(request);
            left = -1;
        }
        CHECK(dx == want && p.machine_state(kernels).starts_with(failed ? "interpreted: " : "machine code: "));
        if (!failed) {
            CHECK(n > 10);
            return;
        }
        failed = false;
        left = 0;
        p.run(request);
        left = -1;
        if (!CHECK(!failed && dx == want) || !CHECK(n < 10'000)) return;
    }
}

RUN_TESTS()
