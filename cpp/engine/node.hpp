// A node of the graph: one number, its gradient, and what it was computed from.
//
// 56 bytes, so that a million of them are 56 MB and a sweep streams seven nodes per eight cache lines. A node is
// counted by its consumers and by its handle (the Python object, opaque here). A leaf lives in the leaf pool; every
// other node lives in the tape, at a higher place than its operands.
//
// Some bits of a node are the host's: the bindings write and read them, the engine at most copies them from operands to
// results. They stand here because a node has the room and a graph of a million nodes has no handles to ask: a table
// beside it would be looked up at every creation and every death. They are told apart below.
#pragma once

#include <cstdint>

#include "../ops.hpp"
#include "threading.hpp"

namespace kilograd {

// How Python sees a number that is stored as a double: its type. Bit 0 says that it is one of Python's integers.
// NumpyKind is numpy.float64, NumpyIntKind numpy.int64 and SingleKind numpy.float32, which only served classes keep
// apart from float and int.
enum Kind : std::uint8_t { FloatKind = 0, IntKind = 1, NumpyKind = 2, BoolKind = 3, NumpyIntKind = 4, SingleKind = 6 };

inline bool is_numpy(std::uint8_t kind) { return (kind & (NumpyKind | NumpyIntKind)) && !(kind & IntKind); }

inline bool is_integral(std::uint8_t kind) { return kind == NumpyIntKind || kind & IntKind; }

// The kind of a sum or product.
inline Kind join_kinds(std::uint8_t x, std::uint8_t y) {
    if (is_numpy(x) || is_numpy(y)) {
        const auto yields = [](std::uint8_t kind) { return kind == SingleKind || !is_numpy(kind); };
        if ((x == SingleKind || y == SingleKind) && yields(x) && yields(y)) return SingleKind;
        return is_integral(x) && is_integral(y) ? NumpyIntKind : NumpyKind;
    }
    return x & y & IntKind ? IntKind : FloatKind;
}

// 2**53: every integer up to it is a double. A result below it is exact, one that is equal to it may have been rounded.
inline constexpr double exact_integers = 9007199254740992.0;

// The kinds of a node's data, gradient and constant, packed into one byte.
struct Kinds {
    std::uint8_t data : 3 = FloatKind;
    std::uint8_t grad : 3 = FloatKind;
    std::uint8_t constant : 2 = FloatKind;  // of NumPy's, numpy.float64 alone
};

// How many hold a node, counted in eights: the three bits below are three more flags.
class References {
  public:
    enum Bit : std::uint32_t {
        Replayed = 1,  // this root's order is kept: see order.hpp
        Foreign = 2,   // the host's: boxed, the handle holds an object instead of a double
        Fixed = 4,     // its local gradients are those of the moment it was made: see fixed.hpp
    };

    constexpr References(std::uint32_t count = 0) : raw_(8 * count) {}
    constexpr operator std::uint32_t() const { return raw_ / 8; }
    References& operator++() {
        raw_ += 8;
        return *this;
    }
    References& operator--() {
        raw_ -= 8;
        return *this;
    }
    bool has(Bit bit) const { return (raw_ & bit) != 0; }
    void set(Bit bit, bool on) { raw_ = on ? raw_ | bit : raw_ & ~bit; }

  private:
    std::uint32_t raw_;
};

enum Flag : std::uint8_t {
    Marked = 1,       // the running sweep will visit it; always set on a leaf, which no sweep visits
    Seen = 2,         // scratch of a traversal that collects leaves
    Rule = 4,         // the host supplies the backward rule
    OwnsHandle = 32,  // pinned: the node holds a reference to its handle, while it has consumers
    ExactInts = 64,   // gradients follow Python's integer arithmetic (the micrograd dialect)
    // the host's
    Stateful = 8,      // its handle carries state that must live as long as the node
    Tracked = 16,      // its handle and its operands' are known to the cyclic collector: see bindings/value/handle.hpp
    InSnapshot = 128,  // a living snapshot holds it: see bindings/value/snapshot.hpp
};

struct Node;

// The operands of a `custom` or `linear` node, which may have any number of them.
struct Fan {
    struct Edge {
        Node* operand;
        double local;       // d node / d operand; used by `linear` only
        std::uint8_t kind;  // Kind of `local`
    };
    std::uint32_t count;
    std::uint32_t tag = 0;  // the host's: which operation of a served class made the node
    Edge* begin() { return reinterpret_cast<Edge*>(this + 1); }
    Edge* end() { return begin() + count; }
    const Edge* begin() const { return reinterpret_cast<const Edge*>(this + 1); }
};

// What is known of a node but its numbers and its place in the graph; the last eight bytes of a node.
struct Tag {
    References refs;
    Op op;
    Kinds kinds;
    std::uint8_t flags;
    std::uint8_t family;  // the host's: which Python type its handle has
};

struct Edges {
    double data;
    double grad;
    Node* a;  // operands: null where there is none
    Node* b;
    union {
        double constant;  // Param ops; of a product, 1 where it is a quotient (see is_quotient); Fixed: see fixed.hpp
        Fan* fan;         // custom, linear
    };
    void* handle;  // the Python object that stands for this node, or null
};

struct Node : Edges, Tag {
    bool has(std::uint8_t mask) const { return (flags & mask) != 0; }
    bool is_foreign() const { return refs.has(References::Foreign); }
    bool is_fixed() const { return refs.has(References::Fixed); }
    bool is_leaf() const { return op == Op::leaf; }
    bool has_fan() const { return op == Op::custom || op == Op::linear; }
};

static_assert(sizeof(Node) <= (sizeof(void*) == 8 ? 56 : 48));

// A product a * b with b = divisor**-1, which the operator `/` made while tracing. A Value stands for a float then, and
// its data is a / divisor, rounded once; whatever decides by it has to compute it so.
inline bool is_quotient(const Node* node) { return node->op == Op::mul && node->constant == 1.0; }
static_assert(alignof(Fan::Edge) <= alignof(std::max_align_t) && sizeof(Fan) % alignof(Fan::Edge) == 0);

// A relu or an exp whose rule asks its operand, and not its own data, when gradients flow; the two may have come to
// differ. Only served classes make some. What the constant's kind would be says so: there is no constant.
inline constexpr Kind asks_operand = IntKind;
inline const Node* relu_decider(const Node* node) { return node->kinds.constant == asks_operand ? node->a : node; }
inline bool is_late_exp(const Node* node) { return node->op == Op::exp && node->kinds.constant == asks_operand; }

// How the rule of a log goes from its gradient to its operand's: g * (1 / x), g / x or g * x**-1, which round
// differently. The last two are made by served classes only, and told apart in the same place.
enum class LogRule : std::uint8_t { Reciprocal = FloatKind, Quotient = IntKind, Power = BoolKind };
inline LogRule log_rule(const Node* node) { return static_cast<LogRule>(node->kinds.constant); }

// Calls fn(operand) for each operand, in operand order.
template <class Fn>
inline void for_each_operand(const Node* node, Fn&& fn) {
    if (node->has_fan()) {
        for (Fan::Edge& edge : *node->fan) fn(edge.operand);
        return;
    }
    if (node->a) fn(node->a);
    if (node->b) fn(node->b);
}

}  // namespace kilograd
