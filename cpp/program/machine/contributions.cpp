#include "contributions.hpp"

namespace kilograd::program::machine {

Contributions::Contributions(const RowCode& code, std::size_t size)
    : runs_(code.runs), first_(size + 2, 0), run_of_(size, none) {
    for (std::uint32_t k = 0; k < code.run_count; ++k)
        for (std::uint32_t i = runs_[k].begin; i < runs_[k].begin + runs_[k].count; ++i) run_of_[i] = k;
    each(code, [&](std::uint32_t to, const Contribution&) { ++first_[to + 2]; });
    for (std::size_t p = 0; p < size; ++p) first_[p + 2] += first_[p + 1];
    list_.resize(first_[size + 1]);
    each(code, [&](std::uint32_t to, const Contribution& found) { list_[first_[to + 1]++] = found; });
}

template <class F>
void Contributions::each(const RowCode& code, F&& f) {
    for (const Run* run = code.runs + code.run_count; run != code.runs;) {
        --run;
        if (!run->reverse || is_step(run->code)) continue;
        for (std::uint32_t i = run->begin + run->count; i-- > run->begin;) {
            const std::uint32_t a = code.a[i], b = code.b[i];
            switch (run->code) {
                case Code::add:
                    f(a, {i, Form::Plus, none});
                    f(b, {i, Form::Plus, none});
                    break;
                case Code::sub:
                    f(a, {i, Form::Plus, none});
                    f(b, {i, Form::Minus, none});
                    break;
                case Code::mul:
                    f(a, {i, Form::Product, b});
                    f(b, {i, Form::Product, a});
                    break;
                case Code::scale:
                    f(a, {i, Form::Constant, none});
                    break;
                case Code::offset:
                    f(a, {i, Form::Plus, none});
                    break;
                case Code::relu:
                case Code::square:
                case Code::reciprocal:
                    f(a, {i, Form::Local, none});
                    break;
                case Code::div:
                    f(a, {i, Form::Local, none});
                    f(b, {i, Form::Local2, none});
                    break;
                case Code::dot:
                    if (run->fused != Fused::No) {
                        f(a, {i, Form::Product, b});
                        f(b, {i, Form::Product, a});
                        f(code.d[i], {i, run->fused == Fused::Add ? Form::Plus : Form::Minus, none});
                        break;
                    }
                    for (const Term *term = code.terms + a, *last = code.terms + b; term != last; ++term) {
                        if (term->b == none) {
                            f(term->a, {i, Form::Plus, none});
                        } else {
                            f(term->a, {i, Form::Product, term->b});
                            f(term->b, {i, Form::Product, term->a});
                        }
                    }
                    break;
                case Code::gate:
                case Code::enter:
                    f(b, {i, Form::Gated, a});
                    break;
                default:
                    f(a, {i, Form::Function, none});
                    if (info(run->code).arity == Arity::Binary) f(b, {i, Form::Function2, none});
            }
        }
    }
}

}  // namespace kilograd::program::machine
