"""micrograd's neuron, layer and MLP: ReLU, biases that start at zero, a linear last layer."""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul
from typing import cast

from kilograd import _core, nn
from kilograd.micrograd.engine import Value
from kilograd.nn import Activation, Module

__all__ = ["MLP", "Layer", "Module", "Neuron", "Value"]


class Neuron(nn.Neuron):
    """The bias plus a weighted sum of the inputs, through an activation unless it is linear.

    Parameters
    ----------
    nin : int
        Number of inputs. The weights are drawn from ``random.uniform(-1, 1)``; the bias is 0.
    nonlin : bool, default True
        Whether the activation is applied. Can be changed later through the attribute of the same name.
    activation : str, callable or None, default "relu"
        As for `kilograd.nn.Neuron`.
    """

    value_type = Value
    activation: Activation = "relu"  # of a subclass that sets w, b and nonlin itself and knows no activation

    def __init__(self, nin: int, nonlin: bool = True, activation: Activation = "relu") -> None:
        super().__init__(nin, activation)
        self.nonlin = nonlin

    @staticmethod
    def _initial_bias() -> float:
        return 0

    def weighted_sum(self, x: Sequence[Value | float]) -> Value:
        """The bias, plus weights times inputs added up from the left."""
        return sum(map(mul, self.w, x), self.b)

    def activate(self, z: Value) -> Value:
        """`z` through the activation, or as it is if the neuron is linear."""
        return super().activate(z) if self.nonlin else z

    def __repr__(self) -> str:
        return super().__repr__() if self.nonlin else f"LinearNeuron({len(self.w)})"


class Layer(nn.Layer):
    """Neurons that share their inputs; keyword arguments go to each neuron (see `kilograd.nn.Layer`)."""

    neuron_type = Neuron


class MLP(nn.MLP):
    """Multi-layer perceptron whose last layer is linear.

    Parameters
    ----------
    nin : int
        Number of inputs.
    nouts : sequence of int
        Number of neurons of each layer.
    activation : str, callable, None, or a list of these, default "relu"
        The activation of all layers but the last; a list gives one for each layer, the last one too.
    """

    layer_type = Layer

    def __init__(self, nin: int, nouts: Sequence[int], activation: Activation | Sequence[Activation] = "relu") -> None:
        super().__init__(nin, nouts, activation)
        if self.layers and not isinstance(activation, (list, tuple)):
            for neuron in cast("list[Neuron]", self.layers[-1].neurons):
                neuron.nonlin = False


_core.declare_neuron(Neuron, bias_first=True, nonlin=True)
