"""Two classes that work together, a subclass with its own op, NamedTuple children, a rule as a list of pairs."""
from typing import NamedTuple, Callable, Any, List
import operator, functools
class Edge(NamedTuple):
    node: Any
    local: float
class Var:
    def __init__(self, value, edges=()):
        self.value = value
        self.edges = edges
        self.grad = 0.0
    def __add__(self, o):
        o = o if isinstance(o, Var) else Var(o)
        return Var(self.value + o.value, (Edge(self, 1.0), Edge(o, 1.0)))
    def __mul__(self, o):
        o = o if isinstance(o, Var) else Var(o)
        return Var(self.value * o.value, (Edge(self, o.value), Edge(o, self.value)))
    def backward(self, seed=1.0):
        self.grad += seed
        for node, local in self.edges:
            node.backward(seed * local)
    def __repr__(self): return f"Var({self.value}, {self.grad})"
class Node:
    def __init__(self, v, ch=()):
        self.v, self.g, self.ch = v, 0.0, ch
        self.back = None
    def __add__(self, o):
        out = Node(self.v + o.v, (self, o))
        def back():
            self.g += out.g; o.g += out.g
        out.back = back
        return out
    def __mul__(self, o):
        out = Node(self.v * o.v, (self, o))
        def back():
            self.g += o.v * out.g; o.g += self.v * out.g
        out.back = back
        return out
    def backward(self):
        order, seen = [], set()
        def go(n):
            if id(n) in seen: return
            seen.add(id(n))
            for c in n.ch: go(c)
            order.append(n)
        go(self); self.g = 1.0
        for n in order[::-1]:
            if n.back is not None: n.back()
    def __repr__(self): return f"Node({self.v}, {self.g})"
class Clipped(Node):
    def __add__(self, o):
        return Clipped(min(super().__add__(o).v, 5.0), (self, o))
    def double(self): return self * Node(2.0)
a, b = Var(2.0), Var(-3.0)
c = a * b + a * 2 + 1
c.backward(); c.backward(0.5)
print(a, b, c)
x, y = Node(2.0), Node(3.5)
z = x * y + x
z.backward(); print(x, y, z, z.back is not None, x.back)
k = Clipped(4.0); w = k + x; w2 = (k.double() + w)
w2.backward(); print(k, w, w2, x, type(w).__name__, type(w2).__name__)
r = functools.reduce(operator.add, [x, y, z]); r.backward(); print(r, x, y, z)
r = functools.reduce(operator.mul, [x, y, x]); r.backward(); print(r, x, y, z)
class Mixed:
    def __init__(self, node): self.node = node
    def __radd__(self, o): return ('Mixed', o)
print((lambda o: type(o).__name__)(Node(1.0).__add__(y)))
try: print(x + Mixed(1))
except AttributeError as e: print(e)
