"""Integers that grow beyond what a double holds, in data and in gradients, stay exact."""
class Value:
    def __init__(self, data, _children=(), _op=''):
        self.data = data
        self.grad = 0
        self._prev = set(_children)
        self._op = _op
        self._backward = lambda: None
    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other), '+')
        def _backward():
            self.grad += out.grad
            other.grad += out.grad
        out._backward = _backward
        return out
    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other), '*')
        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out._backward = _backward
        return out
    def __pow__(self, other):
        out = Value(self.data ** other, (self,), f'**{other}')
        def _backward():
            self.grad += (other * self.data ** (other - 1)) * out.grad
        out._backward = _backward
        return out
    def relu(self):
        out = Value(0 if self.data < 0 else self.data, (self,), 'ReLU')
        def _backward():
            self.grad += (out.data > 0) * out.grad
        out._backward = _backward
        return out
    def __radd__(self, o): return self + o
    def __rmul__(self, o): return self * o
    def backward(self):
        topo, seen = [], set()
        def build(v):
            if v not in seen:
                seen.add(v)
                for c in v._prev: build(c)
                topo.append(v)
        build(self)
        self.grad = 1
        for v in reversed(topo): v._backward()
    def __repr__(self): return f"Value(data={self.data}, grad={self.grad})"
x = Value(1)
y = x
for i in range(60): y = y + y
y.backward()
print(x, y)
x = Value(3); y = x
for i in range(7): y = y * y
y.backward()
print(x, y)
x = Value(3)
y = x ** 33; z = x ** 34
y.backward(); print(x, y)
z.backward(); print(x, z)
x = Value(10 ** 15 + 1); w = Value(3.5)
y = x * 7 + x * w
y.backward(); print(x, w, y)
x = Value(123456789); y = x * x * 5
y.backward(); print(x, y)
x = Value(94906267); y = x * x
y.backward(); print(x, y)
x, y = Value(123456789), Value(987654321)
z = x * y * (x + y).relu() 
z.backward(); print(x, y, z)
x = Value(2 ** 53); y = x + 1
y.backward(); print(x, y)
x = Value(2 ** 53 - 1); y = x + 1; z = y + 1
z.backward(); print(x, y, z)
a = Value(5); s = Value(2 ** 40)
t = a * s
u = t * s
u.backward(); print(a, s, t, u)
a.grad = 0
v = (a * 1.5) * s * s
v.backward(); print(a, v)
n = Value(1); total = 0
for i in range(1, 26): n = n * i
n.backward(); print(n)
x = Value(2); x.grad = 2 ** 70
(x * 3).backward(); print(x)
x = Value(2); y = x * 3; y._backward(); y.grad = 2 ** 53 - 1; y._backward(); y._backward(); y._backward(); y._backward(); print(x)
x = Value(-7); y = x ** 3
for i in range(12): y = y.relu() + y + y
y.backward(); print(x, y)
for i in range(5):
    y.backward(); print(x)
