"""Functions recorded at their first call: ordinary Python over numbers becomes programs, one for each path through it.

A call looks for a recorded path whose guards, the comparisons that the function made on its way, hold for its numbers.
Where there is one, its program runs; where there is none, the function runs once more, with Values, and is recorded.

In the order of reading: `structure`, of arguments and results, and `calls`; `tracing`; `conditions`, which `choice`
makes operations of; `traced`, the arrays of a trace, and `protocols`, by which functions come to them, with what
`ufuncs`, `functions`, `order`, `linalg` (with `elimination`), `special` and `stats` make of them, `complexes`, pairs
of such, with `complex_functions` and `fourier`; `substitutes`, for what asks no protocol, which `names` puts in place;
`integers` and `narrow`, that are arguments; `habits` and `agreement`, for functions that may treat Values otherwise
than numbers, and `texts`, of these; `stages`, of which `loops` (by `turns`), `rules`, `matrices`, `eigenvalues` and
`gradients` make some; `sweeps`, that give sparse derivatives of these; `path`, and `only`, one that all calls take;
`derivatives`, of `function` at one row and of `batch` at many; `transforms`, the public functions.
"""

from kilograd.compiled.batch import Batch
from kilograd.compiled.choice import where
from kilograd.compiled.function import PATH_LIMIT, Compiled
from kilograd.compiled.loops import fori_loop, scan, while_loop
from kilograd.compiled.rules import custom, implicit
from kilograd.compiled.transforms import compile, grad, hessian, hvp, jacobian, value_and_grad

__all__ = [
    "PATH_LIMIT",
    "Batch",
    "Compiled",
    "compile",
    "custom",
    "fori_loop",
    "grad",
    "hessian",
    "hvp",
    "implicit",
    "jacobian",
    "scan",
    "value_and_grad",
    "where",
    "while_loop",
]
