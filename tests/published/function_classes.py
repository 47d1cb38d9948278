"""PyTorch's style: Function classes with static forward and backward and a context."""


class Context:
    def save(self, *values):
        self.saved = values


class Function:
    @classmethod
    def apply(cls, *inputs):
        inputs = [i if isinstance(i, Tensor) else Tensor(i) for i in inputs]
        ctx = Context()
        out = Tensor(cls.forward(ctx, *(i.data for i in inputs)))
        out._ctx = (cls, ctx, inputs)
        return out


class Add(Function):
    @staticmethod
    def forward(ctx, x, y):
        return x + y

    @staticmethod
    def backward(ctx, grad):
        return grad, grad


class Mul(Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.save(x, y)
        return x * y

    @staticmethod
    def backward(ctx, grad):
        x, y = ctx.saved
        return grad * y, grad * x


class Tensor:
    def __init__(self, data):
        self.data = data
        self.grad = 0.0
        self._ctx = None

    def __add__(self, other):
        return Add.apply(self, other)

    def __mul__(self, other):
        return Mul.apply(self, other)

    def backward(self):
        topo, seen = [], set()

        def build(t):
            if t not in seen:
                seen.add(t)
                if t._ctx:
                    for i in t._ctx[2]:
                        build(i)
                topo.append(t)
        build(self)
        self.grad = 1.0
        for t in reversed(topo):
            if t._ctx:
                function, ctx, inputs = t._ctx
                for i, g in zip(inputs, function.backward(ctx, t.grad)):
                    i.grad += g


x, y = Tensor(1.5), Tensor(4.0)
z = x * y + x * x
z.backward()
print(z.data, x.grad, y.grad)
