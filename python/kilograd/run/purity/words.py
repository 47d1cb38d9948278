"""The words that a method may be made of: names of types, functions, methods and attributes, and what they call."""

from __future__ import annotations

import ast

from kilograd.harmless import ON_TEXT, words

# Types, for isinstance().
TYPES = words("bool complex dict float frozenset int list object range set str tuple type")
# NumPy's floats, which are called as float() is.
NUMPY_FLOATS = words("double float32 float64 float_ single")
# What such an expression is known to be.
TYPED = frozenset({"type", "class"}) | {f"builtin {one}" for one in TYPES | NUMPY_FLOATS}
PARTS_OF_TYPES = words("Integral Number Real bool complex float floating generic int integer ndarray number")
# Modules whose types are harmless.
SAFE_TYPES = words("builtins collections decimal fractions numbers numpy typing")
# Functions of math, and those that test a number.
SMOOTH = words("""
    acos acosh asin asinh atan atan2 atanh cbrt cos cosh degrees erf erfc exp exp2 expm1 gamma hypot lgamma log
    log10 log1p log2 pow radians sin sinh sqrt tan tanh
""")
TESTS = words("isfinite isinf isnan signbit")
# Attributes of containers, numbers and texts.
CONTAINER_METHODS = words("""
    add append appendleft clear copy count difference discard extend extendleft get index insert intersection
    isdisjoint issubset issuperset items keys pop popleft remove reverse setdefault sort union update values
""")
NUMBER_ATTRIBUTES = words("""
    T as_integer_ratio astype conjugate denominator dtype imag is_integer item mean ndim numerator real reshape
    shape size sum
""")
TEXT_METHODS = words("endswith format join ljust lower replace rjust split startswith strip title upper")

# What an operator, or a builtin, calls of an operand's.
UNARY = {ast.USub: "__neg__", ast.UAdd: "__pos__", ast.Invert: "__invert__"}
BINARY = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "truediv",
    ast.Pow: "pow",
    ast.FloorDiv: "floordiv",
    ast.Mod: "mod",
    ast.MatMult: "matmul",
    ast.BitAnd: "and",
    ast.BitOr: "or",
    ast.BitXor: "xor",
    ast.LShift: "lshift",
    ast.RShift: "rshift",
}
ORDERED = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")
HASHED = ("__hash__", "__eq__")
ITERATED = ("__iter__", "__next__", "__getitem__", "__len__")
SHOWN = ("__repr__", "__str__", "__format__")
BY_NUMPY = ("__float__", "__index__", "__array__", "__array_interface__", "__array_struct__")
CALLED_BY = {  # what a builtin calls of an operand's
    "abs": ("__abs__",),
    "bool": ("__bool__", "__len__"),
    "complex": ("__complex__", "__float__", "__index__"),
    "dict": (*HASHED, *ITERATED, "keys"),
    "divmod": ("__divmod__", "__rdivmod__"),
    "float": ("__float__", "__index__"),
    "frozenset": (*HASHED, *ITERATED),
    "hash": ("__hash__",),
    "int": ("__int__", "__index__", "__trunc__"),
    "isinstance": (),
    "id": (),
    "type": (),
    "max": (*ORDERED, *ITERATED),
    "min": (*ORDERED, *ITERATED),
    "pow": ("__pow__", "__rpow__"),
    "round": ("__round__",),
    "set": (*HASHED, *ITERATED),
    "sorted": (*ORDERED, *ITERATED),
    "sum": ("__add__", "__radd__", *ITERATED),
    **dict.fromkeys(NUMPY_FLOATS, (*BY_NUMPY, *ITERATED)),
    **dict.fromkeys(ON_TEXT, SHOWN),
}
