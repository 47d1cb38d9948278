"""copy.copy, copy.deepcopy and pickle in the microgpt dialect; np-free."""
import copy, pickle, weakref, gc
class Value:
    __slots__ = ('data', 'grad', '_children', '_local_grads', '_op')
    def __init__(self, data, children=(), local_grads=(), op=''):
        self.data = data
        self.grad = 0
        self._children = children
        self._local_grads = local_grads
        self._op = op
    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), (1, 1), '+')
    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data), '*')
    def __pow__(self, n): return Value(self.data ** n, (self,), (n * self.data ** (n - 1),), f'**{n}')
    def relu(self): return Value(max(0, self.data), (self,), (float(self.data > 0),), 'relu')
    def square(self): return Value(self.data ** 2, (self,), (2 * self.data,), 'sq')
    def __radd__(self, o): return self + o
    def __rmul__(self, o): return self * o
    def backward(self):
        topo, seen = [], set()
        def build(v):
            if v not in seen:
                seen.add(v)
                for c in v._children: build(c)
                topo.append(v)
        build(self)
        self.grad = 1
        for v in reversed(topo):
            for c, l in zip(v._children, v._local_grads): c.grad += l * v.grad
    def __repr__(self): return f"V({self.data!r}, {self.grad!r}, {self._op!r}, {self._local_grads!r})"
def tree(v, depth=0):
    print('  ' * depth + repr(v))
    for c in v._children: tree(c, depth + 1)
a, b = Value(2.0), Value(-3)
c = (a * b + 4) ** 2 + a.relu() * b.square()
c.backward()
for make in (copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))):
    d = make(c)
    print(type(d) is Value, d is c)
    tree(d)
    d.grad = 0
    d.backward()
    print(a, b, c, d)
    tree(d)
pair = copy.deepcopy([a, c, {'k': b}])
print(pair, pair[1]._children[0] is pair[0])
both = pickle.loads(pickle.dumps((c, a, b)))
both[0].backward()
print(both)
try:
    a.other = 1
except AttributeError as e:
    print(type(e).__name__)
