"""The switch is an attribute of a class of its own, as of a module of settings."""


class Settings:
    no_grad = False


class no_grad:
    def __enter__(self):
        Settings.no_grad = True

    def __exit__(self, *exc):
        Settings.no_grad = False


class Value:
    def __init__(self, data, prev=()):
        self.data = data
        self.grad = 0.0
        self.prev = prev if not Settings.no_grad else ()
        self.step = None

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other))

        def step():
            self.grad += out.grad
            other.grad += out.grad
        out.step = step if not Settings.no_grad else None
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other))

        def step():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out.step = step if not Settings.no_grad else None
        return out

    def backward(self):
        topo, seen = [], set()

        def build(v):
            if v not in seen:
                seen.add(v)
                for p in v.prev:
                    build(p)
                topo.append(v)
        build(self)
        self.grad = 1.0
        for v in reversed(topo):
            if v.step:
                v.step()


a = Value(2.0)
with no_grad():
    print((a * 3).prev)
b = a * 3 + a
b.backward()
print(b.data, a.grad)
