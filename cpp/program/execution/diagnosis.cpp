#include "diagnosis.hpp"

#include <iomanip>
#include <limits>
#include <locale>
#include <sstream>
#include <utility>
#include <vector>

namespace kilograd::program {

namespace {

// As many digits as it takes to read back as the same number, in any locale. Not by std::to_chars, which macOS has for
// doubles from version 13.3 on.
std::string text_of(double number) {
    for (int digits = std::numeric_limits<float>::digits10;; ++digits) {
        std::stringstream text;
        text.imbue(std::locale::classic());
        text << std::setprecision(digits) << number;
        double read = 0.0;
        if (digits == std::numeric_limits<double>::max_digits10 || (text >> read && read == number)) return text.str();
    }
}

// The op as the eager graph labels it, with the exponent of a power: "**-1", "log".
std::string label_of(const Node& node) {
    if (node.code != Code::powc && node.code != Code::whole_power) return info(node.code).label;
    return "**" + text_of(node.c);
}

std::string describe(Fault fault, const std::string& label, double operand, std::size_t row, bool in_every_row,
                     const std::vector<std::size_t>& turns) {
    std::string text = fault == Fault::Domain     ? "outside the domain of "
                       : fault == Fault::Overflow ? "result too large for "
                                                  : "division by zero in ";
    text += "'" + label + "' at " + text_of(operand);
    for (std::size_t k = 0; k < turns.size(); ++k)
        text += " in turn " + std::to_string(turns[k]) + (k == 0 ? " of a loop" : " of the loop around it");
    text += in_every_row && turns.empty() ? " (in every row)" : " (row " + std::to_string(row) + ")";
    return text + "; check=False lets infinities and NaN flow";
}

}  // namespace

DomainError::DomainError(Fault fault_, std::string label_, double operand_, std::size_t row_, bool in_every_row_,
                         std::vector<std::size_t> turns_)
    : std::runtime_error(describe(fault_, label_, operand_, row_, in_every_row_, turns_)),
      fault(fault_),
      label(std::move(label_)),
      operand(operand_),
      row(row_),
      in_every_row(in_every_row_),
      turns(std::move(turns_)) {}

DomainError DomainError::in_turn(std::size_t turn) const {
    std::vector<std::size_t> all = turns;
    all.push_back(turn);
    return {fault, label, operand, row, in_every_row, std::move(all)};
}

void diagnose(const Graph& own, const Request& own_request, std::size_t row) {
    const Graph& graph = own_request.original ? *own_request.original : own;
    const Request& request = own_request.asked ? *own_request.asked : own_request;
    if (own_request.asked) row = 0;
    std::vector<double> v(graph.nodes.size());
    std::vector<bool> varying(graph.nodes.size());
    const double* x = request.x + static_cast<std::ptrdiff_t>(row / request.repeat) * request.row_stride;
    for (std::uint32_t n = 0; n < graph.nodes.size(); ++n) {
        const Node& node = graph.nodes[n];
        graph.for_operands(node, [&](std::uint32_t operand) { varying[n] = varying[n] || varying[operand]; });
        if (node.code == Code::constant) {
            v[n] = node.c;
        } else if (node.code == Code::parameter) {
            v[n] = request.parameters[node.a];
        } else if (node.code == Code::input) {
            v[n] = x[node.a * request.column_stride];
            varying[n] = true;
        } else if (node.code == Code::dot) {
            double sum = 0.0;
            for (std::uint32_t t = node.a; t < node.b; ++t) {
                const Term& term = graph.terms[t];
                sum += term.b == none ? v[term.a] : v[term.a] * v[term.b];
            }
            v[n] = sum;
        } else {
            const double b = info(node.code).arity == Arity::Binary ? v[node.b] : 0.0;
            v[n] = evaluate(node.code, v[node.a], b, node.c);
            const Fault fault = fault_of(node.code, v[node.a], b, node.c, v[n]);
            if (fault != Fault::None)
                throw DomainError(fault, label_of(node), node.code == Code::div ? b : v[node.a],
                                  request.first + row / request.repeat, !varying[n]);
        }
    }
}

}  // namespace kilograd::program
