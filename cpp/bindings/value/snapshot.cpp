#include "snapshot.hpp"

#include <pybind11/pybind11.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <unordered_map>

#include "../../engine/order.hpp"
#include "../boxed.hpp"
#include "../modes.hpp"
#include "../numbers.hpp"
#include "../served/served.hpp"
#include "slot.hpp"

namespace py = pybind11;

namespace kilograd {

namespace {

py::object steal(PyObject* object) {
    if (!object) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(object);
}

py::object core_function(const char* name) { return py::module_::import("kilograd._core").attr(name); }

// --- the Python state of one handle ------------------------------------------------------------------------------

// What pickle sets after construction, in its own (attributes, slots) form; None where there is nothing.
py::object attributes_of(Handle* handle) {
    py::object attributes = py::none();
    if (handle->dict && PyDict_GET_SIZE(handle->dict) > 0)
        attributes = py::reinterpret_borrow<py::object>(handle->dict);
    py::dict slots;
    if (handle->node->is_foreign()) {  // through the class's own attributes, and not past them into the __dict__
        slots = py::reinterpret_steal<py::dict>(PyDict_Copy(handle->dict));
        attributes = py::none();
    }
    if (handle->state && handle->state->rule) slots["_backward"] = py::handle(handle->state->rule);
    if (!is_exact_value(as_object(handle))) {
        py::object self = py::reinterpret_borrow<py::object>(as_object(handle));
        for (py::handle name : py::tuple(py::module_::import("copyreg").attr("_slotnames")(py::type::of(self))))
            if (py::hasattr(self, name)) slots[name] = self.attr(name);
    }
    if (slots.empty()) return attributes;
    return py::make_tuple(attributes, slots);
}

// Of a copy: a setter may change the dictionary.
void set_all(PyObject* self, const py::dict& attributes) {
    const py::object copy = steal(PyDict_Copy(attributes.ptr()));
    for (auto item : py::reinterpret_borrow<py::dict>(copy)) py::setattr(self, item.first, item.second);
}

void set_attributes(PyObject* self, py::handle state) {
    if (state.is_none()) return;
    py::object attributes = py::reinterpret_borrow<py::object>(state);
    if (py::isinstance<py::tuple>(state)) {
        py::tuple pair = py::reinterpret_borrow<py::tuple>(state);
        attributes = pair[0];
        set_all(self, py::cast<py::dict>(pair[1]));
    }
    if (!attributes.is_none()) set_all(self, py::cast<py::dict>(attributes));
}

py::object or_none(PyObject* object) { return object ? py::reinterpret_borrow<py::object>(object) : py::none(); }

void set_names(Handle* handle, py::handle label, py::handle op) {
    auto put = [handle](PyObject* HandleState::*slot, py::handle name) {
        if (name.is_none()) return;
        HandleState* state = state_of(handle);
        if (!state) throw py::error_already_set();
        Py_XSETREF(state->*slot, Py_NewRef(name.ptr()));
        mark_state(handle, name.ptr());
    };
    put(&HandleState::label, label);
    put(&HandleState::op, op);
}

// A handle of a given Python class for a node that has none yet. Takes over a reference to the node.
py::object handle_of_type(Node* node, PyTypeObject* type) {
    if (type->tp_dealloc == handle_dealloc) return steal(new_handle(node));
    HalfBuilt guard;
    PyObject* self = type->tp_alloc(type, 0);
    if (!self) {
        release_node(node);
        throw py::error_already_set();
    }
    as_handle(self)->node = node;
    node->handle = self;
    py::object result = steal(self);
    mark_state(as_handle(self), nullptr);
    return result;
}

// --- leaves ------------------------------------------------------------------------------------------------------

py::tuple reduce_leaf(Handle* handle) {
    Node* node = handle->node;
    HandleState* state = handle->state;
    return py::make_tuple(
        core_function("_leaf"),
        py::make_tuple(py::type::of(py::handle(as_object(handle))), steal(served_number(node->data, node->kinds.data)),
                       steal(served_number(node->grad, node->kinds.grad)), or_none(state ? state->label : nullptr),
                       or_none(state ? state->op : nullptr)),
        attributes_of(handle));
}

py::object make_leaf(py::type type, py::object data, py::object grad, py::object label, py::object op) {
    auto* python_type = reinterpret_cast<PyTypeObject*>(type.ptr());
    Number number{}, gradient{};
    bool served = is_served_type(python_type);
    if (!PyType_IsSubtype(python_type, value_type) && !served)
        throw py::type_error("_leaf: the class must derive from Value");
    bool exact = served && is_number_like(data.ptr(), number) && is_number_like(grad.ptr(), gradient);
    if (!exact && (!require_number(data.ptr(), "the data of a Value", number) ||
                   !require_number(grad.ptr(), "the grad of a Value", gradient)))
        throw py::error_already_set();
    int family = family_of(python_type);
    Node* node = new_leaf(number.value, number.kind, static_cast<std::uint8_t>(family),
                          families[static_cast<std::size_t>(family)].dialect());
    node->grad = gradient.value;
    if (node->has(ExactInts)) node->kinds.grad = gradient.kind;
    py::object self = handle_of_type(node, python_type);
    set_names(as_handle(self.ptr()), label, op);
    return self;
}

// --- flat bytes --------------------------------------------------------------------------------------------------

class Writer {
  public:
    template <class T>
    void put(const T& item) {
        bytes_.append(reinterpret_cast<const char*>(&item), sizeof item);
    }
    void put_text(std::string_view text) {
        put(static_cast<std::uint8_t>(text.size()));
        bytes_.append(text);
    }
    void reserve(std::size_t size) { bytes_.reserve(size); }
    py::bytes take() const { return py::bytes(bytes_); }

  private:
    std::string bytes_;
};

class Reader {
  public:
    explicit Reader(std::string_view bytes) : bytes_(bytes) {}
    template <class T>
    T get() {
        if (bytes_.size() < sizeof(T)) throw py::value_error("Snapshot: the data ends too early");
        T item;
        std::memcpy(&item, bytes_.data(), sizeof item);
        bytes_.remove_prefix(sizeof item);
        return item;
    }
    std::string_view get_text() {
        const std::size_t size = get<std::uint8_t>();
        if (bytes_.size() < size) throw py::value_error("Snapshot: the data ends too early");
        const std::string_view text = bytes_.substr(0, size);
        bytes_.remove_prefix(size);
        return text;
    }
    std::size_t left() const { return bytes_.size(); }

  private:
    std::string_view bytes_;
};

// The operations of a snapshot, by name: their numbers change with every new row of ops.def. Nodes name them by their
// place in this list.
class Operations {
  public:
    void add(Op op) {
        std::uint8_t& place = place_[static_cast<std::size_t>(op)];
        if (place != absent) return;
        place = static_cast<std::uint8_t>(ops_.size());
        ops_.push_back(op);
    }
    std::uint8_t place_of(Op op) const { return place_[static_cast<std::size_t>(op)]; }
    Op at(std::uint8_t place) const {
        if (place >= ops_.size()) throw py::value_error("Snapshot: unknown op");
        return ops_[place];
    }

    void write(Writer& out) const {
        out.put(static_cast<std::uint8_t>(ops_.size()));
        for (Op op : ops_) {
            out.put_text(info(op).name);
            out.put(info(op).arity);
        }
    }
    void read(Reader& in) {
        const std::size_t count = in.get<std::uint8_t>();
        for (std::size_t k = 0; k < count; ++k) {
            const std::string_view name = in.get_text();
            const auto arity = in.get<Arity>();
            const auto found =
                std::find_if(op_infos + 1, op_infos + op_count, [&](const OpInfo& row) { return row.name == name; });
            if (found == op_infos + op_count || found->arity != arity)
                throw py::value_error("Snapshot: the operation '" + std::string(name) +
                                      "' is not one of this version of kilograd");
            ops_.push_back(static_cast<Op>(found - op_infos));
        }
    }

  private:
    static constexpr std::uint8_t absent = 255;
    static_assert(op_count < absent);
    std::vector<Op> ops_;
    std::vector<std::uint8_t> place_ = std::vector<std::uint8_t>(op_count, absent);
};

std::uint8_t pack(Kinds kinds) { return static_cast<std::uint8_t>(kinds.data | kinds.grad << 2 | kinds.constant << 4); }
Kinds unpack(std::uint8_t byte) {
    return {static_cast<std::uint8_t>(byte & 3), static_cast<std::uint8_t>(byte >> 2 & 3),
            static_cast<std::uint8_t>(byte >> 4 & 3)};
}

// Whether a stored number is of its kind: what is read as an int must be one.
void check_kind(double value, std::uint8_t kind, bool served) {
    bool integer = std::fabs(value) <= exact_integers && value == std::trunc(value);
    if (kind == FloatKind || (kind == NumpyKind && served) || (kind == IntKind && integer) ||
        (kind == BoolKind && (value == 0.0 || value == 1.0)))
        return;
    throw py::value_error("Snapshot: a number is not of its kind");
}

// --- snapshots ---------------------------------------------------------------------------------------------------

// Holds a reference to each of its nodes. Places are numbered: externals, then hidden leaves, then interior nodes.
class Snapshot {
  public:
    using boxed = void;
    PyObject* box = nullptr;

    Snapshot() = default;
    Snapshot(const Snapshot&) = delete;
    Snapshot& operator=(const Snapshot&) = delete;
    ~Snapshot();

    static std::unique_ptr<Snapshot> of(Node* root);        // a new one, of what no living snapshot holds already
    static Snapshot* find(Node* node, std::size_t* place);  // the living one that holds this interior node

    py::bytes dump() const;
    static std::unique_ptr<Snapshot> load(py::bytes bytes, py::list externals, py::list types, py::list classes);
    static py::object deepcopy(py::object self, py::dict memo);
    py::list externals() const;
    py::list types() const;    // of the families; for served classes with what their op attribute shows
    py::list classes() const;  // (place, class) of the interior nodes of subclasses
    py::list states() const;
    void set_states(py::list states);
    py::object pick(std::size_t place);

  private:
    void hold(std::vector<Node*>& where, Node* node) {
        where.push_back(node);
        ++node->refs;
    }
    void publish();  // makes the interior nodes known to find()
    std::size_t first_interior() const { return externals_.size() + leaves_.size(); }

    std::vector<Node*> externals_;  // leaves that others know, and nodes of other snapshots
    std::vector<Node*> leaves_;     // leaves that these nodes alone refer to
    std::vector<Node*> interior_;   // ascending in tape order, so ascending in address within a chunk
    std::unordered_map<const Chunk*, std::pair<std::size_t, std::size_t>> ranges_;  // of interior_, by chunk
};

// The living snapshots that hold nodes of a chunk.
std::unordered_map<const Chunk*, std::vector<Snapshot*>> published;

Snapshot::~Snapshot() {
    for (Node* node : interior_) node->flags &= static_cast<std::uint8_t>(~InSnapshot);
    for (auto& [chunk, range] : ranges_) {
        auto found = published.find(chunk);
        if (found == published.end()) continue;  // it had no memory to be published
        std::erase(found->second, this);
        if (found->second.empty()) published.erase(found);
    }
    for (std::vector<Node*>* nodes : {&interior_, &leaves_, &externals_})
        for (auto node = nodes->rbegin(); node != nodes->rend(); ++node) release(*node);
    release_pending();
}

void Snapshot::publish() {
    for (std::size_t i = 0; i < interior_.size(); ++i) {
        interior_[i]->flags |= InSnapshot;
        auto [range, fresh] = ranges_.try_emplace(Chunk::of(interior_[i]), i, i + 1);
        if (!fresh) {
            range->second.second = i + 1;
        } else {
            published[range->first].push_back(this);
        }
    }
}

Snapshot* Snapshot::find(Node* node, std::size_t* place) {
    if (!node->has(InSnapshot)) return nullptr;
    auto found = published.find(Chunk::of(node));
    // The newest first: a list of all values of a chain is pickled as one snapshot for each.
    for (auto newest = found->second.rbegin(); newest != found->second.rend(); ++newest) {
        Snapshot* snapshot = *newest;
        auto [begin, end] = snapshot->ranges_.at(found->first);
        auto first = snapshot->interior_.begin();
        auto at = std::lower_bound(first + static_cast<std::ptrdiff_t>(begin), first + static_cast<std::ptrdiff_t>(end),
                                   node);
        if (at == first + static_cast<std::ptrdiff_t>(end) || *at != node) continue;
        if (place) *place = snapshot->first_interior() + static_cast<std::size_t>(at - first);
        return snapshot;
    }
    return nullptr;
}

std::unique_ptr<Snapshot> Snapshot::of(Node* root) {
    auto snapshot = std::make_unique<Snapshot>();
    Ancestry found = ancestors(&root, 1, [](Node* node) { return find(node, nullptr) != nullptr; });
    for (Node* node : found.outside) snapshot->hold(snapshot->externals_, node);
    // Without the references that its own nodes hold, a leaf is known to others or it is not.
    auto each_edge_to_leaf = [&](auto&& fn) {
        for (Node* node : found.interior)
            for_each_operand(node, [&](Node* operand) { operand->is_leaf() ? fn(operand) : void(); });
    };
    for (std::vector<Node*>* where : {&snapshot->externals_, &snapshot->leaves_})
        where->reserve(where->size() + found.leaves.size());  // nothing fails in between
    each_edge_to_leaf([](Node* leaf) { --leaf->refs; });
    for (Node* leaf : found.leaves)
        snapshot->hold(leaf->handle || leaf->refs > 0 ? snapshot->externals_ : snapshot->leaves_, leaf);
    each_edge_to_leaf([](Node* leaf) { ++leaf->refs; });
    for (auto node = found.interior.rbegin(); node != found.interior.rend(); ++node)
        snapshot->hold(snapshot->interior_, *node);
    snapshot->publish();
    return snapshot;
}

constexpr std::uint32_t snapshot_version = 3;

// What the op attribute of served classes shows, numbered within each family from 1 on; 0 is nothing.
class Patterns {
  public:
    std::uint16_t number(const Node* node) {
        PyObject* pattern = op_pattern(node);
        if (!pattern) return 0;
        std::vector<PyObject*>& known = of(node->family);
        auto at = std::find(known.begin(), known.end(), pattern);
        if (at == known.end()) at = known.insert(at, pattern);
        return static_cast<std::uint16_t>(at - known.begin() + 1);
    }
    std::vector<PyObject*>& of(std::uint8_t family) { return patterns_[family]; }

  private:
    std::unordered_map<std::uint8_t, std::vector<PyObject*>> patterns_;
};

py::bytes Snapshot::dump() const {
    std::unordered_map<const Node*, std::uint32_t> place;  // of externals and leaves
    for (const std::vector<Node*>* nodes : {&externals_, &leaves_})
        for (const Node* node : *nodes) place.emplace(node, static_cast<std::uint32_t>(place.size()));
    std::unordered_map<int, std::uint8_t> type_place;
    for (const std::vector<Node*>* nodes : {&leaves_, &interior_})
        for (const Node* node : *nodes) type_place.emplace(node->family, static_cast<std::uint8_t>(type_place.size()));
    auto place_of = [&](const Node* node) {
        auto external = place.find(node);
        if (external != place.end()) return external->second;
        auto [begin, end] = ranges_.at(Chunk::of(node));
        auto first = interior_.begin();
        auto at = std::lower_bound(first + static_cast<std::ptrdiff_t>(begin), first + static_cast<std::ptrdiff_t>(end),
                                   node);
        return static_cast<std::uint32_t>(first_interior() + static_cast<std::size_t>(at - first));
    };
    Writer out;
    out.reserve(64 + 19 * leaves_.size() + 35 * interior_.size());
    out.put(snapshot_version);
    out.put(static_cast<std::uint32_t>(externals_.size()));
    out.put(static_cast<std::uint32_t>(leaves_.size()));
    out.put(static_cast<std::uint32_t>(interior_.size()));
    Operations operations;
    for (const Node* node : interior_) operations.add(node->op);
    operations.write(out);
    auto put_numbers = [&](const Node* node) {
        Kinds kinds = node->kinds;
        if (node->is_leaf() && !families[node->family].dialect())
            kinds.grad = FloatKind;  // a number beside two dialects
        out.put(pack(kinds));
        out.put(type_place.at(node->family));
        out.put(node->data);
        out.put(node->grad);
    };
    Patterns patterns;
    for (const Node* node : leaves_) put_numbers(node);
    for (const Node* node : interior_) {
        put_numbers(node);
        out.put(operations.place_of(node->op));
        if (is_served(node)) out.put(patterns.number(node));
        if (node->has_fan()) {
            out.put(node->fan->count);
            for (Fan::Edge& edge : *node->fan) {
                out.put(place_of(edge.operand));
                out.put(edge.local);
                out.put(edge.kind);
            }
            continue;
        }
        out.put(place_of(node->a));
        Arity arity = info(node->op).arity;
        if (arity == Arity::Binary) out.put(place_of(node->b));
        if (arity == Arity::Param) out.put(node->constant);
    }
    return out.take();
}

py::list Snapshot::types() const {
    py::list types;
    Patterns patterns;
    for (const Node* node : interior_)
        if (is_served(node)) patterns.number(node);
    std::vector<bool> seen(families.size());
    for (const std::vector<Node*>* nodes : {&leaves_, &interior_}) {
        for (const Node* node : *nodes) {
            if (seen[node->family]) continue;
            seen[node->family] = true;
            py::handle type(reinterpret_cast<PyObject*>(families[node->family].type));
            if (!is_served(node)) {
                types.append(type);
                continue;
            }
            py::list texts;
            for (PyObject* text : patterns.of(node->family)) texts.append(py::handle(text));
            types.append(py::make_tuple(type, texts));
        }
    }
    return types;
}

std::unique_ptr<Snapshot> Snapshot::load(py::bytes bytes, py::list externals, py::list types, py::list classes) {
    const py::tuple all_classes(classes);  // made before there are nodes: a collection may give them handles
    Reader in{std::string_view(bytes)};
    if (in.get<std::uint32_t>() != snapshot_version)
        throw py::value_error("Snapshot: written by another version of kilograd");
    auto snapshot = std::make_unique<Snapshot>();
    std::size_t external_count = in.get<std::uint32_t>();
    std::size_t leaf_count = in.get<std::uint32_t>();
    std::size_t interior_count = in.get<std::uint32_t>();
    if (external_count != externals.size() || leaf_count > in.left() || interior_count > in.left())
        throw py::value_error("Snapshot: the counts do not fit the data");
    Operations operations;
    operations.read(in);
    std::vector<std::uint8_t> family;
    std::vector<std::vector<py::str>> patterns;
    for (py::handle entry : types) {
        py::handle type = entry;
        patterns.emplace_back();
        if (py::isinstance<py::tuple>(entry)) {
            type = py::reinterpret_borrow<py::tuple>(entry)[0];
            for (py::handle text : py::cast<py::list>(py::reinterpret_borrow<py::tuple>(entry)[1]))
                patterns.back().push_back(py::cast<py::str>(text));
        }
        if (!PyType_Check(type.ptr())) throw py::type_error("Snapshot: a family must be a class");
        family.push_back(static_cast<std::uint8_t>(family_of(reinterpret_cast<PyTypeObject*>(type.ptr()))));
    }
    std::vector<Node*> places;
    places.reserve(external_count + leaf_count + interior_count);
    snapshot->leaves_.reserve(leaf_count);
    snapshot->interior_.reserve(interior_count);
    for (py::handle external : externals) {
        if (!is_value(external.ptr())) throw py::type_error("Snapshot: an external node must be a Value");
        places.push_back(node_of(external.ptr()));
        snapshot->hold(snapshot->externals_, places.back());
    }
    auto operand = [&] {
        std::uint32_t place = in.get<std::uint32_t>();
        if (place >= places.size()) throw py::value_error("Snapshot: an operand must come before its node");
        return places[place];
    };
    std::uint8_t type = 0;
    auto numbers = [&](Node& node) {
        node.kinds = unpack(in.get<std::uint8_t>());
        type = in.get<std::uint8_t>();
        if (type >= family.size()) throw py::value_error("Snapshot: unknown family");
        node.family = family[type];
        node.data = in.get<double>();
        node.grad = in.get<double>();
        check_kind(node.data, node.kinds.data, is_served(&node));
        check_kind(node.grad, node.kinds.grad, is_served(&node));
    };
    // A gradient that is an int belongs to a node that expects some, whatever its class.
    auto dialect_of = [](const Node& read) -> std::uint8_t {
        return read.kinds.grad == FloatKind ? families[read.family].dialect() : std::uint8_t{ExactInts};
    };
    for (std::size_t i = 0; i < leaf_count; ++i) {
        Node read{};
        numbers(read);
        Node* node = new_leaf(read.data, static_cast<Kind>(read.kinds.data), read.family, dialect_of(read));
        node->grad = read.grad;
        node->kinds = read.kinds;
        snapshot->leaves_.push_back(node);
        places.push_back(node);
    }
    for (std::size_t i = 0; i < interior_count; ++i) {
        Node read{};
        numbers(read);
        Op op = operations.at(in.get<std::uint8_t>());
        std::uint16_t pattern = is_served(&read) ? in.get<std::uint16_t>() : std::uint16_t{0};
        if (pattern > patterns[type].size()) throw py::value_error("Snapshot: unknown text of an op");
        Node* node;
        if (op == Op::custom || op == Op::linear) {
            std::uint32_t count = in.get<std::uint32_t>();
            if (count > in.left()) throw py::value_error("Snapshot: the counts do not fit the data");
            std::vector<Fan::Edge> edges;
            for (std::uint32_t k = 0; k < count; ++k) {
                Node* to = operand();
                double local = in.get<double>();
                edges.push_back({to, local, in.get<std::uint8_t>()});
                check_kind(local, edges.back().kind, is_served(&read));
            }
            Fan* fan = new_fan(count);
            std::copy(edges.begin(), edges.end(), fan->begin());
            node = record_fan(op, read.data, FloatKind, fan, read.family, 0);
        } else {
            Node* a = operand();
            Node* b = info(op).arity == Arity::Binary ? operand() : nullptr;
            double c = info(op).arity == Arity::Param ? in.get<double>() : 0.0;
            check_kind(c, read.kinds.constant, is_served(&read));
            Node like{};
            like.family = read.family;
            node = record(op, read.data, FloatKind, a, b, c, FloatKind, &like);
        }
        node->flags |= dialect_of(read);
        node->grad = read.grad;
        node->kinds = read.kinds;
        snapshot->interior_.push_back(node);
        places.push_back(node);
        if (pattern) note_op_pattern(node, patterns[type][pattern - 1u].ptr());
    }
    for (Node* node : snapshot->externals_) pin_state(node);
    // Before any state is set: an attribute may lead to a node of a subclass, which must not come as a plain Value.
    for (py::handle item : all_classes) {
        auto [place, type] = py::cast<std::tuple<std::size_t, py::type>>(item);
        auto* python_type = reinterpret_cast<PyTypeObject*>(type.ptr());
        if (place >= snapshot->interior_.size() || snapshot->interior_[place]->handle ||
            !(PyType_IsSubtype(python_type, value_type) || is_served_type(python_type)))
            throw py::value_error("Snapshot: the classes do not fit the data");
        ++snapshot->interior_[place]->refs;
        handle_of_type(snapshot->interior_[place], python_type);
    }
    snapshot->publish();
    return snapshot;
}

// As pickle does by itself: what is met again while the leaves are being copied is not copied twice.
py::object Snapshot::deepcopy(py::object self, py::dict memo) {
    py::object copy = py::module_::import("copy").attr("deepcopy");
    auto& snapshot = Box<Snapshot>::expect(self.ptr());
    py::int_ key(reinterpret_cast<std::uintptr_t>(self.ptr()));  // id(self)
    py::list externals = copy(snapshot.externals(), memo);
    if (memo.contains(key)) return memo[key];
    py::object twin = Box<Snapshot>::make(load(snapshot.dump(), externals, snapshot.types(), snapshot.classes()));
    memo[key] = twin;
    auto& made = Box<Snapshot>::expect(twin.ptr());
    const std::vector<Node*>& copies = made.interior_;
    for (std::size_t i = 0; i < copies.size(); ++i)
        if (copy_shares_rule(snapshot.interior_[i]) && !share_rule(snapshot.interior_[i], copies[i]))
            throw py::error_already_set();
    made.set_states(copy(snapshot.states(), memo));
    return twin;
}

py::list Snapshot::externals() const {
    py::list values;
    for (Node* node : externals_) values.append(steal(handle_of(node)));
    return values;
}

py::list Snapshot::classes() const {
    py::list classes;
    for (std::size_t i = 0; i < interior_.size(); ++i) {
        auto* self = static_cast<PyObject*>(interior_[i]->handle);
        if (self && !is_exact_value(self)) classes.append(py::make_tuple(i, py::type::of(py::handle(self))));
    }
    return classes;
}

py::list Snapshot::states() const {
    py::list states;
    for (std::size_t i = 0; i < interior_.size(); ++i) {
        auto* handle = static_cast<Handle*>(interior_[i]->handle);
        if (!handle || !interior_[i]->has(Stateful)) continue;
        const py::object held = py::reinterpret_borrow<py::object>(as_object(handle));
        HandleState* state = handle->state;
        states.append(py::make_tuple(i, or_none(state ? state->label : nullptr), or_none(state ? state->op : nullptr),
                                     attributes_of(handle)));
    }
    return states;
}

void Snapshot::set_states(py::list states) {
    for (py::handle item : py::tuple(states)) {
        py::tuple entry = py::reinterpret_borrow<py::tuple>(item);
        Node* node = interior_.at(py::cast<std::size_t>(entry[0]));
        py::object self = steal(handle_of(node));
        set_names(as_handle(self.ptr()), entry[1], entry[2]);
        set_attributes(self.ptr(), entry[3]);
    }
}

py::object Snapshot::pick(std::size_t place) {
    if (place < first_interior() || place - first_interior() >= interior_.size())
        throw py::value_error("Snapshot: no such node");
    return steal(handle_of(interior_[place - first_interior()]));
}

}  // namespace

// pickle names functions by module and name, so these are plain C functions of the module.
namespace {

template <class Fn>
PyObject* guarded(Fn&& fn) {
    return py::object(fn()).release().ptr();
}

PyObject* leaf_function(PyObject*, PyObject* args) {
    return guarded([&] {
        auto [type, data, grad, label, op] =
            py::cast<std::tuple<py::type, py::object, py::object, py::object, py::object>>(py::handle(args));
        return make_leaf(type, data, grad, label, op);
    });
}

PyObject* pick_function(PyObject*, PyObject* args) {
    return guarded([&] {
        auto [owner, place] = py::cast<std::tuple<py::object, std::size_t>>(py::handle(args));
        return Box<Snapshot>::expect(owner.ptr()).pick(place);
    });
}

PyObject* load_function(PyObject*, PyObject* args) {
    return guarded([&] {
        auto [bytes, externals, types, classes] =
            py::cast<std::tuple<py::bytes, py::list, py::list, py::list>>(py::handle(args));
        return Box<Snapshot>::make(Snapshot::load(bytes, externals, types, classes));
    });
}

PyMethodDef functions[] = {
    method<leaf_function>("_leaf", METH_VARARGS, "A leaf as pickled: (class, data, grad, label, op)."),
    method<pick_function>("_pick", METH_VARARGS, "The value at a place of a snapshot."),
    method<load_function>("_load", METH_VARARGS, "A snapshot from (bytes, externals, families, classes)."),
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

PyObject* value_reduce(PyObject* self, PyObject*) {
    if (refuse_while_tracing("a deep copy or a pickle of a Value")) return nullptr;
    return guarded([&]() -> py::object {
        Handle* handle = as_handle(self);
        if (handle->node->is_leaf()) return reduce_leaf(handle);
        std::size_t place;
        Snapshot* snapshot = Snapshot::find(handle->node, &place);
        py::object owner;
        if (snapshot) {
            owner = py::reinterpret_borrow<py::object>(snapshot->box);
        } else {
            owner = Box<Snapshot>::make(Snapshot::of(handle->node));
            Snapshot::find(handle->node, &place);
        }
        return py::make_tuple(core_function("_pick"), py::make_tuple(owner, place));
    });
}

PyObject* value_copy(PyObject* self, PyObject*) {
    if (tracing()) return Py_NewRef(self);  // a number needs no copy
    return guarded([&] {
        Handle* handle = as_handle(self);
        const Node* node = handle->node;
        const std::uint8_t dialect = node->flags & ExactInts;
        Node* copy;
        if (node->is_leaf()) {
            copy = new_leaf(node->data, FloatKind, node->family, dialect);
        } else if (node->has_fan()) {
            Fan* fan = new_fan(node->fan->count);
            fan->tag = node->fan->tag;
            std::copy(node->fan->begin(), node->fan->end(), fan->begin());
            copy = record_fan(node->op, node->data, FloatKind, fan, node->family, dialect);
        } else {
            copy = record(node->op, node->data, FloatKind, node->a, node->b, node->constant, FloatKind, node);
        }
        copy->grad = node->grad;
        copy->kinds = node->kinds;
        copy->kinds.replayed = copy->kinds.foreign = 0;
        py::object result = handle_of_type(copy, Py_TYPE(self));
        Handle* copied = as_handle(result.ptr());
        if (copy_shares_rule(node) && !share_rule(handle->node, copy)) throw py::error_already_set();
        if (!bind_operands(copied)) throw py::error_already_set();
        if (HandleState* state = handle->state) set_names(copied, or_none(state->label), or_none(state->op));
        set_attributes(result.ptr(), attributes_of(handle));
        return result;
    });
}

PyObject* served_setstate(PyObject* self, PyObject* state) {
    return guarded([&]() -> py::object {
        set_attributes(self, state);
        return py::none();
    });
}

void add_snapshot(PyObject* module) {
    if (PyModule_AddFunctions(module, functions) < 0) throw py::error_already_set();
    BoxedType<Snapshot> type("kilograd._core.Snapshot",
                             "The nodes of a graph as flat arrays: what pickle and deepcopy see of it.");
    type.def("__reduce__", [](const Snapshot& snapshot) {
        return py::make_tuple(
            core_function("_load"),
            py::make_tuple(snapshot.dump(), snapshot.externals(), snapshot.types(), snapshot.classes()),
            snapshot.states());
    });
    type.def("__deepcopy__", &Snapshot::deepcopy);
    // pybind11 takes a function of the name __setstate__ for a constructor.
    type.def("_set_states", &Snapshot::set_states);
    type.type().attr("__setstate__") = type.type().attr("__dict__")["_set_states"];
}

}  // namespace kilograd
