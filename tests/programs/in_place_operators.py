"""In-place operators of the author's own, a missing __rpow__, a property for the gradient's norm."""
import math

class Value:
    def __init__(self, data, _children=(), _op='', label=''):
        self.data = data
        self.grad = 0.0
        self._backward = lambda: None
        self._prev = set(_children)
        self._op = _op
        self.label = label

    def __repr__(self):
        return f"Value(data={self.data}, grad={self.grad})"

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other), '+')
        def _backward():
            self.grad += out.grad
            other.grad += out.grad
        out._backward = _backward
        return out

    def __iadd__(self, other):
        # in place: data changes, the graph does not
        self.data += other.data if isinstance(other, Value) else other
        return self

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other), '*')
        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out._backward = _backward
        return out

    def __imul__(self, other):
        out = self * other
        out.label = self.label + "'"
        return out

    def __pow__(self, other):
        assert isinstance(other, (int, float)), "only supporting int/float powers for now"
        out = Value(self.data**other, (self,), f'**{other}')
        def _backward():
            self.grad += (other * self.data**(other-1)) * out.grad
        out._backward = _backward
        return out

    def __radd__(self, other): return self + other
    def __rmul__(self, other): return self * other
    def __neg__(self): return self * -1
    def __sub__(self, other): return self + (-other)
    def __rsub__(self, other): return other + (-self)
    def __isub__(self, other):
        self.data -= other.data if isinstance(other, Value) else other
        return self
    def __truediv__(self, other): return self * other**-1

    @property
    def magnitude(self):
        return abs(self.grad)

    @property
    def item(self):
        return self.data

    @item.setter
    def item(self, value):
        self.data = value

    def backward(self):
        topo, visited = [], set()
        def build(v):
            if v not in visited:
                visited.add(v)
                for c in v._prev:
                    build(c)
                topo.append(v)
        build(self)
        self.grad = 1.0
        for v in reversed(topo):
            v._backward()

a = Value(2.5, label='a'); b = Value(-1.5, label='b')
before = id(a)
a += 1
print(a, id(a) == before)
c = a * b
c *= a
print(c, c.label, c._op)
c -= Value(4.0)
print(c)
d = (c ** 2 + a) / b
d.backward()
print(a, b, c, d)
print(a.magnitude, b.item)
b.item = 7
print(b, (b * 2).data)
try:
    print(2 ** a)
except TypeError as e:
    print("TypeError", e)
try:
    print(a ** b)
except AssertionError as e:
    print("AssertionError", e)
acc = Value(0)
for i in range(5):
    acc += i
print(acc)
tot = Value(1.0)
for i in range(5):
    tot *= Value(i + 0.5)
print(tot, tot.label)
tot.backward()
print(sorted(x.grad for x in tot._prev))
for bad in ("x", None, [1]):
    try:
        print(a + bad)
    except TypeError as e:
        print(type(e).__name__, e)
    try:
        print(bad * a)
    except TypeError as e:
        print(type(e).__name__, e)
