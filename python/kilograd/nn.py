"""Neurons, layers and multi-layer perceptrons over `Value`.

One implementation serves both dialects. The classes here are the article's: tanh everywhere, random biases.
`kilograd.micrograd.nn` derives micrograd's from them by stating where it differs. A neuron's inputs meet its weights in
one place, `Neuron.weighted_sum`; what a class makes its parts from stands in its class attributes.

The methods of `Neuron` define what is computed. The engine builds the same graph natively for the classes declared to
it, and looks in every call whether they still are as declared: a part that somebody replaced, subclassed or patched is
called in Python, and the rest stays native.
"""

from __future__ import annotations

import operator
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias

from kilograd import _core
from kilograd._core import Value
from kilograd.advice import OF_NETWORKS, refuse_keywords_of_zero_grad
from kilograd.tables import sample

if TYPE_CHECKING:
    from kilograd._types import Outputs, Scalar, SupportsArray

__all__ = ["MLP", "Activation", "Layer", "Module", "Neuron"]

Activation: TypeAlias = str | Callable[[Value], Value] | None
"""A name of a method of `Value` ("tanh", "relu", ...), a callable, or "linear" or None for none at all."""

_SPELLINGS = {"relu": "ReLU", "leaky_relu": "LeakyReLU", "silu": "SiLU", "gelu": "GELU"}


class Module:
    """Something with parameters. Subclasses override `parameters`."""

    def parameters(self) -> list[Value]:
        """The trainable values, in the order in which they were made."""
        return []

    def zero_grad(self, **others: NoReturn) -> None:
        """Set the gradient of every parameter to zero."""
        refuse_keywords_of_zero_grad(others)
        _core.zero_grad(self.parameters())

    def state_dict(self) -> dict[str, Any]:
        """The data of all parameters, as float arrays named after where they are: see `kilograd.checkpoint`."""
        from kilograd.checkpoint import state_dict

        return state_dict(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set the data of the parameters from what `state_dict` gave.

        Raises
        ------
        ValueError
            If names or shapes are not this model's. Nothing is changed.
        """
        from kilograd.checkpoint import load_state_dict

        load_state_dict(self, state)

    def _repr_html_(self) -> str | None:
        """In a notebook: layers, and weights as colours. Nothing for modules of another kind."""
        from kilograd.display.networks import html

        return html(self)


_core.declare_absent(Module, OF_NETWORKS)


class Neuron(Module):
    """A weighted sum of the inputs plus a bias, through an activation.

    Parameters
    ----------
    nin : int
        Number of inputs. The weights, then the bias, are drawn from ``random.uniform(-1, 1)``.
    activation : str, callable or None, default "tanh"
        What the sum goes through: the name of a method of `Value`, a function from `Value` to `Value`, or "linear" or
        None for nothing. Can be changed later through the attribute of the same name.

    Attributes
    ----------
    w : list of Value
        The weights. The list may be changed: a call uses what it then holds.
    b : Value
        The bias.

    Raises
    ------
    ValueError
        If `activation` names no method of `Value`, or `nin` is negative.
    TypeError
        If `activation` is neither a name, nor callable, nor None.
    """

    value_type: ClassVar[type[Value]] = Value

    def __init__(self, nin: int, activation: Activation = "tanh") -> None:
        _check_activation(activation, self.value_type)
        self.w: list[Value] = [self.value_type(random.uniform(-1, 1)) for _ in range(_count("nin", nin))]
        self.b: Value = self.value_type(self._initial_bias())
        self.activation = activation

    @staticmethod
    def _initial_bias() -> float:
        return random.uniform(-1, 1)

    def weighted_sum(self, x: Sequence[Value | float]) -> Value:
        """Weights times inputs, added up from the left, plus the bias. `x` has as many entries as there are weights."""
        z: Value = sum(map(operator.mul, self.w, x)) + self.b
        return z

    def activate(self, z: Value) -> Value:
        """`z` through the activation."""
        activation = self.activation
        if activation is None or activation == "linear":
            return z
        if isinstance(activation, str):
            return getattr(z, activation)()  # type: ignore[no-any-return]
        return activation(z)

    def __call__(self, x: Iterable[Scalar] | Scalar | SupportsArray) -> Value:
        """The neuron's output for one sample.

        Parameters
        ----------
        x : sequence of `nin` numbers or Values
            The inputs: a list, an array, a row of a table. A neuron with one input takes it without a list, too.

        Raises
        ------
        ValueError
            If the number of inputs is not the number of weights, or `x` holds rows of many samples.
        TypeError
            If `x` is a dict, a set or text, or holds text, None or complex numbers.
        """
        inputs = x if isinstance(x, (list, tuple)) else sample(x)
        native: Value | None = _core.call_neuron(self, inputs)
        if native is not None:
            return native
        for k, each in enumerate(inputs):
            if each is None or isinstance(each, (str, bytes, complex)):
                raise TypeError(f"input {k} of {self!r} is {each!r}, and a number or a Value is needed")
        nested = [each for each in inputs if hasattr(each, "__len__") and getattr(each, "shape", None) != ()]
        if nested:
            raise ValueError(
                f"{self!r} takes one sample, {len(self.w)} numbers or Values, and was given {len(inputs)} entries like "
                f"{type(nested[0]).__name__}: many samples are for kilograd.predict(model, X), or [model(x) for x in X]"
            )
        if len(inputs) != len(self.w):
            raise ValueError(f"{self!r} takes {len(self.w)} inputs, one for each weight, and was given {len(inputs)}")
        return self.activate(self.weighted_sum(inputs))

    def parameters(self) -> list[Value]:
        """The weights in order, then the bias."""
        return [*self.w, self.b]

    def __repr__(self) -> str:
        return f"{_activation_name(self.activation)}Neuron({len(self.w)})"


class Layer(Module):
    """Neurons that share their inputs.

    Parameters
    ----------
    nin : int
        Number of inputs of each neuron.
    nout : int
        Number of neurons.
    **kwargs
        Passed on to each neuron.

    Attributes
    ----------
    neurons : list of Neuron
        May be changed; a neuron is anything that is called with a list of inputs and has `parameters`.
    """

    neuron_type: ClassVar[type[Neuron]] = Neuron

    def __init__(self, nin: int, nout: int, **kwargs: Any) -> None:
        self.neurons: list[Neuron] = [self.neuron_type(nin, **kwargs) for _ in range(_count("nout", nout))]

    def __call__(self, x: Iterable[Scalar] | Scalar | SupportsArray) -> Outputs:
        """The list of the neurons' outputs, or the output itself where there is one neuron."""
        outputs: Outputs = _core.call_layer(self, x)
        return outputs

    def parameters(self) -> list[Value]:
        """The parameters of the neurons, one neuron after the other."""
        return _core.parameters_of(self.neurons)

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(map(repr, self.neurons))}]"


class MLP(Module):
    """Multi-layer perceptron: each layer is fed by the one before.

    Parameters
    ----------
    nin : int
        Number of inputs.
    nouts : sequence of int
        Number of neurons of each layer.
    activation : str, callable, None, or a list of these, default "tanh"
        The activation of all layers, the last one too; a list gives one for each layer, so
        ``MLP(3, [4, 4, 1], activation=["tanh", "tanh", "linear"])`` has a linear output.

    Attributes
    ----------
    layers : list of Layer
        May be changed; a layer is anything that is called with a list and has `parameters`.

    Raises
    ------
    ValueError
        If `activation` is a list of another length than `nouts`, or names no method of `Value`.
    """

    layer_type: ClassVar[type[Layer]] = Layer

    def __init__(self, nin: int, nouts: Sequence[int], activation: Activation | Sequence[Activation] = "tanh") -> None:
        if isinstance(nouts, int):
            raise TypeError(f"nouts is the list of the layers' sizes; for one layer of {nouts} write [{nouts}]")
        activations = _per_layer(activation, len(nouts))
        self.layers: list[Layer] = [
            self.layer_type(width_in, width_out, activation=each)
            for width_in, width_out, each in zip([nin, *nouts], nouts, activations, strict=False)
        ]

    def __call__(self, x: Iterable[Scalar] | Scalar | SupportsArray) -> Outputs:
        """The output of the last layer for one sample: a list, or a Value where the layer has one neuron."""
        outputs: Outputs = _core.call_layers(self.layers, x)
        return outputs

    def parameters(self) -> list[Value]:
        """The parameters of the layers, one layer after the other."""
        return _core.parameters_of(self.layers)

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(map(repr, self.layers))}]"


def _count(name: str, count: int) -> int:
    try:
        number = operator.index(count)
    except TypeError:
        raise TypeError(f"{name} is a whole number, not {count!r}") from None
    if number < 0:
        raise ValueError(f"{name} is a number of things and cannot be {count}")
    return number


def _per_layer(activation: Activation | Sequence[Activation], layers: int) -> list[Activation]:
    if not isinstance(activation, (list, tuple)):
        return [activation] * layers  # type: ignore[list-item]
    if len(activation) != layers:
        raise ValueError(f"{len(activation)} activations were given for {layers} layers")
    return list(activation)


def _check_activation(activation: Activation, value_type: type[Value]) -> None:
    if isinstance(activation, str):
        if activation != "linear" and not callable(getattr(value_type, activation, None)):
            kind, meant = value_type.__name__, _close_to(activation, value_type)
            raise ValueError(f"activation {activation!r} is neither a method of {kind} nor 'linear'{meant}")
    elif not (activation is None or callable(activation)):
        raise TypeError(f"activation is a name, a callable or None, not {type(activation).__name__}: {activation!r}")


def _close_to(activation: str, value_type: type[Value]) -> str:
    """What may have been meant by an unknown name, for the end of a sentence."""
    from difflib import get_close_matches

    found = get_close_matches(activation.lower(), [*filter(str.islower, dir(value_type)), "linear"], n=1)
    return f": did you mean {found[0]!r}?" if found else ""


def _activation_name(activation: Activation) -> str:
    """The activation as a class name spells it: ReLU, Tanh, Linear."""
    if activation is None:
        return "Linear"
    name = activation if isinstance(activation, str) else getattr(activation, "__name__", type(activation).__name__)
    return _SPELLINGS.get(name) or "".join(part[:1].upper() + part[1:] for part in name.split("_"))


_core.declare_neuron(Neuron)
_core.declare_layer(Layer)


if not TYPE_CHECKING:  # a checker sees that a name is not there

    def __getattr__(name: str) -> object:
        from kilograd.advice import missing

        raise missing(__name__, name)
