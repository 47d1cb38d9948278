"""The micrograd shape with integer data and gradients, and its class hidden behind another name."""


class Scalar:
    """A number."""

    def __init__(self, data, _children=(), _op=""):
        self.data = data
        self.grad = 0
        self._backward = lambda: None
        self._prev = set(_children)
        self._op = _op

    def __add__(self, other):
        other = other if isinstance(other, Scalar) else Scalar(other)
        out = Scalar(self.data + other.data, (self, other), "+")

        def _backward():
            self.grad += out.grad
            other.grad += out.grad

        out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Scalar) else Scalar(other)
        out = Scalar(self.data * other.data, (self, other), "*")

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out._backward = _backward
        return out

    def __pow__(self, other):
        assert isinstance(other, (int, float)), "only supporting int/float powers for now"
        out = Scalar(self.data**other, (self,), f"**{other}")

        def _backward():
            self.grad += (other * self.data ** (other - 1)) * out.grad

        out._backward = _backward
        return out

    def relu(self):
        out = Scalar(0 if self.data < 0 else self.data, (self,), "ReLU")

        def _backward():
            self.grad += (out.data > 0) * out.grad

        out._backward = _backward
        return out

    def backward(self):
        topo = []
        visited = set()

        def build_topo(v):
            if v not in visited:
                visited.add(v)
                for child in v._prev:
                    build_topo(child)
                topo.append(v)

        build_topo(self)
        self.grad = 1
        for v in reversed(topo):
            v._backward()

    def __neg__(self):
        return self * -1

    def __radd__(self, other):
        return self + other

    def __sub__(self, other):
        return self + (-other)

    def __rsub__(self, other):
        return other + (-self)

    def __rmul__(self, other):
        return self * other

    def __truediv__(self, other):
        return self * other**-1

    def __rtruediv__(self, other):
        return other * self**-1

    def __repr__(self):
        return f"Scalar(data={self.data}, grad={self.grad})"


a, b = Scalar(-4), Scalar(2)
c = a + b
d = a * b + b**3
c += c + 1
c += 1 + c + (-a)
d += d * 2 + (b + a).relu()
d += 3 * d + (b - a).relu()
e = c - d
f = e**2
g = f / 2.0
g = g + 10.0 / f
g.backward()
# Nodes with three uses and more, over sets: the last digit is chance, in plain Python too.
print([(f"{v.data:.10g}", f"{v.grad:.10g}", type(v.data), type(v.grad)) for v in (g, a, b, c, d, e, f)])
big = Scalar(3) ** 40 * Scalar(3) ** 40
print(big, Scalar(2**70) + 1, Scalar(True) + True, Scalar(5) * False)
big.backward()
print(big)
z = Scalar(0) * -1
y = z + 0.0
y.backward()
print(z, y, Scalar(-0.0) + 0, (Scalar(-3) * 1.5).relu(), Scalar(2) ** -1, Scalar(2.0) ** 3)
complex_one = Scalar(-8.0) ** (1 / 3)
print(complex_one, complex_one * 2)
for bad in (lambda: Scalar("x") + 1, lambda: Scalar(1) ** Scalar(2), lambda: Scalar(0) ** -1, lambda: [1] + a):
    try:
        print(bad())
    except Exception as error:
        print(type(error).__name__, error)
print(Scalar.__name__, Scalar.__doc__, type(a) is Scalar, isinstance(a, Scalar), [m for m in vars(Scalar) if m == "relu"])
