"""Programs that `kilograd run` once told from plain Python, and their like: each is to print the same both ways.

A program is `CLASS`, with some lines of it replaced, and what follows it.
"""

# ruff: noqa: E501 - programs in lines

from __future__ import annotations

__all__ = ["CLASS", "PROGRAMS", "changed"]

CLASS = """\
import math


class Value:
    def __init__(self, data, _children=(), _op=""):
        self.data = data
        self.grad = 0.0
        self._prev = set(_children)
        self._op = _op
        self._backward = lambda: None

    def __repr__(self):
        return f"Value(data={self.data}, grad={self.grad})"

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other), "+")

        def _backward():
            self.grad += out.grad
            other.grad += out.grad

        out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other), "*")

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out._backward = _backward
        return out

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def tanh(self):
        t = math.tanh(self.data)
        out = Value(t, (self,), "tanh")

        def _backward():
            self.grad += (1 - t * t) * out.grad

        out._backward = _backward
        return out

    def relu(self):
        out = Value(max(0.0, self.data), (self,), "relu")

        def _backward():
            self.grad += (out.data > 0) * out.grad

        out._backward = _backward
        return out

    def backward(self):
        topo, visited = [], set()

        def build(v):
            if v not in visited:
                visited.add(v)
                for child in v._prev:
                    build(child)
                topo.append(v)

        build(self)
        self.grad = 1.0
        for v in reversed(topo):
            v._backward()


"""
ADD = "    def __add__(self, other):\n"
SUM = 'Value(self.data + other.data, (self, other), "+")'
USE = """
a, b = Value(1.5), Value(-2.25)
c = (a * b + a).tanh() + b.relu() * 3 + 0.5
c.backward()
print(c, a, b)
"""
ODD = """
for x in (5.0, 4.0, 4.5, 5.5, 2.0, 1.0):
    print(Value(x) + 1.0, Value(x) + x, Value(x).tanh(), Value(x) * 3)
"""
GRAPH = """
x, w = Value(0.5), Value(1.25)
y = x
for i in range(6):
    y = y * w + x
"""


def changed(*changes: tuple[str, str]) -> str:
    """The class with texts replaced."""
    text = CLASS
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


PROGRAMS: dict[str, str] = {
    # --- ids, weak references, finalisers
    "ids zero_grad": CLASS
    + GRAPH
    + """
def zero_grad(root):
    seen, stack = set(), [root]
    while stack:
        n = stack.pop()
        if id(n) in seen: continue
        seen.add(id(n)); n.grad = 0.0; stack.extend(n._prev)
for step in range(3):
    zero_grad(y); y.backward(); print(x.grad, w.grad)
""",
    "ids stack count": CLASS
    + """
y = Value(1.0)
for i in range(100): y = y * 2 + i
seen, stack = set(), [y]
while stack:
    n = stack.pop()
    if id(n) not in seen:
        seen.add(id(n)); stack.extend(n._prev)
print(len(seen))
""",
    "ids dict in-degree": CLASS
    + GRAPH
    + """
degree, order = {}, [y]
for n in order:
    for p in n._prev:
        if id(p) not in degree: order.append(p)
        degree[id(p)] = degree.get(id(p), 0) + 1
del order, n, p
print(sorted(degree.values()), len(degree))
""",
    "ids of dropped results": CLASS
    + """
ids, y = [], Value(1.0)
for i in range(50):
    y = y * 1.5 + 1
    ids.append(id(y))
def walk(n, seen):
    if id(n) not in seen:
        seen.add(id(n))
        for p in n._prev: walk(p, seen)
    return seen
print(len(set(ids)), set(ids) <= walk(y, set()))
""",
    "ids by map": CLASS
    + GRAPH
    + """
f = getattr(__builtins__, "id")
def ids(n): return set(map(f, n._prev)).union(*map(ids, n._prev))
print(len(ids(y)))
""",
    "id leak labels": CLASS
    + GRAPH
    + """
names = {}
def name(n):
    if id(n) not in names: names[id(n)] = f"v{len(names)}"
    return names[id(n)]
def edges(n): return [1 for p in n._prev if name(p) and name(n)] + [e for p in n._prev for e in edges(p)]
print(len(edges(y)), len(names))
""",
    "hash of nodes": CLASS + GRAPH + "def walk(n): return {hash(n)}.union(*map(walk, n._prev))\nprint(len(walk(y)))\n",
    "WeakSet of nodes": CLASS
    + "import weakref\n"
    + GRAPH
    + """
seen = weakref.WeakSet()
def walk(n):
    if n not in seen:
        seen.add(n)
        for p in n._prev: walk(p)
walk(y)
print(len(seen))
""",
    "WeakKeyDictionary of interior nodes": CLASS
    + "import weakref, gc\n"
    + GRAPH
    + """
depth = weakref.WeakKeyDictionary()
def walk(n, d):
    depth[n] = max(d, depth.get(n, 0))
    for p in n._prev: walk(p, d + 1)
walk(y, 0)
gc.collect()
print(len(depth), max(depth.values()))
""",
    "weakref callback": CLASS
    + """
import weakref
a = Value(2.0); b = a * 3; c = b + 1
r = weakref.ref(b, lambda r: print("died"))
del b
print(r() is None, len(c._prev))
del c
print("end")
""",
    "finalize order": CLASS
    + """
import weakref
def make():
    a = Value(1.0); b = a * 2; c = b + a
    for n, v in zip("abc", (a, b, c)): weakref.finalize(v, print, n)
    return c
c = make()
print("made")
c = None
print("dropped")
""",
    "getrefcount and tracking": CLASS
    + "import gc, sys\na = Value(1.0); b = a * 2\nprint(gc.is_tracked(a), gc.is_tracked(b), sys.getrefcount(a))\n",
    "subclass with finaliser": CLASS
    + """
class Loud(Value):
    def __del__(self): print("gone", self.data)
def f():
    x = Loud(1.0); y = x * 2; z = y + x
    return z
z = f(); print(z)
z = None
print("end")
""",
    # --- instrumentation
    "relu of numpy's numbers": "import numpy as np\n"
    + CLASS
    + """
    def relu(self):
        out = Value(0 if self.data < 0 else self.data, (self,), "relu")

        def _backward():
            self.grad += (out.data > 0) * out.grad

        out._backward = _backward
        return out

    def backward(self):
        self.grad = 1
        seen, order = set(), []

        def visit(v):
            if v not in seen:
                seen.add(v)
                for child in v._prev:
                    visit(child)
                order.append(v)

        visit(self)
        for v in reversed(order):
            v._backward()


for number in (np.float64(1.5), np.float64(-1.5), np.float64(0.0), np.float64(-0.0), 2.0, 3, np.float32(0.5), np.int64(2)):
    x = Value(number)
    y = x.relu()
    y.backward()
    print(repr(y.data), repr(x.grad), type(x.grad), repr(y.grad))
    a, b = Value(number), Value(0)
    z = (a * 2.0 + b).relu() * -1.5 + a.relu()
    z.backward()
    z.backward()
    print(repr(z.data), [(repr(v.grad), type(v.grad)) for v in (a, b)])
    w = Value(number).relu()
    w.grad = True
    w._backward()
    print([repr(v.grad) for v in w._prev])
""",
    "numpy integers": "import numpy as np\n"
    + CLASS
    + """
NUMBERS = [np.int64(3), np.int64(0), np.int64(-2), np.int64(2**52), np.int64(2**60), 2.5, -0.0, 2, True, np.float64(0.5)]
NUMBERS += [np.float32(0.5), np.int32(3), np.bool_(True)]


def show(*nodes):
    print(*[(type(n.data).__name__, repr(n.data), type(n.grad).__name__, repr(n.grad)) for n in nodes])


for a in NUMBERS:
    for b in NUMBERS:
        for form in (lambda x, y: x + y, lambda x, y: x * y, lambda x, y: (x * y).relu(), lambda x, y: (x + y) * 0.5):
            x, y = Value(a), Value(b)
            for other in (y, b):
                try:
                    z = form(x, other)
                    z.backward()
                except Exception as error:
                    print(type(error).__name__, error)
                else:
                    show(x, y, z)
x = Value(np.int64(3))
y = x * 2.0
x.data = np.int64(5)
y.backward()
show(x, y)
y.grad = np.int64(7)
y._backward()
show(x, y)
x.data -= np.int64(1)
show(x, x * x, x.tanh())
""",
    "numpy integers in copies, and data changed later": "import numpy as np\n"
    + CLASS
    + """
    def __pow__(self, other):
        assert isinstance(other, (int, float))
        out = Value(self.data**other, (self,), f"**{other}")

        def _backward():
            self.grad += other * self.data ** (other - 1) * out.grad

        out._backward = _backward
        return out

import copy, pickle
def show(*n): print([(type(v.data).__name__, repr(v.data), type(v.grad).__name__, repr(v.grad)) for v in n])
def attempt(f):
    try: f()
    except Exception as e: print(type(e).__name__, e)
w = copy.deepcopy(Value(np.int64(2))); show(w, w * 2**40)
attempt(lambda: show(w * 2**40 * 2**30))
attempt(lambda: show(w**-1))
v = Value(np.float64(2.0)); v.grad = np.int64(2); show(copy.deepcopy(v))
for start, exponent, later in ((2.0, 23, np.int64(13)), (2.0, -1, np.int64(13)), (1, 23, 13), (2.0, 0.5, -4.0), (2.0, 2, np.int64(3)), (3, 2, 5), (2.0, 3, 4)):
    x = Value(start); y = x**exponent * 1.0; x.data = later
    attempt(lambda: (y.backward(), show(x, y)))
""",
    "text with a state, asked by arrays of nodes": "import numpy as np\nLOG = [0]\n"
    + CLASS.replace("def __repr__(self):\n", "def __repr__(self, log=LOG):\n        log[0] += 1\n")
    + "a = Value(np.int64(3))\nb = np.int64(-1) + a * 2\nprint(LOG, b.data, repr(a), LOG)\n",
    "subclass with data in its dict": CLASS
    + """
class W(Value):
    @property
    def data(self): return self.__dict__["data"]
    @data.setter
    def data(self, x): self.__dict__["data"] = x
a, b = W(2.0), Value(3.0)
c = a * b + a
c.backward()
a.data += 1
print(a.grad, b.grad, c.data, a.data, sorted(vars(a)), sorted(vars(c)))
""",
    "attributes by a name put together": CLASS
    + """
a, b = Value(2.0), Value(3.0)
c = a * b
d = getattr(a, "__di" + "ct__")
d["data"] = 5.0
setattr(b, "da" + "ta", 7.0)
c.backward()
print(a.grad, b.grad, a.data, (a * b).data, list(d), getattr(c, "_pr" + "ev") == {a, b})
""",
    "trace all methods": CLASS
    + """
from types import FunctionType
calls = []
def traced(name, f):
    def wrapper(*args):
        calls.append(name)
        return f(*args)
    return wrapper
for n, f in list(vars(Value).items()):
    if isinstance(f, FunctionType): setattr(Value, n, traced(n, f))
a = Value(2.0); b = a * 3 + 1; b.tanh().backward()
print(calls, a)
""",
    "inspect methods": CLASS
    + """
import inspect
print([n for n, f in inspect.getmembers(Value, inspect.isfunction)])
print(str(inspect.signature(Value.tanh)), inspect.getsource(Value.relu).count("out"))
""",
    "listing": CLASS
    + """
print(list(vars(Value)), [n for n in dir(Value) if not n.startswith("__")], Value.__bases__, Value.__mro__)
print([type(f).__name__ for f in vars(Value).values()], "grad" in vars(Value), hasattr(Value, "grad"))
""",
    "method identity": CLASS
    + """
f = Value.tanh
print(type(f).__name__, f is Value.tanh, f.__name__, Value.__dict__["tanh"] is f)
def sq(self): return self * self
Value.sq = sq
Value.__rmul__ = Value.__mul__
print(Value.sq is sq, Value.__rmul__ is Value.__mul__, 2 * Value(3.0))
f.calls = 3
print(Value.tanh.calls, Value(0.5).sq())
"""
    + USE,
    "wrapped while in use": CLASS
    + """
n = [0]
old = Value.__dict__["__mul__"]
def counted(self, other):
    n[0] += 1
    return old(self, other)
a = Value(2.0)
b = a * a
Value.__mul__ = counted
c = b * a * 2
c.backward()
print(n, c, a)
Value.__mul__ = old
d = c * a
print(n, d)
""",
    "settrace": CLASS
    + """
import sys
names = []
def tracer(frame, event, arg):
    if event == "call": names.append(frame.f_code.co_name)
sys.setprofile(tracer)
a = Value(2.0); b = (a * 3 + 1).tanh(); b.backward()
sys.setprofile(None)
print(sorted(names))
""",
    # --- state that a method keeps
    "default log in __add__": changed((ADD, "    def __add__(self, other, _log=[]):\n        _log.append(1)\n"))
    + USE
    + "print(len(Value.__add__.__defaults__[0]))\n",
    "default log, kept aside": "LOG = []\n"
    + changed((ADD, "    def __add__(self, other, _log=LOG):\n        _log.append(1)\n"))
    + USE
    + "print(len(LOG))\n",
    "default log in __init__": "LOG = []\n"
    + changed(('_op=""):\n', '_op="", _log=LOG):\n        _log.append(data)\n'))
    + USE
    + "print(LOG)\n",
    "default log in backward": "LOG = {}\n"
    + changed(("def backward(self):\n", "def backward(self, _log=LOG):\n        _log[len(_log)] = self.data\n"))
    + USE
    + "print(LOG)\n",
    "keyword-only default": "LOG = []\n"
    + changed((ADD, "    def __add__(self, other, *, log=LOG):\n        log += [self.data]\n"))
    + USE
    + "print(LOG)\n",
    "default log in __repr__": "LOG = []\n"
    + changed(("def __repr__(self):\n", "def __repr__(self, log=LOG):\n        log.append(1)\n"))
    + USE
    + "print(len(LOG))\n",
    "default log in tanh": "LOG = []\n"
    + changed(("def tanh(self):\n", "def tanh(self, log=LOG):\n        log.append(self.data)\n"))
    + USE
    + "print(LOG)\n",
    "state by getattr of self": changed((ADD, "    log = []\n" + ADD + '        getattr(self, "log").append(1)\n'))
    + USE
    + "print(Value.log)\n",
    "state by getattr of the class": changed(
        (ADD, "    log = []\n" + ADD + '        getattr(Value, "log").append(1)\n')
    )
    + USE
    + "print(Value.log)\n",
    "state of the class": changed((ADD, "    log = []\n" + ADD + "        self.log.append(1)\n"))
    + USE
    + "print(Value.log)\n",
    "state by type": changed((ADD, "    n = [0]\n" + ADD + "        type(self).n[0] += 1\n"))
    + USE
    + "print(Value.n)\n",
    "state of a function": changed((ADD, ADD + "        tick(self)\n"))
    + "def tick(v, n=[0]):\n    n[0] += 1\n    print('tick', n[0])\n"
    + USE,
    "state in a helper method": changed(
        ("def relu", "def _count(self, n=[0]):\n        n[0] += 1\n        return n[0]\n\n    def relu"),
        (ADD, ADD + "        self._count()\n"),
    )
    + USE
    + "print(Value(0.0)._count())\n",
    "state in a property": changed(
        (
            "def relu",
            "@property\n    def size(self, n=[0]):\n        n[0] += 1\n        return n[0]\n\n    def relu",
        ),
        (ADD, ADD + "        self.size\n"),
    )
    + USE
    + "print(Value(0.0).size)\n",
    "state in __hash__": changed(
        (
            "def relu",
            "def __hash__(self, n=[0]):\n        n[0] += 1\n        return id(self)\n\n    def relu",
        )
    )
    + USE
    + "print(Value.__hash__.__defaults__)\n",
    "operators that never end": changed(
        (
            "    def tanh(self):\n",
            "    def __neg__(self):\n        return 0 - self\n\n"
            "    def __sub__(self, other):\n        return self + (-other)\n\n"
            "    def __rsub__(self, other):\n        return other + (-self)\n\n"
            "    def tanh(self):\n",
        )
    )
    + USE
    + """
for operation in (lambda: -a, lambda: 1 - a, lambda: a - b):
    try:
        print(operation())
    except RecursionError:
        print("RecursionError")
""",
    "state in __neg__": changed(
        ("def relu", "def __neg__(self, n=[0]):\n        n[0] += 1\n        return self * -1\n\n    def relu")
    )
    + "print(-Value(2.0), Value.__neg__.__defaults__)\n",
    "counter of an enclosing function": "def make():\n    n = 0\n"
    + "".join(
        f"    {line}\n" if line.strip() else "\n"
        for line in changed((ADD, ADD + "        nonlocal n\n        n += 1\n")).splitlines()[3:]
    )
    + "    return Value, lambda: n\nimport math\nValue, count = make()\n"
    + USE
    + "print(count())\n",
    # --- branches on text
    "text of the data": changed(
        (SUM, SUM.replace("self.data + other.data", "(0.0 if str(self.data) == '5.25' else self.data) + other.data"))
    )
    + "print(Value(5.25) + 3.2, Value(5.2) + 3.2)\n",
    "number from text": changed(
        (SUM, SUM.replace("self.data + other.data", "(0.0 if self.data == float('5.25') else self.data) + other.data"))
    )
    + "print(Value(5.25) + 3.2)\n",
    "text in repr": changed(
        (SUM, SUM.replace("self.data + other.data", "-1.0 if '4567' in repr(self.data) else self.data + other.data"))
    )
    + "print(Value(1234567.0) + 3.2)\n",
    "f-string": changed(
        (SUM, SUM.replace("self.data + other.data", "self.data + other.data * (f'{self.data}' != '5.25')"))
    )
    + "print(Value(5.25) + 3.2)\n",
    "length of a format": changed(
        (SUM, SUM.replace("self.data + other.data", "self.data + other.data * (len('%r' % self.data) < 12)"))
    )
    + "print(Value(5.1234567890123) + 3.2)\n",
    "number made of numbers": changed(
        (ADD, ADD + "        two = 2.0\n        limit = two ** two + 1.0\n"),
        (SUM, SUM.replace("self.data + other.data", "(0.0 if self.data == limit else self.data) + other.data")),
    )
    + "print(Value(5.0) + 3.0)\n",
    "number made of a shift": changed(
        (SUM, SUM.replace("self.data + other.data", "(self.data if self.data - 2.0 - 2.0 - 1.0 else 7.0) + other.data"))
    )
    + "print(Value(5.0) + 3.0)\n",
    "number from math": changed(
        (SUM, SUM.replace("self.data + other.data", "(self.data if self.data != math.pi else 7.0) + other.data"))
    )
    + "print(Value(math.pi) + 3.0)\n",
    "a window in tanh": changed(
        ("t = math.tanh(self.data)", "t = math.tanh(self.data) if not 1.0 < self.data * 0.5 - 2.0 * 2.0 < 2.0 else 0.0")
    )
    + "print(Value(11.0).tanh())\n",
    "a number of a tuple": changed(
        (SUM, SUM.replace("self.data + other.data", "(self.data if self.data not in (5.0, 6.0) else 7.0) + other.data"))
    )
    + "print(Value(5.0) + 3.0)\n",
    "a number of a range": changed(
        (
            SUM,
            SUM.replace(
                "self.data + other.data", "(self.data if self.data not in range(2, 12, 2) else 7.0) + other.data"
            ),
        )
    )
    + "print(Value(4.0) + 3.0)\n",
    "a bit of the data": changed(
        (SUM, SUM.replace("self.data + other.data", "self.data + other.data * (self.data.hex() != '0x1.5p+2')"))
    )
    + "print(Value(5.25) + 3.0)\n",
    "text in the constructor": changed(("self.data = data\n", "self.data = data if str(data) != '5.25' else 0.0\n"))
    + "print(Value(5.25) + 3.0)\n",
    "text in a rule": changed(("self.grad += out.grad\n", "self.grad += out.grad * ('25' not in str(out.data))\n"))
    + "a, b = Value(5.0), Value(0.25)\n(a + b).backward()\nprint(a, b)\n",
    # --- names that mean something else later
    "math.tanh rebound": CLASS
    + """
a = Value(0.5)
print(a.tanh())
n, old = [0], math.tanh
def counting(x):
    n[0] += 1
    return old(x)
math.tanh = counting
print(a.tanh(), a.tanh(), n)
""",
    "math rebound": CLASS
    + """
print(Value(0.5).tanh())
class M: tanh = staticmethod(lambda x: 10.0)
math = M
print(Value(0.5).tanh())
""",
    "math rebound in a function": CLASS
    + """
def f():
    global math
    class math: tanh = staticmethod(lambda x: 10.0)
print(Value(0.5).tanh()); f(); print(Value(0.5).tanh())
""",
    "math patched elsewhere": CLASS
    + """
def patch(module, name, value): setattr(module, name, value)
print(Value(0.5).tanh()); patch(math, "tanh", lambda x: 3.0); print(Value(0.5).tanh())
""",
    "math patched by alias": CLASS + "import math as m\nm.tanh = lambda x: 4.0\nprint(Value(0.5).tanh())\n",
    "math patched by variable": CLASS + "m = [math]\nfor k in m: k.tanh = lambda x: 4.0\nprint(Value(0.5).tanh())\n",
    "math patched by its dict": CLASS + "math.__dict__['tanh'] = lambda x: 4.0\nprint(Value(0.5).tanh())\n",
    "math patched by sys.modules": CLASS
    + "import sys\nsys.modules['math'].tanh = lambda x: 4.0\nprint(Value(0.5).tanh())\n",
    "math patched by mock": CLASS
    + "from unittest import mock\nwith mock.patch('math.tanh', lambda x: 4.0): print(Value(0.5).tanh())\n",
    "max below": CLASS + "def max(a, b): return 100.0\nprint(Value(0.5).relu())\n",
    "max later": CLASS + "print(Value(0.5).relu())\nmax = lambda a, b: 100.0\nprint(Value(0.5).relu())\n",
    "isinstance below": CLASS
    + "def isinstance(a, b): return True\ntry: print(Value(0.5) + 1)\nexcept AttributeError as e: print(e)\n",
    "max by globals": CLASS + "globals()['max'] = lambda a, b: 100.0\nprint(Value(0.5).relu())\n",
    "max by exec": CLASS + "exec('max = lambda a, b: 100.0')\nprint(Value(0.5).relu())\n",
    "max by builtins": CLASS + "import builtins\nbuiltins.max = lambda a, b: 100.0\nprint(Value(0.5).relu())\n",
    "max by __builtins__": CLASS + "__builtins__.max = lambda a, b: 100.0\nprint(Value(0.5).relu())\n",
    "max by for": CLASS + "print(Value(0.5).relu())\nfor max in [lambda a, b: 100.0]: print(Value(0.5).relu())\n",
    "max by import": CLASS + "from operator import add as max\nprint(Value(0.5).relu())\n",
    "max by star": CLASS + "from operator import *\nfrom math import *\nprint(Value(0.5).relu(), pow)\n",
    "name bound to a function": CLASS
    + """
a = Value(2.0)
Original = Value
def Value(x, *rest): return Original(x + 100, *rest)
try: print(a * 3, a + a)
except TypeError as e: print(e)
""",
    "name bound to a subclass": CLASS
    + "Base = Value\nclass Value(Base):\n    pass\na = Base(2.0)\nprint(type(a * a) is Value, type(a + 1) is Base)\n",
    "class defined again": CLASS
    + "a = Value(2.0)\nOld = Value\n"
    + CLASS[CLASS.index("class Value") :]
    + "b = a + a\nprint(type(b) is Old, type(b) is Value, isinstance(b, Old))\n"
    + "c = Value(1.0) + Value(2.0)\nc.backward()\nprint(c)\n",
    "class defined in a loop": "import math\nkept = []\nfor i in range(3):\n"
    + "".join(f"    {line}\n" if line.strip() else "\n" for line in CLASS.splitlines()[3:])
    + "    kept.append(Value)\nfor C in kept:\n    y = C(2.0) + C(1.0)\n    print(type(y) is C, type(y) is kept[-1])\n",
    "code replaced": CLASS
    + "def other(self, o): return 'other'\n"
    + "print(Value(1.0) + 1)\nValue.__add__.__code__ = other.__code__\nprint(Value(1.0) + 1)\n",
    "default replaced": changed((ADD, "    def __add__(self, other=1.0):\n"))
    + "Value.__add__.__defaults__ = (5.0,)\nprint(Value(1.0).__add__())\n",
    "methods by type.__setattr__": CLASS
    + "type.__setattr__(Value, '__add__', lambda a, b: 'mine')\nprint(Value(1.0) + 1)\n",
    # --- objects
    "attribute deleted": CLASS
    + """
v = Value(1.0)
del v.grad
print(hasattr(v, "grad"))
try: print(v.grad)
except AttributeError as e: print(e)
try: (v + 1).backward()
except AttributeError as e: print(e)
v.grad = 3.0
print(v)
""",
    "attribute deleted by name": CLASS
    + "v = Value(1.0)\ndelattr(v, 'data')\ntry: print(v + 1)\nexcept AttributeError as e: print(e)\n",
    "attribute deleted through __dict__": CLASS
    + "v = Value(1.0)\ndel v.__dict__['grad']\nprint(hasattr(v, 'grad'), sorted(v.__dict__))\n",
    "no constructor": CLASS
    + "v = Value.__new__(Value)\nprint(hasattr(v, 'data'), hasattr(v, 'grad'))\nv.__init__(3.0)\nprint(v + 1)\n",
    "no constructor, by object": CLASS + "v = object.__new__(Value)\nprint(hasattr(v, 'data'))\n",
    "another class": CLASS
    + """
class W(Value):
    def __add__(self, other): return 'W'
class X:
    def __init__(self): self.data = 4.0
v = Value(1.0); v.__class__ = W; print(v + 1, type(v).__name__)
v.__class__ = Value; print(v + 1)
v.__class__ = X; print(type(v).__name__, v.data)
""",
    "__dict__ of an object": CLASS
    + "v = Value(2.0)\nprint(sorted(vars(v)), v.__dict__['data'])\nv.__dict__['data'] = 5.0\nprint(v + 1)\n",
    "copy by __dict__": CLASS + "v = Value(2.0)\nw = Value(0.0)\nw.__dict__.update(v.__dict__)\nprint(w + 1)\n",
    # --- further ones of their kinds
    "steps in a helper": changed(
        (
            "def relu",
            "def _sum(self, o):\n        x = self.data - 2.0 - 2.0 - 1.0\n        y = x * x\n"
            "        return (self.data + o.data) if y else 7.0\n\n    def relu",
        ),
        ("Value(self.data + other.data,", "Value(self._sum(other),"),
    )
    + "print(Value(5.0) + 3.0, Value(4.0) + 3.0)\n",
    "steps in the constructor": changed(("self.data = data\n", "self.data = data if data - 2 - 2 - 1 else 7.0\n"))
    + "print(Value(5.0) + 3.0, Value(3.0) + 2.0)\n",
    "a bump": changed(
        (
            "t = math.tanh(self.data)\n",
            "x = self.data - 2 - 2\n        t = math.tanh(self.data) + math.exp(-(x * 2 * 2) ** 2)\n",
        )
    )
    + "print(Value(4.0).tanh())\n",
    "a loop that counts": changed(
        (
            "t = math.tanh(self.data)\n",
            "x = self.data\n        for i in (1, 1, 1, 1, 1): x -= i\n        t = math.tanh(self.data) if x else 7.0\n",
        )
    )
    + "print(Value(5.0).tanh())\n",
    "a recursion that counts": changed(
        (
            "t = math.tanh(self.data)\n",
            "def f(x, d): return x if d == 0 else f(x - 1, not d)\n"
            "        t = math.tanh(self.data) if f(self.data, True) > 0.5 else self.data\n",
        )
    )
    + "print(Value(1.25).tanh())\n",
    "a comparison of two operands": changed(
        (SUM, SUM.replace("self.data + other.data", "(self.data if self.data != other.data * 2 else 7.0) + other.data"))
    )
    + "print(Value(5.0) + 2.5)\n",
    "a class constant": changed(
        (ADD, "    limit = 5.0\n" + ADD + "        if self.data == self.limit: return Value(7.0)\n")
    )
    + "print(Value(5.0) + 2.5)\n",
    "a constant of the module": "LIMIT = 5.0\n"
    + changed((ADD, ADD + "        if self.data == LIMIT: return Value(7.0)\n"))
    + "print(Value(5.0) + 2.5)\n",
    "a default number": changed(
        (ADD, "    def __add__(self, other, limit=5.0):\n        if self.data == limit: return Value(7.0)\n")
    )
    + "print(Value(5.0) + 2.5)\n",
    "a default tuple": changed(
        (ADD, "    def __add__(self, other, odd=(5.0,)):\n        if self.data in odd: return Value(7.0)\n")
    )
    + "print(Value(5.0) + 2.5)\n",
    "a default object": changed(
        ("class Value", "class Box: n = 0\n\n\nclass Value"),
        (ADD, "    def __add__(self, other, box=Box):\n        box.n += 1\n"),
    )
    + USE
    + "print(Box.n)\n",
    "a default function": changed(
        ("class Value", "def tick(n=[0]):\n    n[0] += 1\n    return n\n\n\nclass Value"),
        (ADD, "    def __add__(self, other, tick=tick):\n        tick()\n"),
    )
    + USE
    + "print(tick())\n",
    "a callable object": changed(
        (
            "class Value",
            "class Tick:\n    n = 0\n    def __call__(self): self.n += 1\n\n\nTICK = Tick()\n\n\nclass Value",
        ),
        (ADD, "    tick = TICK\n" + ADD + "        self.tick()\n"),
    )
    + USE
    + "print(TICK.n)\n",
    "a descriptor": changed(
        (
            "class Value",
            "class Count:\n    n = 0\n    def __get__(self, v, t):\n        Count.n += 1\n        return 1.0\n\n\nclass Value",
        ),
        (ADD, "    unit = Count()\n" + ADD + "        self.unit\n"),
    )
    + USE
    + "print(Count.n)\n",
    "a decorated method": changed(
        (
            "class Value",
            "N = [0]\ndef counted(f):\n    def g(*a):\n        N[0] += 1\n        return f(*a)\n    return g\n\n\nclass Value",
        ),
        (ADD, "    @counted\n" + ADD),
    )
    + USE
    + "print(N)\n",
    "a cached method": changed(
        ("class Value", "import functools\n\n\nclass Value"),
        ("    def tanh", "    @functools.lru_cache(None)\n    def tanh"),
    )
    + "a = Value(0.5)\nprint(a.tanh() is a.tanh(), Value.tanh.cache_info().hits)\n",
    "a cached property": changed(
        ("class Value", "import functools\n\n\nclass Value"),
        ("    def tanh", "    @functools.cached_property\n    def twice(self): return self.data * 2\n\n    def tanh"),
    )
    + "a = Value(0.5)\nprint(a.twice)\na.data = 3.0\nprint(a.twice, a + 1)\n",
    "a text of the class": changed(
        (ADD, "    mode = 'plain'\n" + ADD + "        if self.mode == 'double': return Value(7.0)\n")
    )
    + "print(Value(1.0) + 1)\nValue.mode = 'double'\nprint(Value(1.0) + 1)\n",
    "a label that decides": changed(
        ('_op=""):\n', '_op="", label=""):\n        self.label = label\n'),
        (ADD, ADD + "        if self.label == 'frozen': return Value(7.0)\n"),
    )
    + "v = Value(1.0)\nprint(v + 1)\nv.label = 'frozen'\nprint(v + 1)\n",
    "an op that decides": changed((ADD, ADD + "        if self._op == '*': return Value(7.0)\n"))
    + "a = Value(2.0)\nprint(a + 1, a * a + 1)\n",
    "random numbers": changed(
        ("class Value", "import random\n\n\nclass Value"), (ADD, ADD + "        random.random()\n")
    )
    + "random.seed(3)\nValue(1.0) + 1\nprint(random.random())\n",
    "time": changed(("class Value", "import time\n\n\nclass Value"), (ADD, ADD + "        self.at = time.time()\n"))
    + "print(hasattr(Value(1.0), 'at'))\na = Value(1.0)\na + 1\nprint(hasattr(a, 'at'))\n",
    "an environment": changed(
        ("class Value", "import os\n\n\nclass Value"),
        (ADD, ADD + "        if os.environ.get('ODD'): return Value(7.0)\n"),
    )
    + "print(Value(1.0) + 1)\nos.environ['ODD'] = '1'\nprint(Value(1.0) + 1)\n",
    "a name of an imported module": changed(("import math\n", "import math as m\n"), ("math.tanh", "m.tanh"))
    + "print(Value(0.5).tanh())\nimport math\nmath.tanh = lambda x: 4.0\nprint(Value(0.5).tanh())\n",
    "a name from math": changed(("import math\n", "from math import tanh\n"), ("math.tanh", "tanh"))
    + "print(Value(0.5).tanh())\nimport math\nmath.tanh = lambda x: 4.0\nprint(Value(0.5).tanh())\n"
    + "tanh = math.tanh\nprint(Value(0.5).tanh())\n",
    "a name that is set in a with": CLASS
    + "import contextlib\nwith contextlib.nullcontext(lambda a, b: 9.0) as max: print(Value(0.5).relu())\n",
    "a name that is set by a walrus": CLASS
    + "print([(max := f)(1, 2) for f in [lambda a, b: 9.0]], Value(0.5).relu())\n",
    "a name that is set by an except": CLASS
    + "try: 1 / 0\nexcept ZeroDivisionError as max:\n    try: print(Value(0.5).relu())\n    except TypeError as e: print(e)\n",
    "a name that is set by a match": CLASS + "match (lambda a, b: 9.0):\n    case max: print(Value(0.5).relu())\n",
    "a name that is deleted": CLASS + "del math\ntry: print(Value(0.5).tanh())\nexcept NameError as e: print(e)\n",
    "vars of a module": CLASS + "vars(math)['tanh'] = lambda x: 4.0\nprint(Value(0.5).tanh())\n",
    "vars of nothing": CLASS + "vars()['max'] = lambda a, b: 4.0\nprint(Value(0.5).relu())\n",
    "frames": CLASS
    + "import inspect\ninspect.currentframe().f_globals['max'] = lambda a, b: 4.0\nprint(Value(0.5).relu())\n",
    "setattr by the type": CLASS + "type(math).__setattr__(math, 'tanh', lambda x: 4.0)\nprint(Value(0.5).tanh())\n",
    "setattr in a loop": CLASS + "for n in ['ta' + 'nh']: setattr(math, n, lambda x: 4.0)\nprint(Value(0.5).tanh())\n",
    "the globals of a function": CLASS
    + "def f(): pass\nf.__globals__['max'] = lambda a, b: 4.0\nprint(Value(0.5).relu())\n",
    "the class in a cell": "import math\ndef make():\n"
    + "".join(f"    {line}\n" if line.strip() else "\n" for line in CLASS.splitlines()[3:])
    + "    first = Value\n    class Value(first):\n        pass\n    return first, Value\n"
    + "A, B = make()\nx = A(2.0)\nprint(type(x + x) is B, type(x * 2) is A)\n",
    "a switch of the class in use": CLASS
    + "a = Value(2.0)\nb = a * a\nValue.__init__ = lambda self, *args: setattr(self, 'data', 5.0)\n"
    + "print((a + b).data, hasattr(a * 2, 'grad'))\n",
    "methods swapped": CLASS
    + "Value.__add__, Value.__mul__ = Value.__mul__, Value.__add__\nprint(Value(2.0) + 5, Value(2.0) * 5)\n",
    "a method deleted": CLASS
    + "del Value.__radd__\ntry: print(2 + Value(1.0))\nexcept TypeError as e: print('TypeError')\n",
    "backward replaced": CLASS
    + GRAPH
    + "def backward(self):\n    print('mine')\nold = Value.backward\nValue.backward = backward\ny.backward()\nValue.backward = old\n"
    + "y.backward()\nprint(x, w)\n",
    "a rule replaced": CLASS + GRAPH + "z = y * 2\nz._backward = lambda: print('rule')\nz.backward()\nprint(x, w)\n",
    "an attribute of its own": CLASS
    + GRAPH
    + "y.tag = [1]\nz = y * 2\nprint(sorted(n.data for n in z._prev), [n.tag for n in z._prev if hasattr(n, 'tag')])\n",
    "gradients set to text": CLASS
    + GRAPH
    + "x.grad = 'none'\ntry: y.backward()\nexcept TypeError as e: print(e)\nprint(x.grad)\n",
    "data looked up in __dict__ later": CLASS
    + "a = Value(0.5)\nb = a.tanh() * a\na.__dict__['data'] = 0.75\nb.backward()\nprint(a, b)\nprint(a.tanh(), a * 2 + a)\n",
    "__dict__ of an interior node": CLASS
    + GRAPH
    + "n = max(y._prev, key=lambda n: n.data)\nprint(sorted(n.__dict__), n.__dict__['_op'])\ny.backward()\nprint(x, w, n)\n",
    "__dict__ of a result, then used": CLASS
    + GRAPH
    + "print(len(y.__dict__))\nz = y * 2 + y\nz.backward()\nprint(z, y, x, w)\nimport copy\nq = copy.deepcopy(z)\nq.backward()\nprint(q)\n",
    "deleted and set again": CLASS
    + GRAPH
    + "del x.grad\nx.grad = 0.0\ny.backward()\nprint(x, w)\nz = x * 2\nz.backward()\nprint(x, z)\n",
    "deleted twice": CLASS
    + "v = Value(1.0)\ndel v._op\ntry:\n    del v._op\nexcept AttributeError: print('AttributeError')\n",
    # --- thresholds that are laundered
    "a number in a list": changed(
        (
            SUM,
            SUM.replace(
                "self.data + other.data", "(7.0 if [self.data - 2 - 2 - 1][0] == 0 else self.data) + other.data"
            ),
        )
    )
    + ODD,
    "a number in a list, tested": changed(
        (SUM, SUM.replace("self.data + other.data", "(self.data if [self.data - 2 - 2 - 1][0] else 7.0) + other.data"))
    )
    + ODD,
    "a number in a tuple": changed(
        (
            SUM,
            SUM.replace("self.data + other.data", "(self.data if (1, self.data - 2 - 2 - 1)[1] else 7.0) + other.data"),
        )
    )
    + ODD,
    "a number in a node": changed(
        (
            SUM,
            SUM.replace(
                "self.data + other.data", "(self.data if Value(self.data - 2 - 2 - 1).data else 7.0) + other.data"
            ),
        )
    )
    + ODD,
    "a number behind a condition": changed(
        (
            SUM,
            SUM.replace(
                "self.data + other.data",
                "(self.data if (self if other is None else Value(self.data - 2 - 2 - 1)).data else 7.0) + other.data",
            ),
        )
    )
    + ODD,
    "a number by or": changed(
        (SUM, SUM.replace("self.data + other.data", "(((self.data - 2 - 2 - 1) and self.data) or 7.0) + other.data"))
    )
    + ODD,
    "a number by bool": changed(
        (
            SUM,
            SUM.replace(
                "self.data + other.data", "((self.data - 7.0) * bool(self.data - 2 - 2 - 1) + 7.0) + other.data"
            ),
        )
    )
    + ODD,
    "a number by not": changed(
        (
            SUM,
            SUM.replace(
                "self.data + other.data", "((self.data - 7.0) * (not not self.data - 2 - 2 - 1) + 7.0) + other.data"
            ),
        )
    )
    + ODD,
    "a number by zero to a power": changed(
        (
            SUM,
            SUM.replace("self.data + other.data", "(self.data + 2.0 * 0.0 ** abs(self.data - 2 - 2 - 1)) + other.data"),
        )
    )
    + ODD,
    "a number by hash": changed(
        (
            SUM,
            SUM.replace(
                "self.data + other.data",
                "(self.data if hash(self.data) != hash(2.0 + 2.0 + 1.0) else 7.0) + other.data",
            ),
        )
    )
    + ODD,
    "a number by identity": changed(
        (SUM, SUM.replace("self.data + other.data", "(self.data if self.data is not other.data else 7.0) + other.data"))
    )
    + ODD,
    "a number by max": changed(
        (
            SUM,
            SUM.replace(
                "self.data + other.data",
                "(self.data + max(0, min(self.data - 2 - 2, 2 + 2 + 2 - self.data))) + other.data",
            ),
        )
    )
    + ODD,
    "a number by max of attributes": changed(
        (SUM, SUM.replace("self.data + other.data", "(self.data + max(self.data, other.data) * 0) + other.data"))
    )
    + ODD,
    "a number by index": changed(
        (
            SUM,
            SUM.replace(
                "self.data + other.data", "([7.0, self.data][-1 if self.data - 2 - 2 - 1 else 0]) + other.data"
            ),
        )
    )
    + ODD,
    "a number by dict": changed(
        (SUM, SUM.replace("self.data + other.data", "({5.0: 7.0}.get(self.data, self.data)) + other.data"))
    )
    + ODD,
    "a number by lambda": changed(
        (
            SUM,
            SUM.replace("self.data + other.data", "((lambda x: x if x - 2 - 2 - 1 else 7.0)(self.data)) + other.data"),
        )
    )
    + ODD,
    "a number by next": changed(
        (
            SUM,
            SUM.replace(
                "self.data + other.data",
                "(next((7.0 for x in [self.data - 2 - 2 - 1] if not x), self.data)) + other.data",
            ),
        )
    )
    + ODD,
    "a number by any": changed(
        (
            SUM,
            SUM.replace("self.data + other.data", "(self.data if any([self.data - 2 - 2 - 1]) else 7.0) + other.data"),
        )
    )
    + ODD,
    "a number by all": changed(
        (
            SUM,
            SUM.replace("self.data + other.data", "(self.data if all([self.data - 2 - 2 - 1]) else 7.0) + other.data"),
        )
    )
    + ODD,
    "a number by sorted": changed(
        (SUM, SUM.replace("self.data + other.data", "(sorted([self.data, 2.0 + 2.0 + 1.0])[0]) + other.data"))
    )
    + ODD,
    "a number by list.index": changed(
        (
            SUM,
            SUM.replace(
                "self.data + other.data",
                "(self.data if [self.data, 1].count(2.0 + 2.0 + 1.0) == 0 else 7.0) + other.data",
            ),
        )
    )
    + ODD,
    "a number by set": changed(
        (
            SUM,
            SUM.replace(
                "self.data + other.data", "(self.data if len({self.data, 2.0 + 2.0 + 1.0}) == 2 else 7.0) + other.data"
            ),
        )
    )
    + ODD,
    "a number by isinstance": changed(
        (
            SUM,
            SUM.replace("self.data + other.data", "(self.data if isinstance(self.data, float) else 7.0) + other.data"),
        )
    )
    + ODD,
    "a number by round": changed(
        (
            SUM,
            SUM.replace(
                "self.data + other.data",
                "(self.data if round(self.data) == self.data else self.data + 0.0) + other.data",
            ),
        )
    )
    + ODD,
    "a number by division": changed(
        (
            SUM,
            SUM.replace(
                "self.data + other.data", "(self.data + 0 * (1 // (1 + abs(self.data - 2 - 2 - 1)))) + other.data"
            ),
        )
    )
    + ODD,
    "a number by copysign": changed(
        (SUM, SUM.replace("self.data + other.data", "(self.data * math.copysign(1, self.data - 2 - 2)) + other.data"))
    )
    + ODD,
    "a number by remainder": changed(
        (
            SUM,
            SUM.replace(
                "self.data + other.data", "(self.data if math.fmod(self.data, 2) != 1 else self.data) + other.data"
            ),
        )
    )
    + ODD,
    "a number by walrus": changed(
        (SUM, SUM.replace("self.data + other.data", "(x if (x := self.data) != 2 + 2 + 1 else 7.0) + other.data"))
    )
    + ODD,
    "a number by a helper": changed(
        ("def relu", "def _five(self): return self.data - 2 - 2 - 1\n\n    def relu"),
        (SUM, SUM.replace("self.data + other.data", "(self.data if self._five() else 7.0) + other.data")),
    )
    + ODD,
    "a constant in a helper": changed(
        ("def relu", "def _odd(self): return self.data == 5.0\n\n    def relu"),
        (SUM, SUM.replace("self.data + other.data", "(7.0 if self._odd() else self.data) + other.data")),
    )
    + ODD,
    "a limit in a helper": changed(
        ("def relu", "def _cut(self): return min(self.data, 4e5)\n\n    def relu"),
        ("t = math.tanh(self.data)", "t = math.tanh(self._cut())"),
    )
    + ODD,
    "a constant in a property": changed(
        ("def relu", "@property\n    def safe(self): return 7.0 if self.data == 5.0 else self.data\n\n    def relu"),
        (SUM, SUM.replace("self.data + other.data", "self.safe + other.data")),
    )
    + ODD,
    "a limit in an attribute": changed(
        ("self.grad = 0.0\n", "self.grad = 0.0\n        self.limit = 5.0\n"),
        (SUM, SUM.replace("self.data + other.data", "min(self.data, self.limit) + other.data")),
    )
    + ODD,
    "a number by except": changed(
        (ADD, ADD + "        try: 1 / (self.data - 2 - 2 - 1)\n        except ZeroDivisionError: return Value(7.0)\n")
    )
    + ODD,
    "a number by assert": changed((ADD, ADD + "        assert self.data - 2 - 2 - 1\n"))
    + "try: print(Value(5.0) + 1)\nexcept AssertionError: print('no')\n",
    "a number by unpacking": changed(
        (ADD, ADD + "        (x,) = [self.data - 2 - 2 - 1]\n        if not x: return Value(7.0)\n")
    )
    + ODD,
    "a number by while": changed((ADD, ADD + "        while self.data == 2 + 2 + 1: return Value(7.0)\n")) + ODD,
    # --- attributes that go, or come past the class, while rules need them
    **{
        f"{how}, then backward": CLASS
        + "x, w = Value(2.0), Value(3.0); y = x * w; z = y + 1\n"
        + f"{how}\n"
        + "try: z.backward()\nexcept AttributeError as error: print('AttributeError')\nprint(w.grad, z.grad)\n"
        for how in ("del x.data", "delattr(x, 'data')", "vars(x).pop('data')", "x.__dict__.clear()", "del y._prev")
    },
    "object.__setattr__": CLASS + "a = Value(2.0); object.__setattr__(a, 'grad', 5.0); print(a.grad, (a * 2).data)\n",
    "a watcher": CLASS
    + "class Watched(Value):\n    def __setattr__(self, name, value):\n        object.__setattr__(self, name, value)\n"
    + "print((Watched(2.0) * 3).data)\n",
}

# What a relu's rule asks, and whether it multiplies: data that change sign and gradients that are not finite tell.
_RULES = (
    "self.grad += out.grad if out.data > 0 else 0",
    "self.grad += 0 if out.data <= 0 else out.grad",
    "if out.data > 0: self.grad += out.grad",
    "self.grad += (1.0 if self.data > 0 else 0.0) * out.grad",
    "self.grad += (self.data > 0) * out.grad",
    "self.grad += float(self.data > 0) * out.grad",
    "self.grad += (out.data > 0) * out.grad",
    "self.grad += out.grad if self.data > 0 else 0.0",
)
_FORMS = ("max(0, self.data)", "0 if self.data < 0 else self.data", "self.data if self.data > 0 else 0.0")
for _number, _rule in enumerate(_RULES):
    PROGRAMS[f"relu, rule {_number}"] = (
        CLASS.replace("self.grad = 0.0", f"self.grad = {('0.0', '0')[_number % 2]}")
        + f"""
    def relu(self):
        out = Value({_FORMS[_number % 3]}, (self,), "relu")

        def _backward():
            {_rule}

        out._backward = _backward
        return out


"""
        + """
import copy


def show(*nodes):
    print([(repr(v.data), repr(v.grad)) for v in nodes])


for number in (-2.0, 2.0, 0.0, 3, -3, -0.0):
    for factor in (1.0, math.inf, math.nan, -math.inf, 2, 1e308):
        x = Value(number)
        y = x.relu() * factor
        y.backward()
        show(x, y)
        for which in (0, 1):
            x = Value(number)
            y = x.relu()
            z = y * factor
            (x, y)[which].data = -number
            z.backward()
            show(x, y, z)
        w = copy.deepcopy(z)
        w.backward()
        show(w)
"""
    )

# a rule that gives a leaf its first rule, while gradients flow: the leaf's turn is yet to come, or is over
for _children in ("set", "tuple", "list"):
    for _search in ("v._prev", "reversed(tuple(v._prev))"):
        PROGRAMS[f"a leaf gets a rule in the sweep, {_children}, {_search}"] = (
            changed(("set(_children)", f"{_children}(_children)"), ("for child in v._prev", f"for child in {_search}"))
            + f"\nORDERED = {_children != 'set'}\n"
            + """
def hooked(a, b, hook):
    out = Value(a.data - b.data, (a, b), "-")

    def _backward():
        a.grad += out.grad
        b.grad -= out.grad
        hook()

    out._backward = _backward
    return out


SHAPES = [
    lambda n, c: c,
    lambda n, c: c * 2,
    lambda n, c: c * c + c * n["x"],
    lambda n, c: n["x"] + c,
    lambda n, c: (n["y"] + n["p"]) * c,
]
for shape in SHAPES:
    for target in "xympc":
        turns = []
        x, y = Value(1.5), Value(0.75)
        n = {"x": x, "y": y, "m": x * y, "p": x + 1}

        def hook():
            n[target]._backward = lambda: turns.append((n[target].grad, y.grad))

        n["c"] = hooked(n["m"], n["p"], hook)
        root = shape(n, n["c"])
        for _ in range(3):
            root.backward()
            if ORDERED:
                print(target, x.grad, y.grad, turns)
            else:
                print(target, len(turns))
"""
        )

# operands in an order that depends on what most of them have in common: the order of the sums is the author's
for _operands in (
    *(f"sorted(v._prev, key=lambda c: {_key})" for _key in ("c._op", "len(c._prev)", "-c.data")),
    "(v._prev if v._op != '+' else v._prev[::-1])",
    "(v._prev[::-1] if len(topo) % 2 else v._prev)",
):
    PROGRAMS[f"backward() goes through {_operands}"] = (
        changed(("set(_children)", "tuple(_children)"), ("for child in v._prev", f"for child in {_operands}"))
        + """
import random

source = random.Random(5)
for _ in range(300):
    nodes = [Value(source.uniform(0.5, 2.0)) for _ in range(3)]
    for _ in range(12):
        a, b = source.choice(nodes), source.choice(nodes)
        nodes.append(source.choice([lambda: a + b, lambda: a * b, lambda: a.tanh()])())
    nodes[-1].backward()
    print([v.grad for v in nodes])
"""
    )
