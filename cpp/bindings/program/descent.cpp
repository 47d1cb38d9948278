#include "descent.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "../../program/kernels/isa.hpp"
#include "../value/handle.hpp"
#include "call.hpp"

namespace kilograd {

namespace {

class Descent {
  public:
    Descent(const Recorded& self, Call& call, const py::tuple& parameters, const py::list& trained,
            nn::UpdateRule& rule, bool finite, const Signals& signals)
        : program_(self.program),
          signals_(signals),
          request_(call.request),
          parameters_(parameters),
          trained_(trained),
          rule_(rule),
          finite_(finite),
          nodes_(parameters.size()),
          trained_nodes_(trained_.size()),
          data_(nodes_.size() + 1),
          gradient_(nodes_.size() + 1),
          grads_(nodes_.size()) {
        require_values(parameters_);
        require_values(trained_);
        request_.parameters = data_.data();
        request_.dp = gradient_.data();
    }

    // Lets the handlers of signals run now and then: they are Python code. False where one raised an exception.
    bool listen() {
        if (steps_++ % patience_of_signals != 0) return true;
        if (PyErr_CheckSignals() < 0) return false;
        look_up();
        return true;
    }

    // Computes loss and gradient; false where the numbers are not regular. May run Python code.
    bool compute() {
        for (std::size_t k = 0; k < nodes_.size(); ++k) data_[k] = nodes_[k]->data;
        work_ += request_.rows * program_.graph().nodes.size();
        const bool lets_others_run = free_threaded || work_ > patience;
        const std::uint64_t asked = signals_.times_asked();
        try {
            if (lets_others_run) {
                work_ = 0;
                const Outside outside;
                const Released released;
                program_.run(request_, kernels_);
            } else {
                program_.run(request_, kernels_);
            }
        } catch (const program::DomainError&) {
            return false;
        }
        if (lets_others_run || signals_.times_asked() != asked) look_up();
        return !finite_ || std::isfinite(*request_.values);
    }

    // zero_grad(), and the gradient that was computed.
    void set_gradients() {
        for (std::size_t k = 0; k < nodes_.size(); ++k) grads_[k] = nodes_[k]->grad;
        nn::zero_grad(trained_nodes_);
        for (std::size_t k = 0; k < nodes_.size(); ++k) set_gradient(nodes_[k], nodes_[k]->grad + gradient_[k]);
    }

    // The whole step; false where it is refused, and undone.
    bool update(double rate) {
        const auto is_leaf = [](const Node* node) { return node->is_leaf(); };
        if (!std::all_of(trained_nodes_.begin(), trained_nodes_.end(), is_leaf)) return false;
        if (!rule_.fits(trained_nodes_.size())) return false;
        if (finite_) before_.take(rule_, trained_nodes_);
        set_gradients();
        bool good = rule_.step(trained_nodes_, rate);
        const auto is_finite = [](const Node* node) { return std::isfinite(node->data); };
        if (good && finite_ && !std::all_of(trained_nodes_.begin(), trained_nodes_.end(), is_finite)) {
            before_.restore(rule_, trained_nodes_);
            good = false;
        }
        if (good) {
            std::swap(before_, before_last_);
        } else {
            for (std::size_t k = 0; k < nodes_.size(); ++k) set_gradient(nodes_[k], grads_[k]);
        }
        return good;
    }

    nn::Bookmark before_last_step() { return std::move(before_last_); }

  private:
    static constexpr std::size_t patience = 1 << 16;        // row times op: some tens of microseconds
    static constexpr std::size_t patience_of_signals = 32;  // steps: a program that takes long listens itself

    static void set_gradient(Node* node, double value) {
        node->grad = value;
        node->kinds.grad = FloatKind;
    }

    // Wherever Python code may have run, which can give a Value another node and free this one.
    void look_up() {
        for (std::size_t k = 0; k < trained_nodes_.size(); ++k) trained_nodes_[k] = node_at(trained_, k);
        for (std::size_t k = 0; k < nodes_.size(); ++k) nodes_[k] = node_at(parameters_, k);
    }

    const program::Program& program_;
    const Signals& signals_;
    program::Request& request_;
    const program::Kernels& kernels_ = program::chosen_kernels();
    const py::tuple parameters_, trained_;  // Python that runs meanwhile may change the list
    nn::UpdateRule& rule_;
    const bool finite_;
    std::vector<Node*> nodes_, trained_nodes_;
    std::vector<double> data_, gradient_, grads_;
    std::size_t work_ = 0, steps_ = 0;
    nn::Bookmark before_, before_last_;
};

}  // namespace

py::tuple descend(const Recorded& self, const py::tuple& parameters, py::handle x, py::handle reduce, py::ssize_t batch,
                  py::handle threads, bool check, const py::list& trained, const Updater& updater, py::handle rates,
                  py::array_t<double, py::array::c_style> losses, bool finite, py::handle stop_flag) {
    if (self.n_outputs() != 1) throw py::value_error("a program of one output is needed");
    std::optional<py::array_t<double, py::array::c_style>> rate;
    if (!rates.is_none()) rate.emplace(py::reinterpret_borrow<py::object>(rates));
    if ((rate && losses.size() != rate->size()) || batch < 1) throw py::value_error("wrong number of losses or rows");
    Call call(self, parameters, x, threads, check);
    call.set_reduce(reduce);
    const StopFlag stop(stop_flag);
    const Signals signals(&stop);
    Descent descent(self, call, parameters, trained, *updater.rule, finite, signals);
    const double* first = call.request.x;
    const std::size_t rows = call.rows();
    std::size_t from = 0;
    py::ssize_t done = 0;
    py::object error = py::none();
    try {
        for (; done < losses.size(); ++done) {
            if (!descent.listen()) throw py::error_already_set();
            if (stop.raised() && done) break;
            call.request.rows = std::min(static_cast<std::size_t>(batch), rows - from);
            call.request.x = first + static_cast<std::ptrdiff_t>(from) * call.request.row_stride;
            call.request.values = losses.mutable_data() + done;
            if (!descent.compute()) break;
            if (!rate) {
                descent.set_gradients();
            } else if (!descent.update(rate->data()[done])) {
                break;
            }
            from += call.request.rows;
            if (from == rows) from = 0;
        }
    } catch (const Signals::Stopped&) {
    } catch (const py::error_already_set& raised) {
        error = raised.value();
    }
    py::object bookmark = py::none();
    if (done && rate && finite) {
        auto made = std::make_unique<Bookmark>();
        made->state = descent.before_last_step();
        bookmark = Box<Bookmark>::make(std::move(made));
    }
    return py::make_tuple(done, bookmark, error);
}

}  // namespace kilograd
