"""Which of the engine's ways to compute a function are tried, by what the author's method is called."""

from __future__ import annotations

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
SYNONYMS = {"logistic": "sigmoid", "ln": "log", "sigm": "sigmoid", "arctan": "atan", "arcsin": "asin", "arccos": "acos"}
ROWS = frozenset(name for name, _, arity, _, _ in _core.ops() if arity == "Unary")


def recipes_for(name: str) -> Iterable[Recipe]:
    """Give the ways, the likeliest first."""
    wanted = name.strip("_").lower()
    wanted = SYNONYMS.get(wanted, wanted)
    for recipe in RECIPES.get(wanted, ()):
        yield replace(recipe, numpy=True)
        yield recipe
    if wanted in ROWS and wanted != "relu":
        for fixed in (False, True):
            yield Recipe(wanted, fixed=fixed, numpy=True)
            yield Recipe(wanted, fixed=fixed)
    if wanted == "exp":
        yield Recipe("exp, slope of x", numpy=True)
        yield Recipe("exp, slope of x")
