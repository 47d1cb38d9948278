"""All operators in a base class, the state in the derived one."""


class Operators:
    def __add__(self, other):
        other = Scalar.lift(other)
        out = Scalar(self.data + other.data, (self, other))

        def _backward():
            self.grad += out.grad
            other.grad += out.grad
        out._backward = _backward
        return out

    def __mul__(self, other):
        other = Scalar.lift(other)
        out = Scalar(self.data * other.data, (self, other))

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out._backward = _backward
        return out

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other


class Scalar(Operators):
    def __init__(self, data, prev=()):
        self.data = data
        self.grad = 0.0
        self._prev = prev
        self._backward = lambda: None

    @staticmethod
    def lift(x):
        return x if isinstance(x, Scalar) else Scalar(x)

    def backward(self):
        topo, seen = [], set()

        def build(v):
            if v not in seen:
                seen.add(v)
                for p in v._prev:
                    build(p)
                topo.append(v)
        build(self)
        self.grad = 1.0
        for v in topo[::-1]:
            v._backward()


s = Scalar(1.25)
t = 2 * s * s + s + 1
t.backward()
print(t.data, s.grad)
