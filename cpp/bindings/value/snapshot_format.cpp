#include "snapshot_format.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <unordered_map>

#include "../../engine/typed.hpp"
#include "../numbering.hpp"
#include "../numbers.hpp"

namespace kilograd {

namespace {

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

// The third bits of data and grad stand last: once there were none.
std::uint8_t pack(Kinds kinds) {
    return static_cast<std::uint8_t>((kinds.data & 3) | (kinds.grad & 3) << 2 | kinds.constant << 4 |
                                     kinds.data >> 2 << 6 | kinds.grad >> 2 << 7);
}
Kinds unpack(std::uint8_t byte) {
    return {static_cast<std::uint8_t>((byte & 3) | (byte >> 6 & 1) << 2),
            static_cast<std::uint8_t>((byte >> 2 & 3) | (byte >> 7 & 1) << 2),
            static_cast<std::uint8_t>(byte >> 4 & 3)};
}

// Whether a stored number is of its kind: what is read as an int must be one.
void check_kind(double value, std::uint8_t kind, bool numpy) {
    note_kind(kind);
    bool integer = std::fabs(value) <= exact_integers && value == std::trunc(value);
    if (kind == FloatKind || (kind == NumpyKind && numpy) || (kind == IntKind && integer) ||
        (kind == NumpyIntKind && numpy && integer) ||
        (kind == SingleKind && numpy && (value != value || static_cast<float>(value) == value)) ||
        (kind == BoolKind && (value == 0.0 || value == 1.0)))
        return;
    throw py::value_error("Snapshot: a number is not of its kind");
}

constexpr std::uint32_t snapshot_version = 3;

// What the op attribute of classes with conventions of their own shows, numbered within each family from 1 on; 0 is
// nothing.
class Patterns {
  public:
    std::uint16_t number(const Node* node) {
        PyObject* pattern = conventions_of(node)->op_pattern(node);
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

}  // namespace

py::bytes dump(const Snapshot& snapshot) {
    std::vector<Node*> nodes = snapshot.externals;
    for (const std::vector<Node*>* others : {&snapshot.leaves, &snapshot.interior})
        nodes.insert(nodes.end(), others->begin(), others->end());
    const Numbering place(std::move(nodes));
    std::unordered_map<int, std::uint8_t> type_place;
    for (const std::vector<Node*>* nodes : {&snapshot.leaves, &snapshot.interior})
        for (const Node* node : *nodes) type_place.emplace(node->family, static_cast<std::uint8_t>(type_place.size()));
    Writer out;
    out.reserve(64 + 19 * snapshot.leaves.size() + 35 * snapshot.interior.size());
    out.put(snapshot_version);
    out.put(static_cast<std::uint32_t>(snapshot.externals.size()));
    out.put(static_cast<std::uint32_t>(snapshot.leaves.size()));
    out.put(static_cast<std::uint32_t>(snapshot.interior.size()));
    Operations operations;
    for (const Node* node : snapshot.interior) operations.add(node->op);
    operations.write(out);
    auto put_numbers = [&](const Node* node) {
        Kinds kinds = node->kinds;
        if (node->is_leaf() && !families[node->family].dialect())
            kinds.grad = FloatKind;  // a number beside two dialects
        out.put(pack(kinds));
        out.put(type_place.at(node->family));
        out.put(node->data);
        out.put(place.grad(node));
    };
    Patterns patterns;
    for (const Node* node : snapshot.leaves) put_numbers(node);
    for (const Node* node : snapshot.interior) {
        put_numbers(node);
        out.put(operations.place_of(node->op));
        if (conventions_of(node)) out.put(patterns.number(node));
        if (node->has_fan()) {
            out.put(node->fan->count);
            for (Fan::Edge& edge : *node->fan) {
                out.put(place[edge.operand]);
                out.put(edge.local);
                out.put(edge.kind);
            }
            continue;
        }
        out.put(place[node->a]);
        Arity arity = info(node->op).arity;
        if (arity == Arity::Binary) out.put(place[node->b]);
        if (arity == Arity::Param) out.put(node->constant);
    }
    return out.take();
}

py::list types_of(const Snapshot& snapshot) {
    py::list types;
    Patterns patterns;
    for (const Node* node : snapshot.interior)
        if (conventions_of(node)) patterns.number(node);
    std::vector<bool> seen(families.size());
    for (const std::vector<Node*>* nodes : {&snapshot.leaves, &snapshot.interior}) {
        for (const Node* node : *nodes) {
            if (seen[node->family]) continue;
            seen[node->family] = true;
            py::handle type(reinterpret_cast<PyObject*>(families[node->family].type));
            if (!conventions_of(node)) {
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

namespace {

// Reads one snapshot, part by part.
class Loader {
  public:
    Loader(std::string_view bytes, const py::list& externals) : in_(bytes) {
        if (in_.get<std::uint32_t>() != snapshot_version)
            throw py::value_error("Snapshot: written by another version of kilograd");
        const std::size_t external_count = in_.get<std::uint32_t>();
        leaf_count_ = in_.get<std::uint32_t>();
        interior_count_ = in_.get<std::uint32_t>();
        if (external_count != externals.size() || leaf_count_ > in_.left() || interior_count_ > in_.left())
            throw py::value_error("Snapshot: the counts do not fit the data");
        operations_.read(in_);
        places_.reserve(external_count + leaf_count_ + interior_count_);
        snapshot_->leaves.reserve(leaf_count_);
        snapshot_->interior.reserve(interior_count_);
        for (py::handle external : externals) {
            if (!is_value(external.ptr())) throw py::type_error("Snapshot: an external node must be a Value");
            places_.push_back(node_of(external.ptr()));
            snapshot_->hold(snapshot_->externals, places_.back());
        }
    }

    void read_types(const py::list& types) {
        for (py::handle entry : types) {
            py::handle type = entry;
            std::vector<py::str> patterns;
            if (py::isinstance<py::tuple>(entry)) {
                type = py::reinterpret_borrow<py::tuple>(entry)[0];
                for (py::handle text : py::cast<py::list>(py::reinterpret_borrow<py::tuple>(entry)[1]))
                    patterns.push_back(py::cast<py::str>(text));
            }
            if (!PyType_Check(type.ptr())) throw py::type_error("Snapshot: a family must be a class");
            const int family = family_of(reinterpret_cast<PyTypeObject*>(type.ptr()));
            types_.push_back({static_cast<std::uint8_t>(family), std::move(patterns)});
        }
    }

    void read_nodes() {
        for (std::size_t i = 0; i < leaf_count_; ++i) {
            Node read{};
            read_numbers(read);
            Node* node = new_leaf(read.data, static_cast<Kind>(read.kinds.data), read.family, dialect_of(read));
            finish(node, read, snapshot_->leaves);
        }
        for (std::size_t i = 0; i < interior_count_; ++i) {
            Node read{};
            const std::vector<py::str>& patterns = read_numbers(read);
            const Op op = operations_.at(in_.get<std::uint8_t>());
            const std::size_t pattern = conventions_of(&read) ? in_.get<std::uint16_t>() : 0;
            if (pattern > patterns.size()) throw py::value_error("Snapshot: unknown text of an op");
            Node* node = op == Op::custom || op == Op::linear ? read_fan(op, read) : read_operation(op, read);
            node->flags |= dialect_of(read);
            finish(node, read, snapshot_->interior);
            if (pattern) conventions_of(node)->note_op_pattern(node, patterns[pattern - 1].ptr());
        }
        for (Node* node : snapshot_->externals) pin_state(node);
    }

    // Before any state is set: an attribute may lead to a node of a subclass, which must not come as a plain Value.
    void give_classes(const py::tuple& classes) {
        for (py::handle item : classes) {
            auto [place, type] = py::cast<std::tuple<std::size_t, py::type>>(item);
            auto* python_type = reinterpret_cast<PyTypeObject*>(type.ptr());
            if (place >= snapshot_->interior.size() || snapshot_->interior[place]->handle || !has_family(python_type))
                throw py::value_error("Snapshot: the classes do not fit the data");
            ++snapshot_->interior[place]->refs;
            checked(handle_of_type(snapshot_->interior[place], python_type));
        }
    }

    std::unique_ptr<Snapshot> take() { return std::move(snapshot_); }

  private:
    struct Type {
        std::uint8_t family;
        std::vector<py::str> patterns;
    };

    // A gradient that is an int belongs to a node that expects some, whatever its class.
    static std::uint8_t dialect_of(const Node& read) {
        return read.kinds.grad == FloatKind ? families[read.family].dialect() : std::uint8_t{ExactInts};
    }

    // What every node has; gives the texts of its family's ops.
    const std::vector<py::str>& read_numbers(Node& node) {
        node.kinds = unpack(in_.get<std::uint8_t>());
        const std::size_t type = in_.get<std::uint8_t>();
        if (type >= types_.size()) throw py::value_error("Snapshot: unknown family");
        node.family = types_[type].family;
        node.data = in_.get<double>();
        node.grad = in_.get<double>();
        check_kind(node.data, node.kinds.data, conventions_of(&node));
        check_kind(node.grad, node.kinds.grad, conventions_of(&node));
        return types_[type].patterns;
    }

    Node* read_operand() {
        const std::size_t place = in_.get<std::uint32_t>();
        if (place >= places_.size()) throw py::value_error("Snapshot: an operand must come before its node");
        return places_[place];
    }

    Node* read_fan(Op op, const Node& read) {
        const std::uint32_t count = in_.get<std::uint32_t>();
        if (count > in_.left()) throw py::value_error("Snapshot: the counts do not fit the data");
        std::vector<Fan::Edge> edges;
        for (std::uint32_t k = 0; k < count; ++k) {
            Node* operand = read_operand();
            const double local = in_.get<double>();
            edges.push_back({operand, local, in_.get<std::uint8_t>()});
            check_kind(local, edges.back().kind, conventions_of(&read));
        }
        Fan* fan = new_fan(count);
        std::copy(edges.begin(), edges.end(), fan->begin());
        return record_fan(op, read.data, FloatKind, fan, read.family, 0);
    }

    Node* read_operation(Op op, const Node& read) {
        Node* a = read_operand();
        Node* b = info(op).arity == Arity::Binary ? read_operand() : nullptr;
        const double c = info(op).arity == Arity::Param ? in_.get<double>() : 0.0;
        check_kind(c, read.kinds.constant, conventions_of(&read));
        Node like{};
        like.family = read.family;
        return record(op, read.data, FloatKind, a, b, c, FloatKind, &like);
    }

    void finish(Node* node, const Node& read, std::vector<Node*>& where) {
        node->grad = read.grad;
        node->kinds = read.kinds;
        where.push_back(node);
        places_.push_back(node);
    }

    Reader in_;
    std::unique_ptr<Snapshot> snapshot_ = std::make_unique<Snapshot>();
    std::size_t leaf_count_, interior_count_;
    Operations operations_;
    std::vector<Type> types_;
    std::vector<Node*> places_;
};

}  // namespace

std::unique_ptr<Snapshot> load_snapshot(py::bytes bytes, py::list externals, py::list types, py::list classes) {
    const py::tuple all_classes(classes);  // made before there are nodes: a collection may give them handles
    Loader loader(std::string_view(bytes), externals);
    loader.read_types(types);
    loader.read_nodes();
    loader.give_classes(all_classes);
    std::unique_ptr<Snapshot> snapshot = loader.take();
    snapshot->publish();
    return snapshot;
}

}  // namespace kilograd
