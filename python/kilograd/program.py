"""Programs: a graph recorded once, then run over batches of inputs, with gradients and second derivatives."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, overload

from kilograd import _core, tables
from kilograd._core import Value
from kilograd.sparse import Stack, csr, entries_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Array: TypeAlias = NDArray[np.float64]
    Out: TypeAlias = Array | None

__all__ = ["Program", "Reduce", "Wrt"]

Nested: TypeAlias = "Value | float | Iterable[Nested]"
_OF_CALLS = frozenset(["threads", "reduce", "wrt", "weights", "check", "out", "sparse"])

Wrt: TypeAlias = Literal["inputs", "parameters", "both"]
Reduce: TypeAlias = Literal["mean", "sum"] | None


class Program:
    """A graph of Values in recorded form: an immutable function from inputs to outputs.

    Recording takes milliseconds and leaves the graph as it is. The program then needs the graph no more; it keeps only
    the Values that are its parameters. Running it makes no nodes and gives up the GIL, and any number of Python threads
    may run one program at once.

    Parameters
    ----------
    outputs : Value, or nested sequences or an array of Values
        What to compute, of shape ``S``: ``()`` for one Value, ``(n,)`` for a list of them, and so on. A plain number
        counts as a constant.
    inputs : sequence of Value, default ()
        The leaves that a call supplies, in the order of the columns of ``X``; nested sequences are flattened in C
        order. An input that no output depends on is allowed.
    parameters : sequence of Value, optional
        Leaves whose ``data`` is read anew at each call, in the order of the gradient ``dP``; the other leaves are
        constants. By default every leaf that Python code holds is a parameter, in the order of first use. Numbers that
        became leaves, as 2 in ``2 * x``, are constants: there is no object to change them by.
    constant : bool, default False
        Take all leaves that are not inputs as constants, at their present data.
    code : bool, default True
        Make machine code once the program was called often enough, where there is some for this machine. Results do
        not depend on it.

    Attributes
    ----------
    parameters : list of Value
    code : str
    ops : dict
    nbytes : int

    Raises
    ------
    TypeError
        If the graph holds an op whose rule is Python's (a custom ``_backward``, or local gradients given as numbers),
        an argument is no Value, or Values come without an order, as in a set or a dict.
    ValueError
        If an input or parameter is no leaf or occurs twice, if `outputs` is empty or its lists differ in length.

    Notes
    -----
    Shapes: with ``n`` inputs, ``X`` is ``(n,)`` for one row or ``(batch, n)``; any strides, any real type and any table
    (`kilograd.tables`) are accepted, float64 arrays without a copy. ``B`` below is ``()`` for one row and ``(batch,)``
    otherwise. ``X`` may be left out of a program without inputs.

    All methods take these keywords:

    ``parameters`` : array_like, (n_parameters,) or (sets, n_parameters), optional
        Numbers in place of the parameters' data, in the order of `parameters`; the Values are left alone. With several
        sets all results have one more axis in front, of the sets. `backward` has it not: it is about the Values.
    ``threads`` : int, default 1
        On how many threads blocks of rows are computed; -1 takes all processors that the process may use. Results are
        the same to the last bit for any number.
    ``check`` : bool, default True
        Raise what the eager operation would raise (ValueError, OverflowError or ZeroDivisionError, with op, row and
        operand) for a finite operand outside an op's domain. Otherwise NaN and infinity flow.
    ``out`` : float64 array, C-contiguous
        Where to put the result (`value_and_grad`: a tuple of arrays). It may share memory with what is read, but two of
        them may not with each other. After an error its contents are undefined.

    Ctrl-C ends a call within a fraction of a second; what a handler of another signal does, it does as soon. An array
    given as ``out`` then holds the rows that were computed, no gradient has changed, and the program can be used again.

    The instruction set is the best of the machine; the environment variable ``KILOGRAD_ISA`` (``sse2``, ``avx2``,
    ``avx512``) chooses another. Results agree with the eager ones to rounding, not to the last bit:
    sums are regrouped, and elementary functions are vector code with errors below 2 ulp.

    Examples
    --------
    >>> import numpy as np
    >>> from kilograd import Program, Value
    >>> w, x = Value(3.0), Value(0.0)
    >>> p = Program((w * x).tanh(), inputs=[x])
    >>> p(np.array([[0.0], [0.25]]))
    array([0.        , 0.63514895])
    >>> y, dw = p.value_and_grad(np.array([[0.0], [0.25]]), wrt="parameters", reduce="mean")
    >>> print(dw)
    [0.07457323]
    """

    def __init__(
        self,
        outputs: Nested,
        inputs: Iterable[Any] = (),
        parameters: Iterable[Any] | None = None,
        *,
        constant: bool = False,
        code: bool = True,
    ) -> None:
        _check_code("Program", code)
        values, shape = _flatten(outputs)
        if not values:
            raise ValueError("Program: at least one output is needed")
        if constant and parameters is None:
            parameters = ()
        wanted = None if parameters is None else list(_leaves(parameters))
        self._core, found = _core._record(values, shape, list(_leaves(inputs)), wanted)
        self._parameters: tuple[Value, ...] = tuple(found)
        self._core.code_allowed = code

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OF_CALLS:
            raise AttributeError(f"{name} is no attribute of a Program but an argument of its calls: p(X, {name}=...)")
        super().__setattr__(name, value)

    @property
    def code(self) -> str:
        """What runs the program's rows one by one or a few at a time, and why: machine code, or the kernels."""
        return self._core.code

    @property
    def parameters(self) -> list[Value]:
        """The Values whose data is read at each call, in the order of ``dP``."""
        return list(self._parameters)

    @property
    def ops(self) -> dict[str, dict[str, int]]:
        """How many of each op there are: "recorded", in the graph, and "optimised", in the program."""
        return self._core.counts()

    @property
    def nbytes(self) -> int:
        """The memory of the program, in bytes, with the schedules made so far."""
        return self._core.nbytes

    def __len__(self) -> int:
        """The number of ops of the program, after optimisation."""
        return len(self._core)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        recorded = sum(self.ops["recorded"].values())
        return (
            f"Program({_count(self._core.n_inputs, 'input')}, {_count(len(self._parameters), 'parameter')}, "
            f"outputs of shape {self._core.shape}, {_count(len(self), 'op')} from {recorded})"
        )

    def _repr_html_(self) -> str | None:
        """In a notebook: what goes in, the operations before and after optimisation, the size."""
        from kilograd.display.programs import program_html

        return program_html(self)

    def forward(
        self,
        X: ArrayLike | None = None,
        *,
        reduce: Reduce = None,
        parameters: ArrayLike | None = None,
        threads: int = 1,
        check: bool = True,
        out: Out = None,
    ) -> Array:
        """Compute the outputs; the same as calling the program.

        Parameters
        ----------
        X : array_like, (n,) or (batch, n)
            The inputs.
        reduce : {"mean", "sum"}, optional
            Give the mean or the sum over the rows.
        parameters, threads, check, out
            See the class.

        Returns
        -------
        array, B + S, or S if reduced
            A NumPy scalar where the shape is ().
        """
        if parameters is not None:
            result: Array = self._with(parameters, out, self._core.forward, X, reduce, threads, check, out)
            return result
        return self._core.forward(self._parameters, X, reduce, threads, check, out)

    __call__ = forward

    def value_and_grad(
        self,
        X: ArrayLike | None = None,
        wrt: Wrt = "inputs",
        weights: ArrayLike | None = None,
        *,
        reduce: Reduce = None,
        parameters: ArrayLike | None = None,
        threads: int = 1,
        check: bool = True,
        out: Sequence[Array] | None = None,
        order: Literal["C", "F"] = "C",
    ) -> tuple[Array, ...]:
        """Compute the outputs, and the gradient of their (weighted) sum over all outputs and rows.

        Parameters
        ----------
        X : array_like, (n,) or (batch, n)
            The inputs.
        wrt : {"inputs", "parameters", "both"}
            Which gradients. The ``grad`` of the parameters is left alone.
        weights : array_like, S or B + S, optional
            Of the outputs in the sum, the same for all rows or row by row; by default ones. The values are not
            weighted.
        reduce : {"mean", "sum"}, optional
            Values, and so gradients, of the mean or the sum over the rows. `weights` then has the shape S.
        parameters, threads, check, out
            See the class.
        order : {"C", "F"}
            Of the array ``dX`` of a batch: "F" has the rows of each column side by side, and is written faster. ``X``
            is read in either order.

        Returns
        -------
        values : array, B + S, or S if reduced
        dX : array of the shape of X, if asked for
            With the derivatives of the whole sum by each input of each row.
        dP : array, (n_parameters,), if asked for
            In the order of `parameters`, added up over the rows.
        """
        if parameters is not None:
            arguments = X, wrt, weights, reduce, threads, check, out, order
            results: tuple[Array, ...] = self._with(parameters, out, self._core.value_and_grad, *arguments)
            return results
        return self._core.value_and_grad(self._parameters, X, wrt, weights, reduce, threads, check, out, order)

    def backward(
        self,
        X: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        *,
        reduce: Reduce = None,
        threads: int = 1,
        check: bool = True,
        out: Out = None,
    ) -> Array:
        """Compute the outputs, and add the gradient of their (weighted) sum into the parameters' ``grad``.

        As `Value.backward` on that sum would do for the leaves. After an error no ``grad`` has changed.

        Parameters
        ----------
        X, weights, reduce
            See `value_and_grad`.
        threads, check, out
            See the class.

        Returns
        -------
        array, B + S, or S if reduced
            The outputs.
        """
        return self._core.backward(self._parameters, X, weights, reduce, threads, check, out)

    def vjp(
        self,
        X: ArrayLike | None,
        v: ArrayLike,
        wrt: Wrt = "inputs",
        *,
        reduce: Reduce = None,
        parameters: ArrayLike | None = None,
        threads: int = 1,
        check: bool = True,
        out: Out = None,
    ) -> Array:
        """Vector-Jacobian product of each row, by one reverse sweep.

        Parameters
        ----------
        X : array_like, (n,) or (batch, n)
            The inputs.
        v : array_like, S or B + S
            What multiplies the outputs from the left.
        wrt : {"inputs", "parameters", "both"}
            The columns of the Jacobian: ``m`` of them, the inputs, the parameters, or the one after the other.
        reduce : {"mean", "sum"}, optional
            Give the mean or the sum over the rows.
        parameters, threads, check, out
            See the class.

        Returns
        -------
        array, B + (m,), or (m,) if reduced
        """
        if parameters is not None:
            result: Array = self._with(parameters, out, self._core.vjp, X, v, wrt, reduce, threads, check, out)
            return result
        return self._core.vjp(self._parameters, X, v, wrt, reduce, threads, check, out)

    def jvp(
        self,
        X: ArrayLike | None,
        v: ArrayLike,
        wrt: Wrt = "inputs",
        *,
        reduce: Reduce = None,
        parameters: ArrayLike | None = None,
        threads: int = 1,
        check: bool = True,
        out: Out = None,
    ) -> Array:
        """Jacobian-vector product of each row: the derivative of the outputs in the direction `v`, by a forward sweep.

        Parameters
        ----------
        X : array_like, (n,) or (batch, n)
            The inputs.
        v : array_like, (m,) or B + (m,)
            The direction, the same in all rows or row by row.
        wrt : {"inputs", "parameters", "both"}
            What `v` moves: ``m`` inputs, parameters, or inputs and then parameters.
        reduce : {"mean", "sum"}, optional
            Give the mean or the sum over the rows.
        parameters, threads, check, out
            See the class.

        Returns
        -------
        array, B + S, or S if reduced
        """
        if parameters is not None:
            result: Array = self._with(parameters, out, self._core.jvp, X, v, wrt, reduce, threads, check, out)
            return result
        return self._core.jvp(self._parameters, X, v, wrt, reduce, threads, check, out)

    @overload
    def jacobian(
        self,
        X: ArrayLike | None = None,
        wrt: Wrt = "inputs",
        *,
        sparse: Literal[False] = False,
        reduce: Reduce = None,
        parameters: ArrayLike | None = None,
        threads: int = 1,
        check: bool = True,
        out: Out = None,
    ) -> Array: ...
    @overload
    def jacobian(
        self,
        X: ArrayLike | None = None,
        wrt: Wrt = "inputs",
        *,
        sparse: bool,
        reduce: Reduce = None,
        parameters: ArrayLike | None = None,
        threads: int = 1,
        check: bool = True,
        out: Any = None,
    ) -> Any: ...
    def jacobian(
        self,
        X: ArrayLike | None = None,
        wrt: Wrt = "inputs",
        *,
        sparse: bool = False,
        reduce: Reduce = None,
        parameters: ArrayLike | None = None,
        threads: int = 1,
        check: bool = True,
        out: Any = None,
    ) -> Any:
        """Jacobian of each row, exact.

        By a program of the entries that may differ from zero, which is made at the first call; where that would be
        longer, by as many sweeps as there are outputs or columns, whichever are fewer.

        Parameters
        ----------
        X : array_like, (n,) or (batch, n)
            The inputs.
        wrt : {"inputs", "parameters", "both"}
            The columns: ``m`` inputs, parameters, or inputs and then parameters.
        sparse : bool, default False
            Give a SciPy sparse array with the pattern that `sparsity` tells, the outputs in C order being its rows; of
            a batch a `kilograd.sparse.Stack` of them. ``out`` is then what an earlier call gave.
        reduce : {"mean", "sum"}, optional
            Give the mean or the sum over the rows.
        parameters, threads, check, out
            See the class.

        Returns
        -------
        array, B + S + (m,), or S + (m,) if reduced
            With `sparse`, ``scipy.sparse.csr_array`` of shape (outputs, m).
        """
        if sparse:
            return self._sparse(False, X, wrt, None, reduce, parameters, threads, check, out)
        if parameters is not None:
            return self._with(parameters, out, self._core.jacobian, X, wrt, reduce, threads, check, out)
        return self._core.jacobian(self._parameters, X, wrt, reduce, threads, check, out)

    @overload
    def hessian(
        self,
        X: ArrayLike | None = None,
        wrt: Wrt = "inputs",
        weights: ArrayLike | None = None,
        *,
        sparse: Literal[False] = False,
        reduce: Reduce = None,
        parameters: ArrayLike | None = None,
        threads: int = 1,
        check: bool = True,
        out: Out = None,
    ) -> Array: ...
    @overload
    def hessian(
        self,
        X: ArrayLike | None = None,
        wrt: Wrt = "inputs",
        weights: ArrayLike | None = None,
        *,
        sparse: bool,
        reduce: Reduce = None,
        parameters: ArrayLike | None = None,
        threads: int = 1,
        check: bool = True,
        out: Any = None,
    ) -> Any: ...
    def hessian(
        self,
        X: ArrayLike | None = None,
        wrt: Wrt = "inputs",
        weights: ArrayLike | None = None,
        *,
        sparse: bool = False,
        reduce: Reduce = None,
        parameters: ArrayLike | None = None,
        threads: int = 1,
        check: bool = True,
        out: Any = None,
    ) -> Any:
        """Hessian of the (weighted) sum of the outputs of each row, exact.

        By a program of the second derivatives that may differ from zero, which is made at the first call; where that
        would be longer, by forward over reverse sweeps, several columns in one where it is sparse. The two agree to
        rounding as long as no term of a derivative is beyond the largest float. There they may differ by infinity and
        NaN: the terms are infinite, and whether they cancel depends on the order of factors, which is not the same.

        Parameters
        ----------
        X : array_like, (n,) or (batch, n)
            The inputs.
        wrt : {"inputs", "parameters", "both"}
            The variables: ``m`` inputs, parameters, or inputs and then parameters.
        weights : array_like, S or B + S, optional
            Of the outputs in the sum; by default ones.
        sparse : bool, default False
            Give a SciPy sparse array with the pattern that `sparsity` tells, both triangles; of a batch a
            `kilograd.sparse.Stack` of them. ``out`` is then what an earlier call gave.
        reduce : {"mean", "sum"}, optional
            Give the mean or the sum over the rows.
        parameters, threads, check, out
            See the class.

        Returns
        -------
        array, B + (m, m), or (m, m) if reduced
            With `sparse`, ``scipy.sparse.csr_array``.
        """
        if sparse:
            return self._sparse(True, X, wrt, weights, reduce, parameters, threads, check, out)
        if parameters is not None:
            return self._with(parameters, out, self._core.hessian, X, wrt, weights, reduce, threads, check, out)
        return self._core.hessian(self._parameters, X, wrt, weights, reduce, threads, check, out)

    def sparsity(
        self, of: Literal["jacobian", "hessian"] = "jacobian", wrt: Wrt = "inputs", *, weighted: bool = False
    ) -> Any:
        """Tell which entries of a Jacobian or a Hessian may differ from zero.

        What solvers ask for beforehand, as ``jac_sparsity`` of ``scipy.optimize.least_squares``. The sparse arrays that
        `jacobian` and `hessian` give hold these entries, zeros included, in this order. A matrix of which few entries
        are known to be zero counts as full.

        Parameters
        ----------
        of : {"jacobian", "hessian"}
            Which of the two.
        wrt : {"inputs", "parameters", "both"}
            The columns, as in `jacobian` and `hessian`.
        weighted : bool, default False
            Of the Hessian with weights.

        Returns
        -------
        scipy.sparse.csr_array of bool
        """
        if of not in ("jacobian", "hessian"):
            raise ValueError(f'of must be "jacobian" or "hessian", not {of!r}')
        starts, columns = self._core.pattern(of == "hessian", wrt, weighted)
        return csr(columns >= 0, starts, columns, self._width(wrt))

    def hvp(
        self,
        X: ArrayLike | None,
        v: ArrayLike,
        wrt: Wrt = "inputs",
        weights: ArrayLike | None = None,
        *,
        reduce: Reduce = None,
        parameters: ArrayLike | None = None,
        threads: int = 1,
        check: bool = True,
        out: Out = None,
    ) -> Array:
        """Product of each row's Hessian, as `hessian` gives it, with a vector, for about twice the price of a gradient.

        Parameters
        ----------
        X : array_like, (n,) or (batch, n)
            The inputs.
        v : array_like, (m,) or B + (m,)
            The vector, the same in all rows or row by row.
        wrt : {"inputs", "parameters", "both"}
            The variables: ``m`` inputs, parameters, or inputs and then parameters.
        weights : array_like, S or B + S, optional
            Of the outputs in the sum; by default ones.
        reduce : {"mean", "sum"}, optional
            Give the mean or the sum over the rows.
        parameters, threads, check, out
            See the class.

        Returns
        -------
        array, B + (m,), or (m,) if reduced
        """
        if parameters is not None:
            result: Array = self._with(parameters, out, self._core.hvp, X, v, wrt, weights, reduce, threads, check, out)
            return result
        return self._core.hvp(self._parameters, X, v, wrt, weights, reduce, threads, check, out)

    def _sparse(
        self,
        second: bool,
        X: ArrayLike | None,
        wrt: Wrt,
        weights: ArrayLike | None,
        reduce: Reduce,
        parameters: ArrayLike | None,
        threads: int,
        check: bool,
        out: Any,
    ) -> Any:
        starts, columns = self._core.pattern(second, wrt, weights is not None)
        width = self._width(wrt)
        given = None if out is None else entries_of(out, starts, columns, width)
        arguments = X, second, wrt, weights, reduce, threads, check, given
        if parameters is None:
            data = self._core.entries(self._parameters, *arguments)
        else:
            data = self._with(parameters, given, self._core.entries, *arguments)
        if out is not None:
            return out
        if data.ndim == 3:  # sets of parameters, each over rows
            return [Stack(part, starts, columns, width) for part in data]
        return csr(data, starts, columns, width) if data.ndim == 1 else Stack(data, starts, columns, width)

    def _with(self, parameters: ArrayLike, out: Any, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call the core with numbers in place of the parameters' data, or with each row of a table of them."""
        import numpy as np

        numbers = np.asarray(tables.numbers(parameters, "parameters"), dtype=np.float64, order="C")
        wanted = len(self._parameters)
        if numbers.ndim not in (1, 2) or numbers.shape[-1] != wanted:
            raise ValueError(f"parameters has shape {numbers.shape}, not ({wanted},) or (sets, {wanted})")
        if numbers.ndim == 1:
            return call((numbers,), *arguments)
        if out is not None:
            raise ValueError("out is for one set of parameters, and there is a table of them")
        if not len(numbers):
            raise ValueError("parameters is a table without rows")
        results = [call((row,), *arguments) for row in numbers]
        if isinstance(results[0], tuple):
            return tuple([np.stack(each) for each in zip(*results, strict=True)])
        return np.stack(results)

    def _width(self, wrt: Wrt) -> int:
        return (self._core.n_inputs if wrt != "parameters" else 0) + (len(self._parameters) if wrt != "inputs" else 0)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the program, with the present data of its parameters, to a file.

        The format is binary, versioned and independent of the machine; ``cpp/program/format.cpp`` describes it.
        """
        data = self._core.dump([p.data for p in self._parameters])
        with open(path, "wb") as file:
            file.write(data)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, code: bool = True) -> Program:
        """Read a program that `save` wrote.

        Its parameters are new Values with the data of that time. The file has the recording alone: loading runs no code
        from it, and whether machine code may be made is said here, and not there.

        Parameters
        ----------
        path : str or os.PathLike
        code : bool
            As for a new program: whether machine code may be made of it.

        Raises
        ------
        ValueError
            If the file is no program, damaged, or of another version; with its name.
        TypeError
            If `code` is neither True nor False.
        """
        _check_code("Program.load", code)
        with open(path, "rb") as file:
            data = file.read()
        try:
            return cls._restore(data, None, code)
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from None

    @classmethod
    def _restore(cls, data: bytes, parameters: tuple[Value, ...] | None, code: bool = True) -> Program:
        program = cls.__new__(cls)
        program._core, saved = _core._load_program(data)
        program._core.code_allowed = code
        if parameters is None:
            parameters = tuple(map(Value, saved))
        elif len(parameters) != len(saved) or not all(isinstance(p, Value) for p in parameters):
            raise ValueError(f"the program has {len(saved)} parameters, and these are not as many Values: {parameters}")
        program._parameters = parameters
        return program

    def __reduce__(self) -> tuple[Any, ...]:
        data = self._core.dump([p.data for p in self._parameters])
        return type(self)._restore, (data, self._parameters, self._core.code_allowed)

    def __copy__(self) -> Program:
        program = type(self).__new__(type(self))
        program.__dict__.update(self.__dict__)
        return program


def _check_code(name: str, code: object) -> None:
    if not isinstance(code, bool):
        raise TypeError(f"{name}: code= is True or False, not {code!r}")


def _flatten(outputs: Any) -> tuple[list[Any], list[int]]:
    """The leaves of nested sequences in C order, and their shape."""
    if isinstance(outputs, (Value, str)) or not isinstance(outputs, Iterable):
        return [outputs], []
    if getattr(outputs, "shape", None) == ():  # a NumPy array without dimensions
        return [cast(Any, outputs).item()], []
    parts = [_flatten(part) for part in _entries(outputs, "the outputs")]
    shapes = [shape for _, shape in parts]
    for shape in shapes:
        if shape != shapes[0]:
            raise ValueError(f"Program: the outputs are nested unevenly: {shapes[0]} and {shape}")
    return [value for values, _ in parts for value in values], [len(parts), *(shapes[0] if shapes else [])]


def _leaves(nested: Iterable[Any]) -> Iterator[Any]:
    """Everything in nested sequences, in C order; one Value is a sequence of one."""
    if isinstance(nested, (Value, str)) or not isinstance(nested, Iterable):
        yield nested
        return
    for part in _entries(nested, "the inputs and parameters"):
        yield from _leaves(part)


def _entries(nested: Iterable[Any], what: str) -> Iterable[Any]:
    return nested if isinstance(nested, (list, tuple)) else cast(Iterable[Any], tables.listed(nested, what))


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
