from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, SupportsIndex, SupportsInt, TypeAlias, final, overload, type_check_only

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Self, disjoint_base

from kilograd._types import Values

# What becomes a leaf where a Value is expected.
_Number: TypeAlias = float | int | bool | np.floating[Any] | np.integer[Any] | np.bool_
_Array: TypeAlias = NDArray[Any]
_Values: TypeAlias = NDArray[np.object_]

# NumPy's functions take a Value: they call its method of their own name. Their stubs know only this protocol for
# arguments that are neither numbers nor arrays; at run time the methods are there while a function is recorded.
@type_check_only
class _UfuncArgument:
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any: ...
    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any: ...

# The result of what raises an error that says what to write: float(v), math.exp(v), round(v, 2), v.item().
@type_check_only
class _Refused: ...

@disjoint_base
class Value(_UfuncArgument):
    """A number that remembers what it was computed from, so that gradients can flow back.

    Parameters
    ----------
    data : int, float, bool or NumPy real scalar
        The number.
    _children : iterable of Value, optional
        The operands.
    _op : str, or sequence of numbers, optional
        The name of the operation; or the local derivative for each child, and then ``backward()`` needs no Python
        rule for this node.
    label : str, optional
        A name for drawing.
    **aliases
        The same under other names: `children` and `_prev`; `op`; `local_grads` and `_local_grads`.

    Raises
    ------
    TypeError
        If `data` is no real number or a child is no Value.
    ValueError
        If the number of local gradients differs from the number of children.
    """
    @property
    def data(self) -> float:
        """The number: float, or int while integer arithmetic keeps it exact."""
    @data.setter
    def data(self, value: _Number) -> None: ...
    @property
    def grad(self) -> float:
        """The gradient of the root of the last backward() with respect to this node."""
    @grad.setter
    def grad(self, value: _Number) -> None: ...
    label: str
    """A name for drawing."""
    _op: str
    """The operation that made this node; '' for a leaf."""
    _backward: Callable[[], object]
    """A callable that runs this node's own backward rule; assign a function to give the node a rule."""
    __array_priority__: float
    item: _Refused
    detach: _Refused
    numpy: _Refused
    def __init__(
        self,
        data: _Number,
        _children: Iterable[Value] | None = (),
        _op: str | Iterable[_Number] | None = "",
        label: str = "",
        *,
        children: Iterable[Value] | None = ...,
        _prev: Iterable[Value] | None = ...,
        op: str | None = ...,
        local_grads: Iterable[_Number] = ...,
        _local_grads: Iterable[_Number] = ...,
    ) -> None: ...
    @property
    def _prev(self) -> set[Value]:
        """The operands, as a set."""
    @property
    def _children(self) -> tuple[Value, ...]:
        """The operands, as a tuple in operand order."""
    @property
    def _local_grads(self) -> tuple[float, ...]:
        """The local derivatives with respect to the operands, at their present data."""
    def backward(self, grad: _Number = 1.0) -> None:
        """Set the gradient of this node to `grad` and add into the gradient of every ancestor.

        Gradients accumulate, interior ones included: zero them between two calls.

        Parameters
        ----------
        grad : float, optional
            The gradient of the root itself.
        """
    def zero_grad(self) -> None:
        """Set the gradient of this node and of every ancestor to zero."""
    def forward(self) -> float:
        """Recompute the data of everything that this node was computed from, given the present data of the leaves.

        The graph stays: set the leaves that are inputs, call ``forward()``, ``backward()``, and so on. Gradients of
        all nodes but the leaves become zero, as if the graph had just been built.

        Returns
        -------
        float
            The new data of this node.

        Raises
        ------
        ValueError, OverflowError, ZeroDivisionError
            If an operation is outside its domain at the new data; then all data and gradients are as before.
        RuntimeError
            If a node among them has a rule written in Python and no ``_forward``, a function without arguments that
            returns the node's data (or sets it, and returns None); or local gradients that are fixed numbers.
        """
    def tanh(self) -> Value:
        """Hyperbolic tangent."""
    def relu(self) -> Value:
        """Rectified linear unit, max(0, x); derivative 0 at 0."""
    def leaky_relu(self, slope: _Number = 0.01) -> Value:
        """Leaky rectified linear unit: x for x >= 0, slope * x below; derivative `slope` at 0."""
    def sigmoid(self) -> Value:
        """Logistic function, 1 / (1 + exp(-x))."""
    def softplus(self) -> Value:
        """Softplus, log(1 + exp(x))."""
    def silu(self) -> Value:
        """Sigmoid linear unit (swish), x * sigmoid(x)."""
    def gelu(self) -> Value:
        """Gaussian error linear unit, x * Phi(x), in its exact form with erf."""
    def exp(self) -> Value:
        """Exponential function."""
    def expm1(self) -> Value:
        """exp(x) - 1, accurate near 0."""
    def log(self) -> Value:
        """Natural logarithm."""
    def log1p(self) -> Value:
        """log(1 + x), accurate near 0."""
    def sqrt(self) -> Value:
        """Square root."""
    def abs(self) -> Value:
        """Absolute value; derivative 0 at 0."""
    def sin(self) -> Value:
        """Sine, of radians."""
    def cos(self) -> Value:
        """Cosine, of radians."""
    def tan(self) -> Value:
        """Tangent, of radians."""
    def asin(self) -> Value:
        """Arc sine, in radians."""
    def acos(self) -> Value:
        """Arc cosine, in radians."""
    def atan(self) -> Value:
        """Arc tangent, in radians."""
    def sinh(self) -> Value:
        """Hyperbolic sine."""
    def cosh(self) -> Value:
        """Hyperbolic cosine."""
    def asinh(self) -> Value:
        """Inverse hyperbolic sine."""
    def acosh(self) -> Value:
        """Inverse hyperbolic cosine."""
    def atanh(self) -> Value:
        """Inverse hyperbolic tangent."""
    def arcsin(self) -> Value:
        """Arc sine, in radians."""
    def arccos(self) -> Value:
        """Arc cosine, in radians."""
    def arctan(self) -> Value:
        """Arc tangent, in radians."""
    def arcsinh(self) -> Value:
        """Inverse hyperbolic sine."""
    def arccosh(self) -> Value:
        """Inverse hyperbolic cosine."""
    def arctanh(self) -> Value:
        """Inverse hyperbolic tangent."""
    def erf(self) -> Value:
        """Error function."""
    def erfc(self) -> Value:
        """Complementary error function, accurate in the tail."""
    def maximum(self, other: Value | _Number, /) -> Value:
        """The larger of two values; NaN wins."""
    def minimum(self, other: Value | _Number, /) -> Value:
        """The smaller of two values; NaN wins."""
    @overload
    def __add__(self, other: Value | _Number, /) -> Value: ...
    @overload
    def __add__(self, other: _Array, /) -> _Values: ...
    @overload
    def __radd__(self, other: Value | _Number, /) -> Value: ...
    @overload
    def __radd__(self, other: _Array, /) -> _Values: ...
    @overload
    def __sub__(self, other: Value | _Number, /) -> Value: ...
    @overload
    def __sub__(self, other: _Array, /) -> _Values: ...
    @overload
    def __rsub__(self, other: Value | _Number, /) -> Value: ...
    @overload
    def __rsub__(self, other: _Array, /) -> _Values: ...
    @overload
    def __mul__(self, other: Value | _Number, /) -> Value: ...
    @overload
    def __mul__(self, other: _Array, /) -> _Values: ...
    @overload
    def __rmul__(self, other: Value | _Number, /) -> Value: ...
    @overload
    def __rmul__(self, other: _Array, /) -> _Values: ...
    @overload
    def __truediv__(self, other: Value | _Number, /) -> Value: ...
    @overload
    def __truediv__(self, other: _Array, /) -> _Values: ...
    @overload
    def __rtruediv__(self, other: Value | _Number, /) -> Value: ...
    @overload
    def __rtruediv__(self, other: _Array, /) -> _Values: ...
    @overload
    def __pow__(self, other: Value | _Number, modulus: None = None, /) -> Value: ...
    @overload
    def __pow__(self, other: _Array, modulus: None = None, /) -> _Values: ...
    @overload
    def __rpow__(self, other: Value | _Number, modulus: None = None, /) -> Value: ...
    @overload
    def __rpow__(self, other: _Array, modulus: None = None, /) -> _Values: ...
    def __neg__(self) -> Value: ...
    def __pos__(self) -> Self: ...
    def __abs__(self) -> Value: ...
    @overload
    def __lt__(self, other: Value | _Number, /) -> bool: ...
    @overload
    def __lt__(self, other: _Array, /) -> NDArray[np.bool_]: ...
    @overload
    def __le__(self, other: Value | _Number, /) -> bool: ...
    @overload
    def __le__(self, other: _Array, /) -> NDArray[np.bool_]: ...
    @overload
    def __gt__(self, other: Value | _Number, /) -> bool: ...
    @overload
    def __gt__(self, other: _Array, /) -> NDArray[np.bool_]: ...
    @overload
    def __ge__(self, other: Value | _Number, /) -> bool: ...
    @overload
    def __ge__(self, other: _Array, /) -> NDArray[np.bool_]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __bool__(self) -> bool: ...
    def __float__(self) -> _Refused: ...
    def __int__(self) -> _Refused: ...
    def __round__(self, ndigits: None = None, /) -> _Refused: ...
    def __floor__(self) -> _Refused: ...  # these are numbers in a function that is recorded
    def __ceil__(self) -> _Refused: ...
    def __trunc__(self) -> _Refused: ...
    def __setattr__(self, name: str, value: Any, /) -> None: ...  # attributes of one's own, like v.note = "x"
    def _repr_html_(self) -> str | None:
        """The graph as a notebook shows it; None where it cannot be."""
    def __format__(self, format_spec: str, /) -> str: ...
    def __copy__(self) -> Self: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

def declare_absent(type: type, instead_of: dict[str, str], /) -> None: ...
def keep_objects(type: type, keep: bool = True) -> None: ...
def new_family(
    name: str, *, int_grads: bool = False, shows_grad: bool = False, module: str = "kilograd"
) -> type[Value]: ...
def ops() -> list[tuple[str, str, str, str, str]]: ...
def live_nodes() -> int:
    """The number of nodes alive now."""

def reserved_bytes() -> int:
    """The memory that the arena holds, in bytes."""

@overload
def maximum(a: _Number, b: _Number, /) -> float:
    """The larger of two values; NaN wins."""

@overload
def maximum(a: Value, b: Value | _Number, /) -> Value: ...
@overload
def maximum(a: Value | _Number, b: Value, /) -> Value: ...
@overload
def minimum(a: _Number, b: _Number, /) -> float:
    """The smaller of two values; NaN wins."""

@overload
def minimum(a: Value, b: Value | _Number, /) -> Value: ...
@overload
def minimum(a: Value | _Number, b: Value, /) -> Value: ...

# For kilograd.run: a program's own class on the engine.
@disjoint_base
class Served:
    __array_priority__: float
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def __copy__(self) -> Self: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def __setstate__(self, state: Any, /) -> None: ...

@final
class ServedMethod:
    __wrapped__: Any  # the author's function
    def __call__(self, *arguments: Any, **keywords: Any) -> Any: ...

def new_served(name: str, module: str, metaclass: type) -> type: ...
def new_member(
    name: str,
    role: str,
    container: str = "tuple",
    leaf_container: str = "tuple",
    empty: Any = None,
    on_class: Any = ...,
    live: type | None = None,
    watched: bool = False,
) -> Any: ...
def new_method(
    cls: Any,
    name: str,
    recipe: str,
    function: Any,
    fixed: bool,
    numpy: bool,
    local_kind: str,
    label: Any,
    steps: Any,
) -> Any: ...
def served_attribute(cls: type, name: str, value: Any, /) -> None: ...
def served_bases(cls: type, bases: tuple[type, ...], /) -> None: ...
def served_conventions(
    cls: Any,
    *,
    zero: str,
    one: str,
    order: str,
    closed: bool,
    closures: bool,
    makes: str,
    paused: bool,
    numpy: bool,
    numpy_ints: bool,
    singles: bool,
    numpy_left: bool,
    data: Any,
    grad: Any,
    foreign: list[str],
    names: list[str],
    bare: bool,
    switches: list[tuple[Any, str, bool, type | None]],
) -> None: ...
def served_init(cls: Any, function: Any, plain: bool) -> None: ...
def served_keep(node: Served, name: str, value: object, /) -> None: ...
def served_nodes_built() -> int: ...
def served_operator(
    cls: Any, name: str, reflected: bool, function: Any, mode: SupportsInt, label: Any, steps: Any, rule: Any
) -> None: ...
def served_rule(cls: Any, function: Any, /) -> None: ...
def served_subclass(cls: type, /) -> None: ...

# What a path through a traced function depends on: a comparison, "is" for a read of .data, or "raises".
_Note = tuple[str, Value | None, Value | _Number | None, bool]

def _trace_into(notes: list[_Note] | None, /) -> list[_Note] | None: ...

# Masks, 1 or 0, and what one lets through (else -0.0)
def _less(a: Value | _Number, b: Value | _Number, /) -> Value: ...
def _less_equal(a: Value | _Number, b: Value | _Number, /) -> Value: ...
def _equal(a: Value | _Number, b: Value | _Number, /) -> Value: ...
def _gate(mask: Value, x: Value | _Number, /) -> Value: ...

# What functions of NumPy are recorded as; a float of floats.
def _floor(a: Value | _Number, /) -> Value: ...
def _rint(a: Value | _Number, /) -> Value: ...
def _sign(a: Value | _Number, /) -> Value: ...
def _cbrt(a: Value | _Number, /) -> Value: ...
def _exp2(a: Value | _Number, /) -> Value: ...
def _log2(a: Value | _Number, /) -> Value: ...
def _log10(a: Value | _Number, /) -> Value: ...
def _fmax(a: Value | _Number, b: Value | _Number, /) -> Value: ...
def _fmin(a: Value | _Number, b: Value | _Number, /) -> Value: ...
def _modulo(a: Value | _Number, b: Value | _Number, /) -> Value: ...
def _floor_divide(a: Value | _Number, b: Value | _Number, /) -> Value: ...
def _hypot(a: Value | _Number, b: Value | _Number, /) -> Value: ...
def _atan2(a: Value | _Number, b: Value | _Number, /) -> Value: ...
def _copysign(a: Value | _Number, b: Value | _Number, /) -> Value: ...
def _log_gamma(a: Value | _Number, /) -> Value: ...
def _tgamma(a: Value | _Number, /) -> Value: ...
def _polygamma(x: Value | _Number, order: int, /) -> Value: ...
def _log_beta(a: Value | _Number, b: Value | _Number, /) -> Value: ...
def _digamma_gap(a: Value | _Number, b: Value | _Number, /) -> Value: ...
def _trigamma_gap(a: Value | _Number, b: Value | _Number, /) -> Value: ...
def _ndtr(a: Value | _Number, /) -> Value: ...
def _ndtri(a: Value | _Number, /) -> Value: ...
def _erfcx(x: Value | _Number, order: int, /) -> Value: ...
def _bessel_i(x: Value | _Number, order: int, /) -> Value: ...
def _bessel_ie(x: Value | _Number, order: int, /) -> Value: ...
def _bessel_fall(x: Value | _Number, order: int, /) -> Value: ...
def _log_cosh(a: Value | _Number, /) -> Value: ...
def _dispatch_by(of_ufuncs: Any, of_functions: Any, operators: tuple[Any, ...], /) -> None: ...
def _refuse_buffers(type: type, /) -> None: ...

@type_check_only
class _Guards:
    def __len__(self) -> int: ...
    def hold_at(self, row: NDArray[np.float64], /) -> int: ...
    def holds(self, rows: NDArray[np.float64], /) -> NDArray[np.int8]: ...

def _dead_interior() -> int: ...
def _guards(notes: list[_Note], inputs: Sequence[object], /) -> _Guards: ...
def _operations_backward(root: Value, /) -> list[Value]: ...
def _enter_no_grad() -> None: ...
def _exit_no_grad() -> None: ...
def _leaf(cls: type[Value], data: float, grad: float, label: object, op: object, /) -> Value: ...
def _pick(snapshot: object, place: SupportsIndex, /) -> Value: ...
def _load(
    data: bytes, externals: list[Value], families: list[Any], classes: list[tuple[int, type[Value]]], /
) -> object: ...

# Networks: the native path behind kilograd.nn
def call_neuron(neuron: object, x: Sequence[object], /) -> Value | None: ...
def call_layer(layer: object, x: object, /) -> Any: ...
def call_layers(layers: Iterable[object], x: object, /) -> Any: ...
def parameters_of(modules: Iterable[object], /) -> list[Value]: ...
def declare_neuron(type: type, *, bias_first: bool = False, nonlin: bool = False) -> None: ...
def declare_layer(type: type) -> None: ...

# kilograd.functional
_Reduced: TypeAlias = Literal["mean", "sum"]
_Reduction: TypeAlias = Literal["mean", "sum", "none"]
_Range: TypeAlias = tuple[float, float, bool]  # the lowest number, the highest, whether of the magnitude

def losses() -> list[tuple[str, _Range | None, _Range | None]]: ...

# Losses, written by python -m tests.stub.
@overload
def mse(prediction: Values, target: Values, *, reduction: _Reduced = "mean") -> Value:
    """Squared error, ``(p - t)**2``.

    Parameters
    ----------
    prediction : Values and numbers
    target : Values and numbers, of the same shape
    reduction : {"mean", "sum", "none"}
    """

@overload
def mse(prediction: Values, target: Values, *, reduction: _Reduction) -> Any: ...
@overload
def huber(prediction: Values, target: Values, *, delta: float = 1.0, reduction: _Reduced = "mean") -> Value:
    """Huber loss of the distance d between p and t: ``d**2 / 2`` up to `delta`, ``delta * (d - delta/2)`` beyond.

    Parameters
    ----------
    prediction : Values and numbers
    target : Values and numbers, of the same shape
    delta : float, default 1.0
        Where the parabola ends; positive.
    reduction : {"mean", "sum", "none"}
    """

@overload
def huber(prediction: Values, target: Values, *, delta: float = 1.0, reduction: _Reduction) -> Any: ...
@overload
def log_cosh(prediction: Values, target: Values, *, reduction: _Reduced = "mean") -> Value:
    """Logarithm of the hyperbolic cosine of the error, ``log(cosh(p - t))``.

    Nearly ``(p - t)**2 / 2`` for small errors, ``abs(p - t) - log(2)`` for large ones, and smooth in
    between (Saleh and Saleh, Statistical properties of the log-cosh loss function, 2022).

    Parameters
    ----------
    prediction : Values and numbers
    target : Values and numbers, of the same shape
    reduction : {"mean", "sum", "none"}
    """

@overload
def log_cosh(prediction: Values, target: Values, *, reduction: _Reduction) -> Any: ...
@overload
def hinge(score: Values, target: Values, *, margin: float = 1.0, reduction: _Reduced = "mean") -> Value:
    """Hinge loss of a binary classifier, ``max(0, margin - t * score)``.

    Parameters
    ----------
    score : Values and numbers
    target : Values and numbers -1 or 1, of the same shape
    margin : float, default 1.0
        Positive.
    reduction : {"mean", "sum", "none"}
    """

@overload
def hinge(score: Values, target: Values, *, margin: float = 1.0, reduction: _Reduction) -> Any: ...
@overload
def binary_cross_entropy(prediction: Values, target: Values, *, reduction: _Reduced = "mean") -> Value:
    """Cross-entropy of a binary classifier, ``-(t * log(p) + (1 - t) * log(1 - p))``.

    A logarithm below -100 counts as -100, and gradients are exact (PyTorch caps them for p or 1 - p below
    1e-12).

    Parameters
    ----------
    prediction : Values and numbers from 0 to 1
    target : Values and numbers from 0 to 1, of the same shape
    reduction : {"mean", "sum", "none"}
    """

@overload
def binary_cross_entropy(prediction: Values, target: Values, *, reduction: _Reduction) -> Any: ...
@overload
def binary_cross_entropy_from_logits(prediction: Values, target: Values, *, reduction: _Reduced = "mean") -> Value:
    """Cross-entropy of a binary classifier that ends without a sigmoid, ``softplus(p) - t * p``.

    That of the probability ``sigmoid(p)``, without any loss of accuracy.

    Parameters
    ----------
    prediction : Values and numbers
    target : Values and numbers from 0 to 1, of the same shape
    reduction : {"mean", "sum", "none"}
    """

@overload
def binary_cross_entropy_from_logits(prediction: Values, target: Values, *, reduction: _Reduction) -> Any: ...

# Other losses and reductions.
def flatten(values: object, what: str) -> tuple[list[Any], tuple[int, ...]]: ...
def dot(w: object, x: object, b: object) -> Value: ...
def sum(values: object, start: object) -> Value: ...
def mean(values: object) -> Value: ...
def logsumexp(values: object) -> Any: ...
def softmax(values: object) -> Any: ...
def log_softmax(values: object) -> Any: ...
def cross_entropy(logits: object, target: object, reduction: str) -> Any: ...
def l2(values: object, alpha: float) -> Value: ...

# Parameter updates and arrays: kilograd.optim, kilograd.arrays. An array is a buffer of float64, one for each Value.
# (kind, settings, steps, averages): what update_rule() makes the same rule of. An average is None until it has begun.
_RuleState: TypeAlias = tuple[str, dict[str, float | None], int, dict[str, NDArray[np.float64] | None]]

def zero_grad(parameters: Sequence[object], /) -> None: ...

@type_check_only
class _UpdateRule:
    @property
    def steps(self) -> int: ...
    @steps.setter
    def steps(self, value: int) -> None: ...
    def __getitem__(self, name: str, /) -> float | None: ...
    def __setitem__(self, name: str, value: float | None, /) -> None: ...
    def state(self) -> _RuleState: ...

@type_check_only
class _Bookmark: ...

def update_rule(
    kind: str, settings: Mapping[str, float | None], steps: int, averages: Mapping[str, object], /
) -> _UpdateRule: ...
def update(rule: _UpdateRule, parameters: list[Value], lr: float, /) -> None: ...
def bookmark(rule: _UpdateRule, parameters: list[Value], /) -> _Bookmark: ...
def restore(rule: _UpdateRule, parameters: list[Value], bookmark: _Bookmark, /) -> None: ...
def clip_norm(parameters: list[Value], limit: float, order: float, /) -> float: ...
def clip_value(parameters: list[Value], limit: float, /) -> None: ...
def read_data(values: list[Value], out: object, /) -> None: ...
def read_grad(values: list[Value], out: object, /) -> None: ...
def write_data(values: list[Value], array: object, /) -> None: ...
def write_grad(values: list[Value], array: object, /) -> None: ...
def take_rows(table: object, which: object, out: object, first: int, /) -> None: ...
def all_finite(values: list[Value], /) -> bool: ...
def require_leaves(parameters: list[Value], /) -> None: ...
def leaves(array: object, type: type[Value], /) -> list[Value]: ...

@type_check_only
class _Stage:
    @property
    def nbytes(self) -> int: ...
    @property
    def n_inputs(self) -> int: ...
    @property
    def n_outputs(self) -> int: ...
    @property
    def order(self) -> int: ...
    def forward(self, parameters: tuple[Value, ...], x: _Array, check: bool, /) -> NDArray[np.float64]: ...
    def vjp(
        self, parameters: tuple[Value, ...], x: _Array, weights: _Array, check: bool, /
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
    def jvp(self, parameters: tuple[Value, ...], x: _Array, v: _Array, check: bool, /) -> NDArray[np.float64]: ...
    def hvp(
        self, parameters: tuple[Value, ...], x: _Array, v: _Array, weights: _Array, check: bool, /
    ) -> NDArray[np.float64]: ...
    def pattern(
        self, second: bool, wrt: tuple[int, ...], /
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], bool, NDArray[np.int32], NDArray[np.int32]]: ...

def _program_stage(program: _Program) -> _Stage: ...
def _sequence_stage(
    n_inputs: int, steps: list[tuple[_Stage, list[tuple[int, int]]]], outputs: list[tuple[int, int]]
) -> _Stage: ...
def _loop_stage(
    body: _Stage,
    condition: _Stage | None,
    carried: int,
    varying: list[int],
    constants: _Array,
    first_count: float | None,
    shared: int,
    results: int,
    turns: int,
    backwards: bool,
    checkpoints: bool,
) -> _Stage: ...
def _gradient_stage(stage: _Stage, count: int) -> _Stage: ...
def _python_stage(object: object, n_inputs: int, n_outputs: int) -> _Stage: ...
def _shared_results(values: Sequence[object], inner: Sequence[object]) -> list[Value]: ...
def _boundary(values: Sequence[object], inner: Sequence[object], since: Value | None) -> list[Value]: ...

@type_check_only
class _Program:
    @property
    def n_inputs(self) -> int: ...
    @property
    def code(self) -> str: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    def __len__(self, /) -> int: ...
    code_allowed: bool
    def counts(self) -> dict[str, dict[str, int]]: ...
    def dump(self, data: Sequence[float], /) -> bytes: ...
    def forward(
        self,
        parameters: tuple[Value | NDArray[np.float64], ...],
        x: ArrayLike | None,
        reduce: str | None,
        threads: int,
        check: bool,
        out: NDArray[np.float64] | None,
        /,
    ) -> NDArray[np.float64]: ...
    def value_and_grad(
        self,
        parameters: tuple[Value | NDArray[np.float64], ...],
        x: ArrayLike | None,
        wrt: str,
        weights: ArrayLike | None,
        reduce: str | None,
        threads: int,
        check: bool,
        out: Sequence[NDArray[np.float64]] | None,
        order: str,
        /,
    ) -> tuple[NDArray[np.float64], ...]: ...
    def backward(
        self,
        parameters: tuple[Value, ...],
        x: ArrayLike | None,
        weights: ArrayLike | None,
        reduce: str | None,
        threads: int,
        check: bool,
        out: NDArray[np.float64] | None,
        /,
    ) -> NDArray[np.float64]: ...
    def descend(
        self,
        parameters: tuple[Value, ...],
        x: ArrayLike | None,
        reduce: str | None,
        batch: int,
        threads: int,
        check: bool,
        trained: list[Value],
        rule: _UpdateRule,
        rates: NDArray[np.float64] | None,
        losses: NDArray[np.float64],
        finite: bool,
        stop: object,
        /,
    ) -> tuple[int, _Bookmark | None, BaseException | None]: ...
    def vjp(
        self,
        parameters: tuple[Value | NDArray[np.float64], ...],
        x: ArrayLike | None,
        v: ArrayLike,
        wrt: str,
        reduce: str | None,
        threads: int,
        check: bool,
        out: NDArray[np.float64] | None,
        /,
    ) -> NDArray[np.float64]: ...
    def jvp(
        self,
        parameters: tuple[Value | NDArray[np.float64], ...],
        x: ArrayLike | None,
        v: ArrayLike,
        wrt: str,
        reduce: str | None,
        threads: int,
        check: bool,
        out: NDArray[np.float64] | None,
        /,
    ) -> NDArray[np.float64]: ...
    def jacobian(
        self,
        parameters: tuple[Value | NDArray[np.float64], ...],
        x: ArrayLike | None,
        wrt: str | tuple[int, ...],
        reduce: str | None,
        threads: int,
        check: bool,
        out: NDArray[np.float64] | None,
        /,
    ) -> NDArray[np.float64]: ...
    def hessian(
        self,
        parameters: tuple[Value | NDArray[np.float64], ...],
        x: ArrayLike | None,
        wrt: str | tuple[int, ...],
        weights: ArrayLike | None,
        reduce: str | None,
        threads: int,
        check: bool,
        out: NDArray[np.float64] | None,
        /,
    ) -> NDArray[np.float64]: ...
    def entries(
        self,
        parameters: tuple[Value | NDArray[np.float64], ...],
        x: ArrayLike | None,
        second: bool,
        wrt: str | tuple[int, ...],
        weights: ArrayLike | None,
        reduce: str | None,
        threads: int,
        check: bool,
        out: NDArray[np.float64] | None,
        /,
    ) -> NDArray[np.float64]: ...
    def shared(self, inputs: tuple[int, ...], /) -> _Program: ...
    def pattern(
        self, second: bool, wrt: str | tuple[int, ...], weighted: bool, /
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]: ...
    def hvp(
        self,
        parameters: tuple[Value | NDArray[np.float64], ...],
        x: ArrayLike | None,
        v: ArrayLike,
        wrt: str,
        weights: ArrayLike | None,
        reduce: str | None,
        threads: int,
        check: bool,
        out: NDArray[np.float64] | None,
        /,
    ) -> NDArray[np.float64]: ...

def _record(
    outputs: list[Value | float],
    shape: Sequence[int],
    inputs: list[Any],
    parameters: list[Any] | None,
    cut: bool = False,
) -> tuple[_Program, list[Value]]: ...
def _load_program(data: bytes) -> tuple[_Program, list[float]]: ...
def _instruction_sets() -> list[str]: ...
