"""More programs for `tests.fuzz.served`: parts of a class that lie outside of it, and what a program may do to them.

Functions that methods call, decorators, bases, switches of the class, attributes that only results have, slopes that
are read late.
"""

# ruff: noqa: E501 - programs in lines

from __future__ import annotations

from tests.fuzz.adversaries import CLASS, GRAPH, USE, changed

__all__ = ["PROGRAMS"]

LIFT = "        other = other if isinstance(other, Value) else Value(other)\n"
HELPER = "def lift(x):\n    return x if isinstance(x, Value) else Value(x)\n\n\n"
HEAD = "class Value:\n"
LIFTED = changed((LIFT, "        other = lift(other)\n"), (LIFT, "        other = lift(other)\n"))
OUT = '        out = Value(self.data + other.data, (self, other), "+")\n'
MIXIN = """class Mixin:
    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def __neg__(self):
        return self * -1


"""
DERIVED = changed(
    (HEAD, MIXIN + "class Value(Mixin):\n"),
    (
        "    def __radd__(self, other):\n        return self + other\n\n    def __rmul__(self, other):\n        return self * other\n\n    def tanh",
        "    def tanh",
    ),
)
SWITCHED = changed(
    (HEAD, HEAD + "    enabled = True\n\n"),
    (OUT, OUT + "        if not Value.enabled:\n            return Value(self.data + other.data)\n"),
)
RESULTS = changed(
    ("        self._prev = set(_children)\n", ""),
    ("        self._backward = lambda: None\n", "        if _children:\n            self._prev = set(_children)\n"),
    ("v._prev", "getattr(v, '_prev', ())"),
    ("            v._backward()", "            if hasattr(v, '_backward'):\n                v._backward()"),
)
LATE = changed(("(1 - t * t)", "(1 - out.data ** 2)"))

PROGRAMS: dict[str, str] = {
    # --- functions that methods call
    "helper above": HELPER + LIFTED + USE,
    "helper below": LIFTED + HELPER + USE,
    "helper below, and a call between": LIFTED
    + "try: print(Value(1.0) + Value(2.0))\nexcept NameError as e: print(e)\n"
    + HELPER
    + USE,
    "helper bound again": HELPER + LIFTED + USE + "def lift(x): return Value(0.25)\n" + USE,
    "helper bound by a function": HELPER
    + LIFTED
    + "def change():\n    global lift\n    lift = lambda x: Value(0.25)\n"
    + USE
    + "change()\n"
    + USE,
    "helper with a memory": HELPER.replace("(x)", "(x, seen=[])", 1).replace(
        "    return", "    seen.append(1)\n    return"
    )
    + LIFTED
    + USE
    + "print(len(lift.__defaults__[0]) > 0)\n",
    "helper that counts on itself": HELPER.replace(
        "    return", "    lift.calls = getattr(lift, 'calls', 0) + 1\n    return"
    )
    + LIFTED
    + USE
    + "print(lift.calls)\n",
    "helper with a threshold": HELPER.replace("else Value(x)", "else Value(x if x != 4.0 else 4.5)")
    + LIFTED
    + USE
    + "print(Value(1.0) + 4.0)\n",
    "helper of a helper": "def number(x):\n    return x\n\n\n"
    + HELPER.replace("Value(x)\n", "Value(number(x))\n")
    + LIFTED
    + USE
    + "number = lambda x: x * 2\n"
    + USE,
    "helper passed around": "import functools\n"
    + HELPER
    + "def again(f, x):\n    return f(x)\n\n\n"
    + LIFTED.replace("lift(other)", "again(lift, other)")
    + USE,
    "helper wrapped": "import functools\n"
    + HELPER.replace("def lift", "@functools.lru_cache(None)\ndef lift")
    + LIFTED
    + USE,
    "sort above": "def order(root):\n    found, seen = [], set()\n    def walk(v):\n        if v not in seen:\n            seen.add(v)\n            for c in v._prev: walk(c)\n            found.append(v)\n    walk(root)\n    return found\n\n\n"
    + CLASS.partition("        topo, visited")[0]
    + "        self.grad = 1.0\n        for v in reversed(order(self)):\n            v._backward()\n\n\n"
    + USE
    + GRAPH
    + "y.backward()\nprint(f'{x.grad:.9g} {w.grad:.9g}')\n",
    "a constant that changes": "SCALE = 1\n\n\n"
    + changed((OUT, OUT.replace("other.data,", "other.data * SCALE,")))
    + USE
    + "SCALE = 3\n"
    + USE,
    "a constant set from elsewhere": "import sys\nSCALE = 1\n\n\n"
    + changed((OUT, OUT.replace("other.data,", "other.data * SCALE,")))
    + USE
    + "me = sys.modules[__name__]\nme.SCALE = 3\n"
    + USE,
    # --- decorators
    "decorator": "def lifted(f):\n    def wrapper(self, other):\n        return f(self, other if isinstance(other, Value) else Value(other))\n    return wrapper\n\n\n"
    + changed(("    def __add__", "    @lifted\n    def __add__"))
    + USE
    + "print(Value.__add__.__name__)\n",
    "decorator that counts": "calls = []\ndef lifted(f):\n    def wrapper(self, other):\n        calls.append(1)\n        return f(self, other)\n    return wrapper\n\n\n"
    + changed(("    def __add__", "    @lifted\n    def __add__"))
    + USE
    + "print(len(calls))\n",
    "decorator whose variable changes": "def lifted(f):\n    def wrapper(self, other):\n        return f(self, other)\n    def change(g):\n        nonlocal f\n        f = g\n    wrapper.change = change\n    return wrapper\n\n\n"
    + changed(("    def __add__", "    @lifted\n    def __add__"))
    + USE
    + "Value.__add__.change(lambda a, b: Value(7.0))\n"
    + "print(Value(1.0) + Value(2.0))\n",
    # --- bases
    "mixin": DERIVED
    + USE
    + "print(isinstance(a, Mixin), issubclass(Value, Mixin), Value.__bases__, Value.mro()[1:], Mixin.__subclasses__ is None)\n",
    "mixin, shown": DERIVED
    + USE
    + "print(isinstance(a, Mixin), issubclass(Value, Mixin), Value.__bases__, [k for k in vars(Value) if not k.startswith('__')], -a)\n",
    "mixin changed": DERIVED + USE + "Mixin.__neg__ = lambda self: self * 5\nprint(-a)\n",
    "mixin changed by name": DERIVED
    + USE
    + "for k in ('__neg__', '__radd__'): setattr(Mixin, k, lambda self, o=0: self * 5)\nprint(-a, 3 + a)\n",
    "mixin changed under another name": DERIVED
    + USE
    + "M = Value.__mro__[1]\nM.__neg__ = lambda self: self * 5\nprint(-a)\n",
    "mixin changed from within": DERIVED.replace(
        "    def __radd__",
        "    @classmethod\n    def change(cls):\n        cls.__neg__ = lambda self: self * 5\n\n    def __radd__",
        1,
    )
    + USE
    + "Mixin.change()\nprint(-a)\n",
    "switch of a base": changed(
        (
            HEAD,
            "class Mixin:\n    enabled = True\n    @classmethod\n    def off(cls):\n        cls.enabled = False\n\n\nclass Value(Mixin):\n",
        ),
        (OUT, OUT + "        if not Value.enabled:\n            return Value(self.data + other.data)\n"),
    )
    + USE
    + "Mixin.off()\nprint(len((a + b)._prev))\n",
    "mixin that gets a hook": DERIVED
    + USE
    + "def hook(self, name, value):\n    print(name)\n    object.__setattr__(self, name, value)\nMixin.__setattr__ = hook\na.grad = 3.0\nprint(a.grad)\n",
    "mixin, own method deleted": DERIVED.replace(
        "    def relu(self):", "    def __neg__(self):\n        return self * -2\n\n    def relu(self):"
    )
    + USE
    + "print(-a)\ndel Value.__neg__\nprint(-a)\n",
    "the class derived under its own name": CLASS
    + "class Value(Value):\n    def zero_grad(self):\n        self.grad = 0.0\n"
    + USE
    + "print(type(a + b).__mro__[1].__name__, hasattr(a + b, 'zero_grad'))\n",
    "a subclass of the derived class": DERIVED
    + "class Loud(Value):\n    def __add__(self, other):\n        print('+')\n        return super().__add__(other)\n"
    + USE
    + "print(Loud(1.0) + 2, 2 + Loud(1.0), type(-Loud(1.0)).__name__)\n",
    # --- switches of the class
    "switch": SWITCHED
    + USE
    + "Value.enabled = False\n"
    + "y = a + b\nprint(len(y._prev), len((a * b)._prev))\nf = a.tanh\nprint(len(f()._prev))\nc.backward()\nprint(a.grad)\nValue.enabled = True\n"
    + USE,
    "switch set through an object": SWITCHED
    + USE
    + "a.enabled = False\nprint(len((a + b)._prev))\ntype(a).enabled = False\nprint(len((a + b)._prev))\n",
    "switch that is no truth": SWITCHED
    + USE
    + "Value.enabled = 0\nprint(len((a + b)._prev))\nValue.enabled = [1]\nprint(len((a + b)._prev))\ndel Value.enabled\ntry: a + b\nexcept AttributeError as e: print(e)\n",
    "switch in a subclass": SWITCHED
    + "class Quiet(Value):\n    enabled = False\n"
    + USE
    + "print(len((Quiet(1.0) + 2)._prev), len((a + 2)._prev))\n",
    "switch read late": SWITCHED.replace(
        "            self.grad += out.grad\n", "            if Value.enabled: self.grad += out.grad\n", 1
    )
    + USE
    + "y = a + b\nValue.enabled = False\ny.backward()\nprint(a.grad)\n",
    # --- attributes of results
    "attributes of results": RESULTS
    + USE
    + "print(hasattr(a, '_prev'), hasattr(c, '_prev'), sorted(vars(a)), sorted(vars(c)))\ntry: a._prev\nexcept AttributeError as e: print(e)\n",
    "attributes of results, given to a leaf": RESULTS
    + USE
    + "a._prev = ()\nprint(hasattr(a, '_prev'), a._prev)\na._backward = lambda: print('rule')\nc.backward()\ndel a._prev\nprint(hasattr(a, '_prev'))\n",
    "attributes of results, taken away": RESULTS
    + USE
    + "c._prev = set()\nprint(c._prev)\nc.backward()\nprint(a.grad)\n",
    "a list on leaves": changed(
        ("set(_children)", "[]"),
        (OUT, "        out = Value(self.data + other.data, (), '+')\n        out._prev = (self, other)\n"),
        (
            '        out = Value(self.data * other.data, (self, other), "*")\n',
            "        out = Value(self.data * other.data, (), '*')\n        out._prev = (self, other)\n",
        ),
        (
            '        out = Value(t, (self,), "tanh")\n',
            "        out = Value(t, (), 'tanh')\n        out._prev = (self,)\n",
        ),
        (
            '        out = Value(max(0.0, self.data), (self,), "relu")\n',
            "        out = Value(max(0.0, self.data), (), 'relu')\n        out._prev = (self,)\n",
        ),
    )
    + USE
    + "print(a._prev, len(c._prev))\na._prev.append(b)\nprint(len(a._prev), b._prev)\nc._prev = ()\nprint(c._prev)\nc._prev = []\nprint(c._prev)\n",
    # --- slopes that are read late
    "tanh read late": LATE
    + USE
    + "h = Value(0.7)\nfor new in (0.5, 2, True, -0.0, 1e200):\n    t = h.tanh()\n    t.data = new\n    h.grad = 0.0\n    try: t.backward()\n    except OverflowError as e: print(e); continue\n    print(repr(h.grad), repr(t.data))\n",
    "tanh read late, looked into": LATE
    + USE
    + "h = Value(0.7)\nt = h.tanh()\nvars(t)['data'] = 0.25\nt.backward()\nprint(h.grad)\nt = h.tanh()\nt.__dict__['data'] = 0.5\nprint(t.data)\nt.backward()\nprint(h.grad)\n",
    "tanh read late, copied": LATE
    + USE
    + "import copy, pickle\nt = Value(0.7).tanh()\nu = copy.copy(t)\nu.data = 0.5\nu.backward()\nprint(u.grad, [v.grad for v in t._prev])\n",
    "tanh read late, fractions": LATE
    + USE
    + "from fractions import Fraction\nh = Value(0.5)\nt = h.tanh()\nt.data = Fraction(1, 3)\nt.backward()\nprint(repr(h.grad))\n",
    "floats": changed(("self.data = data", "self.data = float(data)"))
    + USE
    + "for x in (3, True, 2**53 - 1, 2**53 + 1, -0.0, '1.5'):\n    v = Value(x)\n    print(repr(v.data), repr((v + 1).data), repr((2 * v).data), repr(v.relu().data))\na.data = 3\nprint(repr((a + a).data), repr((a * 2).data), repr(a.relu().data), repr(a.data))\n",
    "logs": changed(
        (
            "    def relu(self):",
            "    def log(self):\n        out = Value(math.log(self.data), (self,), 'log')\n        def _backward():\n            self.grad += out.grad / self.data\n        out._backward = _backward\n        return out\n\n    def relu(self):",
        )
    )
    + USE
    + "for x in (3, 0.1, 7.0, True, 1e-300, 0.7):\n    for g in (1, 0.3, 1e300, -7):\n        v = Value(x)\n        y = v.log() * g\n        y.backward()\n        print(repr(v.grad))\nv = Value(2.0)\ny = v.log()\nv.data = 3\ny.backward()\nprint(v.grad)\n",
}
