"""Which of the engine's ways to compute a function are tried, by what the author's method is called."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from kilograd import _core
from kilograd.run.record import replace
from kilograd.run.served import Recipe

RECIPES: dict[str, tuple[Recipe, ...]] = {
    "tanh": tuple(
        Recipe(name, fixed=fixed)
        for name in ("tanh_by_exp, 1 - t**2", "tanh_by_exp, 1 - t*t", "math.tanh, 1 - t**2", "math.tanh, 1 - t*t")
        for fixed in (True, False)
    ),
    "sigmoid": tuple(Recipe("logistic_by_exp, s * (1 - s)", fixed=fixed) for fixed in (True, False)),
    "log": (Recipe("log: gradient / x"), Recipe("log: x**-1")),
    "relu": tuple(
        Recipe(name, fixed=fixed, local=local)
        for name in ("relu: 0 if x < 0", "relu: x if x > 0 else 0", "relu: 0.0 if x < 0", "relu: x if x > 0 else 0.0")
        for fixed, local in ((False, "bool"), (True, "float"), (True, "bool"), (True, "int"))
    )
    + tuple(
        Recipe(f"relu: {name} if x {sign}, slope of x", local="bool")
        for name, sign in (("0", "< 0"), ("x", "> 0 else 0"), ("0.0", "< 0"), ("x", "> 0 else 0.0"))
    ),
}
# The same by NumPy's functions, whose last bits are their own.
BY_NUMPY: dict[str, tuple[Recipe, ...]] = {
    "tanh": tuple(
        Recipe(f"numpy.{name}, {slope}", fixed=fixed)
        for name in ("tanh", "tanh_by_exp")
        for slope in ("1 - t**2", "1 - t*t")
        for fixed in (True, False)
    ),
    "sigmoid": tuple(Recipe("numpy.logistic_by_exp, s * (1 - s)", fixed=fixed) for fixed in (True, False)),
    "log": (
        Recipe("numpy.log"),
        Recipe("numpy.log", fixed=True, local="data"),
        Recipe("numpy.log: gradient / x"),
        Recipe("numpy.log: x**-1"),
    ),
    "exp": (Recipe("numpy.exp"), Recipe("numpy.exp", fixed=True, local="data")),
    "sqrt": (Recipe("numpy.sqrt"), Recipe("numpy.sqrt", fixed=True, local="data")),
    "relu": tuple(
        Recipe("numpy.relu: maximum", fixed=fixed, local=local)
        for fixed, local in ((False, "bool"), (True, "float"), (True, "int"))
    ),
}
SYNONYMS = {"logistic": "sigmoid", "ln": "log", "sigm": "sigmoid", "arctan": "atan", "arcsin": "asin", "arccos": "acos"}
ROWS = frozenset(name for name, _, arity, _, _ in _core.ops() if arity == "Unary")


def recipes_for(name: str, by_numpy: bool = False) -> Iterable[Recipe]:
    """Give the ways, the likeliest first; with NumPy's functions only where the method may call some."""
    wanted = name.strip("_").lower()
    wanted = SYNONYMS.get(wanted, wanted)
    found = [*(BY_NUMPY.get(wanted, ()) if by_numpy else ()), *RECIPES.get(wanted, ())]
    if wanted in ROWS and wanted != "relu":
        found += [Recipe(wanted), Recipe(wanted, fixed=True), Recipe(wanted, fixed=True, local="data")]
    if wanted == "exp":
        found.append(Recipe("exp, slope of x"))
    has_numpy = "numpy" in sys.modules
    for recipe in found:
        if has_numpy:
            yield replace(recipe, numpy=True)
        yield recipe
