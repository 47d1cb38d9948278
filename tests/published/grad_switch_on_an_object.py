"""The switch is on a small object beside the class, which a context manager turns off."""


class Config:
    def __init__(self):
        self.grad_enabled = True


config = Config()


class no_grad:
    def __enter__(self):
        self.before = config.grad_enabled
        config.grad_enabled = False

    def __exit__(self, *exc):
        config.grad_enabled = self.before


class Value:
    def __init__(self, data, prev=()):
        self.data = data
        self.grad = 0.0
        self.prev = prev if config.grad_enabled else ()
        self.step = None

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other))

        def step():
            self.grad += out.grad
            other.grad += out.grad
        out.step = step if config.grad_enabled else None
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other))

        def step():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out.step = step if config.grad_enabled else None
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
