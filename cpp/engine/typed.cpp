#include "typed.hpp"

#include <array>
#include <cmath>
#include <vector>

#include "backward.hpp"

namespace kilograd {

namespace {

struct Term {
    Node* operand;
    Typed local;
    bool divides = false;  // the gradient is divided by it: of a log
};

constexpr auto product = [](auto x, auto y) { return x * y; };
constexpr auto quotient = [](auto x, auto y) { return x / y; };
constexpr auto power = [](auto x, auto y) { return std::pow(x, y); };
constexpr auto sum = [](auto x, auto y) { return x + y; };

// Other integers may have no double, and what is not finite makes NumPy warn.
bool is_ordinary(const Typed& number) {
    return std::isfinite(number.value) && (!is_integral(number.kind) || std::fabs(number.value) < exact_integers);
}

// The kind of `y > 0` of a relu as a factor of a gradient: a truth, and NumPy's where y is NumPy's.
std::uint8_t kind_of_truth(const Node* node) {
    const std::uint8_t grad = node->kinds.grad;
    if (grad == SingleKind || !is_numpy(relu_decider(node)->kinds.data)) return BoolKind;
    return is_integral(grad) ? NumpyIntKind : NumpyKind;
}

// c * x**(c - 1), the slope of x**c, in the arithmetic of x; false where Python's objects have to do that.
bool find_slope_of_power(const Node* node, Typed& out) {
    const Typed x{node->a->data, node->a->kinds.data}, c{node->constant, node->kinds.constant};
    if (x.kind != SingleKind && x.kind != NumpyIntKind) {
        out = {locals_of(node).da, local_kind(node, false)};
        return power_stays_float(node);
    }
    if (x.kind == NumpyIntKind && is_integral(c.kind) && c.value < 1.0) return false;  // it raises, or wraps around
    const Typed less = apply_typed(power, x, {c.value - 1.0, c.kind});
    out = apply_typed(product, c, less);
    return is_ordinary(less);
}

bool find_slope_of_log(const Node* node, Term& term) {
    // What Python and NumPy compute of an integer, but for a power of NumPy's, is a float.
    const Kind kind = join_kinds(FloatKind, node->a->kinds.data);
    const Typed x{node->a->data, kind};
    static volatile double exponent = -1.0;  // a constant one would be compiled into 1 / x
    term.divides = log_rule(node) == LogRule::Quotient;
    term.local = term.divides                       ? x
                 : log_rule(node) == LogRule::Power ? apply_typed(power, x, {exponent, FloatKind})
                                                    : apply_typed(quotient, {1.0, FloatKind}, x);
    return log_rule(node) != LogRule::Power || node->a->kinds.data != NumpyIntKind;
}

// The local gradients of a node that is no fan; false where they come about in the arithmetic of singles or of NumPy's
// integers.
bool find_locals(const Node* node, std::array<Term, 2>& terms) {
    const Locals locals = locals_of(node);
    terms[0] = {node->a, {locals.da, local_kind(node, false)}};
    if (node->op == Op::add || node->op == Op::mul) {
        terms[1] = {node->b, {locals.db, local_kind(node, true)}};
        return true;
    }
    if (node->b) return false;
    if (node->is_fixed()) return true;
    if (node->op == Op::relu) {
        terms[0].local.kind = kind_of_truth(node);
        return true;
    }
    if (node->op == Op::powc) return find_slope_of_power(node, terms[0].local);
    if (node->op == Op::log) return find_slope_of_log(node, terms[0]);
    if (node->op == Op::exp && !is_late_exp(node)) return true;
    const auto plain = [](const Node* one) { return one->kinds.data != SingleKind && one->kinds.data != NumpyIntKind; };
    return (plain(node) && plain(node->a)) || is_late_exp(node);
}

bool is_single(const Node* node) { return node->kinds.data == SingleKind || node->kinds.grad == SingleKind; }

}  // namespace

bool meets_singles(const Node* node) {
    if (is_single(node)) return true;
    if (node->has_fan()) {
        for (const Fan::Edge& edge : *node->fan)
            if (edge.kind == SingleKind || is_single(edge.operand)) return true;
        return false;
    }
    return (node->a && is_single(node->a)) || (node->b && is_single(node->b));
}

bool apply_typed_rule(Node* node) {
    std::array<Term, 2> found{};
    std::vector<Term> edges;
    Term *begin = found.data(), *end = begin + (node->b ? 2 : 1);
    if (node->op == Op::linear) {
        for (const Fan::Edge& edge : *node->fan) edges.push_back({edge.operand, {edge.local, edge.kind}});
        begin = edges.data(), end = begin + edges.size();
    } else if (node->has_fan() || node->is_leaf() || !find_locals(node, found)) {
        return false;
    }
    const Typed grad{node->grad, node->kinds.grad};
    if (!is_ordinary(grad)) return false;
    for (Term* term = begin; term != end; ++term) {  // an operand that comes twice has its sum in the later one
        Typed old{term->operand->grad, term->operand->kinds.grad};
        for (Term* before = begin; before != term; ++before)
            if (before->operand == term->operand) old = before->local;
        const bool as_it_is = node->op == Op::add && !node->is_fixed();  // the gradient itself is added
        const Typed flow = as_it_is        ? grad
                           : term->divides ? apply_typed(quotient, grad, term->local)
                                           : apply_typed(product, term->local, grad);
        if (!is_ordinary(old) || !is_ordinary(term->local) || !is_ordinary(flow)) return false;
        term->local = apply_typed(sum, old, flow);
        if (!is_ordinary(term->local)) return false;
    }
    for (Term* term = begin; term != end; ++term) {
        term->operand->grad = term->local.value;
        term->operand->kinds.grad = term->local.kind;
    }
    return true;
}

}  // namespace kilograd
