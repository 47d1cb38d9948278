"""What would make a class servable that is left alone, by the reason: one line for the report."""

from __future__ import annotations

import re

__all__ = ["remedy"]

# The first that is found in the reason counts.
REMEDIES = (
    (r"threads run in parallel", "set PYTHON_GIL=1"),
    (
        r"changes the global|uses the global '.*(count|id|tape|log).*'",
        "let nodes be made without a trace outside of them: count, log or record in the code that uses them",
    ),
    (r"uses the global '(\w+)'", "let {0} be True or False if it is a switch, else a parameter"),
    (r"the name '(\w+)', which is not defined yet", "define {0} above the class"),
    (r"has a default that can change", "let the default be None, a number, a text or a tuple"),
    (r"depends on a text", "compute from numbers, and make texts in __repr__"),
    (r"reads (?:\w+\.|the global ')(\w+)", "let {0} be True or False, and read it before the node's rule is made"),
    (r"depends on the number|compares|whether something is zero|asks whether", "let the operators only compute"),
    (
        r"uses numpy.(as)?array|arrays in place of numbers|uses numpy.\w+_like",
        "keep a number with each node: numpy.float64(x), or x as it is",
    ),
    (
        r"make NumPy raise",
        "leave numpy.seterr and numpy.errstate to code that no node takes part in, or let data be Python's floats",
    ),
    (r"calls super\(\)|and has __slots__", "write the constructor, and what calls super(), in the class itself"),
    (
        r"it derives from|it has the metaclass|it defines",
        "derive from plain classes of the program's own, or from nothing",
    ),
    (r"carry two functions", "keep one function with each node, the one that backward() calls"),
    (r"neither a backward function nor local gradients", "keep a function, or local gradients, with each node"),
    (
        r"do not keep their operands|carry '\w+', which",
        "keep operands in a tuple of their own, local gradients in another",
    ),
    (r"receives the gradient", "let the gradient of a node begin at 0 or 0.0"),
    (r"number twice", "keep the number once, and let the other be a property"),
    (r"computes more than|calls functions of math|has a loop", "let + and * compute the sum and the product alone"),
    (r"prints?\(\)|calls \w+\(\)|uses \w+\.\w+", "leave what else is done to the code that uses nodes"),
    (
        r"the program (uses|sets|deletes|may|has)|line \d+ may",
        "do without that, or run the class in a program of its own",
    ),
)


def remedy(reason: str, name: str) -> str | None:
    """What would make the class `name` servable, or None where nobody knows."""
    for pattern, text in REMEDIES:
        match = re.search(pattern, reason)
        if match is not None:
            return text.format(*[part for part in match.groups() if part], name) if "{0}" in text else text
    return None
