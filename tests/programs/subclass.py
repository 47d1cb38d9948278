"""A subclass of the author's class, isinstance both ways, and results of the base class."""


class Value:
    def __init__(self, value, parents=(), op=None):
        self.value = value
        self.gradient = 0.0
        self.parents = list(parents)
        self.op = op
        self.backprop = lambda: None

    def __add__(self, other):
        if not isinstance(other, Value):
            other = Value(other)
        out = Value(self.value + other.value, [self, other], "add")

        def backprop():
            self.gradient += out.gradient
            other.gradient += out.gradient

        out.backprop = backprop
        return out

    __radd__ = __add__

    def __mul__(self, other):
        if not isinstance(other, Value):
            other = Value(other)
        out = Value(self.value * other.value, [self, other], "mul")

        def backprop():
            self.gradient += other.value * out.gradient
            other.gradient += self.value * out.gradient

        out.backprop = backprop
        return out

    __rmul__ = __mul__

    def __str__(self):
        return f"<{self.value:g} by {self.op} of {len(self.parents)}>"

    def backward(self):
        order, seen = [], set()

        def visit(node):
            if id(node) not in seen:
                seen.add(id(node))
                for parent in node.parents:
                    visit(parent)
                order.append(node)

        visit(self)
        self.gradient = 1.0
        for node in order[::-1]:
            node.backprop()


class Parameter(Value):
    count = 0

    def __init__(self, value, name):
        super().__init__(value)
        self.name = name
        Parameter.count += 1

    def __str__(self):
        return f"{self.name}: {super().__str__()}"


class Loud(Value):
    def __add__(self, other):
        print("adding to", self.value)
        return super().__add__(other)


w, b = Parameter(1.5, "w"), Parameter(-0.5, "b")
y = w * 3 + b + w
y.backward()
print(y, w, b, w.gradient, b.gradient, Parameter.count)
print(type(w * 2).__name__, isinstance(w, Value), isinstance(y, Parameter), [str(p) for p in y.parents])
for _ in range(5):
    loss = (w * 2.0 + b) * (w * 2.0 + b)
    w.gradient = b.gradient = 0.0
    loss.backward()
    for p in (w, b):
        p.value -= 0.05 * p.gradient
    print(repr(loss.value), repr(w.value), w.name)
z = Loud(2.0) + 1 + Loud(3.0)
z.backward()
print(z, z.parents[1].gradient, w.name)
