// Neuron, Layer and MLP calls in C++, behind the Python classes.
//
// The Python methods are the definition. What a call finds as the classes made it is built here; whatever an author
// replaced, subclassed or patched is called in Python, that part alone. Everything is looked up anew in every call, so
// nothing can be stale.
#include "network.hpp"

#include "network_classes.hpp"
#include "terms.hpp"

namespace kilograd {

namespace {

using nn::Builder;
using nn::Term;

py::object dict_of(PyObject* object) {
    return py::reinterpret_steal<py::object>(PyObject_GenericGetDict(object, nullptr));
}

// What flows between layers: terms, a Python list of the same, or both, each made on demand.
class Activations {
  public:
    explicit Activations(py::object list) : list_(std::move(list)) {}
    explicit Activations(std::vector<Term> terms) : terms_(std::move(terms)), state_(State::Usable) {}

    std::size_t size() const {  // once read, a list that Python changes is what it was
        return state_ == State::Usable ? terms_.size()
                                       : static_cast<std::size_t>(PySequence_Fast_GET_SIZE(list_.ptr()));
    }
    const std::vector<Term>& terms() const { return terms_; }
    std::vector<Term> take_terms() { return std::move(terms_); }
    PyTypeObject* type() const { return type_; }   // of all Values among them; null where all are numbers
    std::uint8_t flags() const { return flags_; }  // of all Values among them
    bool plain() const { return !(flags_ & (Stateful | Tracked)); }

    // Whether all are numbers and Values of one family.
    bool usable() {
        if (state_ == State::Unknown) state_ = read() ? State::Usable : State::Foreign;
        return state_ == State::Usable && same_type();
    }

    py::object list() {
        if (!list_) {
            list_ = checked(PyList_New(static_cast<Py_ssize_t>(terms_.size())));
            for (std::size_t i = 0; i < terms_.size(); ++i)
                PyList_SET_ITEM(list_.ptr(), static_cast<Py_ssize_t>(i),
                                checked(handle_of(terms_[i].node())).release().ptr());
        }
        return list_;
    }

    // What a layer returns: the list, or its only entry.
    py::object result() {
        if (list_) {
            if (PySequence_Fast_GET_SIZE(list_.ptr()) != 1) return list_;
            return borrowed(PySequence_Fast_GET_ITEM(list_.ptr(), 0));
        }
        if (terms_.size() != 1) return list();
        Term only = std::move(terms_[0]);
        return to_py(std::move(only));
    }

  private:
    enum class State { Unknown, Usable, Foreign };

    bool read() {
        terms_.reserve(static_cast<std::size_t>(PySequence_Fast_GET_SIZE(list_.ptr())));
        for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list_.ptr()); ++i) {
            const py::object item = borrowed(PySequence_Fast_GET_ITEM(list_.ptr(), i));
            if (is_value(item.ptr()) && !is_exact_value(item.ptr())) return false;
            if (!to_term(item.ptr(), terms_)) return false;
        }
        return true;
    }

    bool same_type() {
        if (typed_) return one_type_;
        typed_ = true;
        one_type_ = true;
        for (const Term& term : terms_) {
            if (term.is_number()) continue;
            flags_ |= term.node()->flags;
            PyTypeObject* type = families[term.node()->family].type;
            if (type_ && type != type_) one_type_ = false;
            type_ = type;
        }
        return one_type_;
    }

    py::object list_;
    std::vector<Term> terms_;
    State state_ = State::Unknown;
    PyTypeObject* type_ = nullptr;
    bool typed_ = false, one_type_ = false;
    std::uint8_t flags_ = 0;
};

// One call of a network: what was looked up last, valid until Python code runs.
class NetworkCall {
  public:
    NetworkCall() : builder_(recording()) { weights_.reserve(16); }

    // Adds the neuron's output to outs, or sets `foreign` where that is no plain Value. False where the neuron has to
    // be called in Python.
    bool neuron(PyObject* neuron, Activations& inputs, std::vector<Term>& outs, py::object& foreign) {
        if (!inputs.usable()) return false;
        PyTypeObject* type = Py_TYPE(neuron);
        if (type != neuron_type_) {
            facts_ = neuron_facts(type);
            neuron_type_ = type;
        }
        if (!facts_.native) return false;
        py::object dict = dict_of(neuron);
        if (!dict) throw py::error_already_set();
        const Fields fields(dict);
        py::object w = borrowed(fields.w), b = borrowed(fields.b), activation = borrowed(fields.activation);
        if (!w || !b || !PyList_CheckExact(w.ptr()) || !is_exact_value(b.ptr()) || fields.weighted_sum) return false;
        if (PyList_GET_SIZE(w.ptr()) != static_cast<Py_ssize_t>(inputs.size()) || inputs.size() == 0) return false;
        PyTypeObject* value = Py_TYPE(b.ptr());
        if (!weights_of(w.ptr(), value) || (inputs.type() && inputs.type() != value) || !operators_intact(value))
            return false;
        if (!facts_.native_activation || fields.activate) {
            activation = py::object();  // `activate` is the author's
        } else {
            if (!activation) activation = borrowed(look_up(type, names().activation));
            if (!activation) return false;
            if (facts_.nonlin) {
                if (!fields.nonlin || !PyBool_Check(fields.nonlin)) return false;  // its truth may be Python code
                if (fields.nonlin == Py_False) activation = py::none();
            }
            if (!known_activation(activation.ptr(), value)) return false;
        }

        const bool native = activation && (linear_ || row_);
        const bool plain = native && plain_weights_ && Builder::is_plain(node_of(b.ptr())) && inputs.plain();
        if (plain && builder_.is_recording()) {
            const Builder::Activation last =
                linear_ ? Builder::Activation{} : Builder::Activation{row_->op, row_->constant};
            Node* const bias = node_of(b.ptr());
            const auto dialect = static_cast<std::uint8_t>((weights_flags_ | inputs.flags() | bias->flags) & ExactInts);
            outs.push_back(builder_.plain_neuron(weights_, inputs.terms(), bias, facts_.bias_first, last, dialect));
            return true;
        }
        std::vector<Term> kept;  // a handle may be made on the way, and with it a collection and Python's code
        for (Node* node : weights_) kept.push_back(Term::share(node));
        Term bias = Term::share(node_of(b.ptr()));
        Term sum =
            builder_.weighted_sum(facts_.bias_first ? std::move(bias) : Term(0.0, IntKind), weights_, inputs.terms());
        if (!facts_.bias_first) sum = builder_.add(sum, bias);
        if (native) {
            outs.push_back(linear_ ? std::move(sum) : builder_.apply(row_->op, sum, row_->constant));
        } else {
            py::object z = to_py(std::move(sum));
            py::object out =
                checked(!activation ? PyObject_CallMethodOneArg(neuron, names().activate, z.ptr())
                        : PyUnicode_Check(activation.ptr()) ? PyObject_CallMethodNoArgs(z.ptr(), activation.ptr())
                                                            : PyObject_CallOneArg(activation.ptr(), z.ptr()));
            forget();
            take(std::move(out), outs, foreign);
        }
        return true;
    }

    Activations layer(PyObject* layer, Activations inputs) {
        std::vector<Term> outs = std::move(spare_);
        py::object mixed;  // the outputs so far, once one of them was no plain Value
        py::object neurons = checked(PyObject_GetAttr(layer, names().neurons));
        if (!PyList_CheckExact(neurons.ptr())) neurons = checked(PySequence_List(neurons.ptr()));
        outs.reserve(static_cast<std::size_t>(PyList_GET_SIZE(neurons.ptr())));
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(neurons.ptr()); ++i) {
            py::object each = borrowed(PyList_GET_ITEM(neurons.ptr(), i)), foreign;
            if (!neuron(each.ptr(), inputs, outs, foreign)) take(in_python(each.ptr(), inputs.list()), outs, foreign);
            if (!mixed && !foreign) continue;
            if (!mixed) {
                mixed = Activations(std::move(outs)).list();
                outs.clear();
            }
            if (!foreign) {
                foreign = to_py(std::move(outs.back()));
                outs.pop_back();
            }
            if (PyList_Append(mixed.ptr(), foreign.ptr()) < 0) throw py::error_already_set();
        }
        spare_ = inputs.take_terms();
        spare_.clear();
        return mixed ? Activations(mixed) : Activations(std::move(outs));
    }

    py::object in_python(PyObject* callable, const py::object& argument) {
        const Outside outside;
        py::object result = checked(PyObject_CallOneArg(callable, argument.ptr()));
        forget();
        return result;
    }

  private:
    static void take(py::object out, std::vector<Term>& outs, py::object& foreign) {
        if (!is_exact_value(out.ptr())) {
            foreign = std::move(out);
            return;
        }
        Node* node = node_of(out.ptr());
        outs.push_back(Term::own(node, out.release().ptr()));
    }

    void forget() {
        neuron_type_ = nullptr;
        intact_ = nullptr;
        activation_ = nullptr;
    }

    // The nodes of the weights, where all of them are Values of exactly this type.
    bool weights_of(PyObject* list, PyTypeObject* type) {
        Py_ssize_t count = PyList_GET_SIZE(list);
        PyObject** items = PySequence_Fast_ITEMS(list);
        weights_.resize(static_cast<std::size_t>(count));
        std::uint8_t flags = 0, kinds = 0;
        for (Py_ssize_t i = 0; i < count; ++i) {
            if (Py_TYPE(items[i]) != type) return false;
            Node* const node = node_of(items[i]);
            flags |= node->flags;
            kinds |= node->kinds.data;
            weights_[static_cast<std::size_t>(i)] = node;
        }
        weights_flags_ = flags;
        plain_weights_ = !(flags & (Stateful | Tracked)) && !(kinds & IntKind);
        return true;
    }

    bool operators_intact(PyTypeObject* type) {
        if (type == intact_) return true;
        if (!has_own_operators(type)) return false;
        intact_ = type;
        return true;
    }

    // Names the activation: null for none, the row of a method as the engine made it, or something to be called.
    bool known_activation(PyObject* activation, PyTypeObject* type) {
        if (activation == activation_ && type == activation_type_) return true;
        row_ = nullptr;
        linear_ = activation == Py_None;
        if (PyUnicode_CheckExact(activation)) {
            linear_ = PyUnicode_Compare(activation, names().linear) == 0;
            const ActivationRow* row = find_activation(activation);
            if (row && look_up(type, row->name) == row->method) row_ = row;
        } else if (activation != Py_None && !PyCallable_Check(activation)) {
            return false;
        }
        activation_ = activation;
        activation_type_ = type;
        return true;
    }

    Builder builder_;
    std::vector<Node*> weights_;  // scratch
    std::vector<Term> spare_;     // memory for the next layer's terms
    bool plain_weights_ = false;
    std::uint8_t weights_flags_ = 0;
    PyTypeObject* neuron_type_ = nullptr;
    NeuronFacts facts_;
    PyTypeObject* intact_ = nullptr;
    PyObject* activation_ = nullptr;
    PyTypeObject* activation_type_ = nullptr;
    const ActivationRow* row_ = nullptr;
    bool linear_ = false;
};

// A call's argument as a list: the numbers of an array or column, what it iterates over, or itself alone where it is a
// single number or Value.
py::object as_list(PyObject* x) {
    if (PyList_CheckExact(x) || PyTuple_CheckExact(x)) return borrowed(x);
    if (!is_value(x)) return checked(sample(x));
    py::object list = checked(PyList_New(1));
    PyList_SET_ITEM(list.ptr(), 0, Py_NewRef(x));
    return list;
}

bool two_arguments(const char* name, Py_ssize_t count) {
    if (count == 2) return true;
    PyErr_Format(PyExc_TypeError, "%s() takes 2 arguments, not %zd", name, count);
    return false;
}

// The neuron's output built natively, or None where an author's change asks for Python.
PyObject* call_neuron(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (!two_arguments("call_neuron", count)) return nullptr;
    return guarded([&]() -> py::object {
        Activations inputs(as_list(args[1]));
        std::vector<Term> outs;
        py::object foreign;
        if (!NetworkCall().neuron(args[0], inputs, outs, foreign)) return py::none();
        return foreign ? foreign : to_py(std::move(outs[0]));
    });
}

PyObject* call_layer(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (!two_arguments("call_layer", count)) return nullptr;
    return guarded(
        [&]() -> py::object { return NetworkCall().layer(args[0], Activations(as_list(args[1]))).result(); });
}

// Feeds x through a sequence of layers.
PyObject* call_layers(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (!two_arguments("call_layers", count)) return nullptr;
    return guarded([&]() -> py::object {
        py::object layers = PyList_CheckExact(args[0]) ? borrowed(args[0]) : checked(PySequence_List(args[0]));
        py::object out = borrowed(args[1]);
        NetworkCall call;
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(layers.ptr());) {
            py::object layer = borrowed(PyList_GET_ITEM(layers.ptr(), i));
            if (!is_native_layer(Py_TYPE(layer.ptr()))) {
                out = call.in_python(layer.ptr(), out);
                ++i;
                continue;
            }
            Activations signals(as_list(out.ptr()));
            while (i < PyList_GET_SIZE(layers.ptr())) {
                layer = borrowed(PyList_GET_ITEM(layers.ptr(), i));
                if (!is_native_layer(Py_TYPE(layer.ptr()))) break;
                signals = call.layer(layer.ptr(), std::move(signals));
                ++i;
            }
            out = signals.result();
        }
        return out;
    });
}

// --- parameters --------------------------------------------------------------------------------------------------

void extend(const py::object& list, PyObject* more) {
    py::object result = checked(PyObject_CallMethod(list.ptr(), "extend", "O", more));
}

// Modules in modules, which may be in themselves.
class Nested {
  public:
    Nested() {
        if (Py_EnterRecursiveCall(" while collecting the parameters of a module")) throw py::error_already_set();
    }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;
    ~Nested() { Py_LeaveRecursiveCall(); }
};

void collect_parameters(const py::object& found, PyObject* module) {
    const Nested descent;
    PyTypeObject* type = Py_TYPE(module);
    if (type->tp_getattro == PyObject_GenericGetAttr && type->tp_dictoffset != 0) {
        PyObject* method = look_up(type, names().parameters);
        py::object dict = checked(PyObject_GenericGetDict(module, nullptr));
        bool hidden = get(dict, names().parameters) != nullptr;
        if (!hidden && is_layers_parameters(method) && !look_up(type, names().neurons)) {
            py::object neurons = borrowed(get(dict, names().neurons));
            if (neurons && PyList_CheckExact(neurons.ptr())) {
                for (Py_ssize_t i = 0; i < PyList_GET_SIZE(neurons.ptr()); ++i)
                    collect_parameters(found, borrowed(PyList_GET_ITEM(neurons.ptr(), i)).ptr());
                return;
            }
        }
        if (!hidden && is_neurons_parameters(method) && !look_up(type, names().w) && !look_up(type, names().b)) {
            py::object w = borrowed(get(dict, names().w)), b = borrowed(get(dict, names().b));
            if (w && b && PyList_CheckExact(w.ptr())) {
                Py_ssize_t end = PyList_GET_SIZE(found.ptr());
                if (PyList_SetSlice(found.ptr(), end, end, w.ptr()) < 0 || PyList_Append(found.ptr(), b.ptr()) < 0)
                    throw py::error_already_set();
                return;
            }
        }
    }
    py::object more = checked(PyObject_CallMethodNoArgs(module, names().parameters));
    extend(found, more.ptr());
}

// The parameters of all modules in a sequence, one after the other.
PyObject* parameters_of(PyObject*, PyObject* modules) {
    return guarded([&]() -> py::object {
        py::object list = PyList_CheckExact(modules) ? borrowed(modules) : checked(PySequence_List(modules));
        py::object found = checked(PyList_New(0));
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list.ptr()); ++i)
            collect_parameters(found, borrowed(PyList_GET_ITEM(list.ptr(), i)).ptr());
        return found;
    });
}

PyMethodDef network_functions[] = {
    method<call_neuron>(
        "call_neuron", METH_FASTCALL,
        "call_neuron(neuron, x, /)\n--\n\nThe neuron's output built natively, or None where Python has to do it."),
    method<call_layer>("call_layer", METH_FASTCALL, "call_layer(layer, x, /)\n--\n\nThe outputs of a layer's neurons."),
    method<call_layers>("call_layers", METH_FASTCALL,
                        "call_layers(layers, x, /)\n--\n\nFeed x through the layers in turn."),
    method<parameters_of>("parameters_of", METH_O,
                          "parameters_of(modules, /)\n--\n\nThe parameters of all modules, one after the other."),
    {nullptr, nullptr, 0, nullptr},
};

bool bind_operands_of(Node* node, void*& handle) {
    bool bound = true;
    for_each_operand(node, [&](Node* operand) { bound &= pin_operand(operand); });
    if (bound) return true;
    handle = wrap_slow(node);
    return handle != nullptr;
}

}  // namespace

void add_network(py::module_& m) {
    add_network_classes(m);
    nn::bind_operands_of = bind_operands_of;
    if (PyModule_AddFunctions(m.ptr(), network_functions) < 0) throw py::error_already_set();
}

}  // namespace kilograd
