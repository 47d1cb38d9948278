"""Where the names are that people look for in `kilograd` and that are elsewhere."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from kilograd._core import Value

__all__ = ["instead_of"]

_HOMES = ("optim", "functional", "training")
_ELSEWHERE = {
    "KilogradClassifier": "it is kilograd.estimators.KilogradClassifier",  # its module imports scikit-learn: a second
    "KilogradRegressor": "it is kilograd.estimators.KilogradRegressor",
    "Parameter": "every Value is one: kilograd.Value(number)",
    "Tensor": "kilograd.Value is one number, kilograd.arrays.values(array) makes one of each",
    "array": "kilograd.arrays.values(array) makes a Value of each number",
    "tensor": "kilograd.Value is one number, kilograd.arrays.values(array) makes one of each",
    "hstack": "numpy.hstack works on arrays of Values",
    "jit": "kilograd.compile records a function",
    "stack": "numpy.stack works on arrays of Values",
    "vmap": "kilograd.compile(f).batch goes over rows",
}


def instead_of(name: str) -> str:
    """What to write instead of a name that `kilograd` has not, for the end of a sentence, where that is known."""
    if name.startswith("_") or find_spec(f"kilograd.{name}"):  # `from kilograd import module` asks here first
        return ""
    if name in _ELSEWHERE:
        return f": {_ELSEWHERE[name]}"
    if callable(getattr(Value, name, None)):
        return f": it is a method, v.{name}()"
    for home in _HOMES:
        if name in import_module(f"kilograd.{home}").__all__:
            return f": it is kilograd.{home}.{name}"
    return ""
