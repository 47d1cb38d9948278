"""Networks as scikit-learn's estimators: for pipelines, grid searches and cross-validation.

Needs scikit-learn: ``pip install 'kilograd[sklearn]'``.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kilograd import arrays, optim, training
from kilograd.nn import MLP, Activation
from kilograd.training import History

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("kilograd.estimators needs scikit-learn 1.6: pip install 'kilograd[sklearn]'") from error

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self

    Array = NDArray[np.float64]

__all__ = ["KilogradClassifier", "KilogradRegressor"]

_OPTIMIZERS = {"sgd": optim.SGD, "adam": optim.Adam, "adamw": optim.AdamW, "rmsprop": optim.RMSprop}


class _Network(BaseEstimator):  # type: ignore[misc]
    """What the two share."""

    _loss: str

    def _start(self, inputs: int, outputs: int) -> MLP:
        """A network with weights drawn by `random_state`."""
        hidden = [int(size) for size in self.hidden_layer_sizes]
        state = random.getstate()  # which MLP draws from
        try:
            model = MLP(inputs, [*hidden, outputs], activation=[*[self.activation] * len(hidden), None])
        finally:
            random.setstate(state)
        for layer in model.layers:
            fan_in = len(layer.neurons[0].w)
            bound = np.sqrt(6.0 / (fan_in + len(layer.neurons)))
            parameters = layer.parameters()
            arrays.assign(parameters, self._random.uniform(-bound, bound, len(parameters)))
        return model

    def _train(self, X: Array, y: NDArray[Any], outputs: int, loss: str) -> None:  # noqa: N803
        if self.optimizer not in _OPTIMIZERS:
            raise ValueError(f"optimizer is one of {', '.join(_OPTIMIZERS)}, not {self.optimizer!r}")
        self._random = check_random_state(self.random_state)
        self.model_ = self._start(X.shape[1], outputs)
        optimizer = _OPTIMIZERS[self.optimizer](self.model_, self.learning_rate, weight_decay=self.weight_decay)
        self.history_: History = training.fit(
            self.model_,
            X,
            y,
            loss=loss,  # type: ignore[arg-type]
            optimizer=optimizer,
            epochs=self.epochs,
            batch_size=self.batch_size,
            seed=int(self._random.randint(2**31)),
            progress=False,
            threads=self.threads,
        )
        del self._random

    def _outputs(self, X: ArrayLike) -> Array:  # noqa: N803
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        return training.predict(self.model_, rows, threads=self.threads)


class KilogradRegressor(RegressorMixin, _Network):  # type: ignore[misc]
    """A network that predicts numbers.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default (16,)
        Neurons of each hidden layer; none at all makes a linear model.
    activation : str, default "relu"
        Of the hidden layers: a method of `Value`.
    loss : {"mse", "huber", "log_cosh"}, default "mse"
    optimizer : {"adam", "adamw", "sgd", "rmsprop"}, default "adam"
    learning_rate : float or callable, default 0.01
    weight_decay : float, default 0.0
    epochs : int, default 200
    batch_size : int, default 200
        At most all samples.
    random_state : int, RandomState or None
        For the first weights (uniform, after Glorot and Bengio 2010) and the order of the samples.
    threads : int, default 1
        See `kilograd.fit`.

    Attributes
    ----------
    model_ : MLP
        The network. Its Values can be looked at, drawn and differentiated.
    history_ : History
    n_features_in_ : int
    """

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (16,),
        *,
        activation: Activation = "relu",
        loss: str = "mse",
        optimizer: str = "adam",
        learning_rate: optim.Rate = 0.01,
        weight_decay: float = 0.0,
        epochs: int = 200,
        batch_size: int = 200,
        random_state: Any = None,
        threads: int = 1,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.epochs = epochs
        self.batch_size = batch_size
        self.random_state = random_state
        self.threads = threads

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803
        """Train on samples and their targets, of which a sample may have several."""
        if self.loss not in ("mse", "huber", "log_cosh"):
            raise ValueError(f"loss is one of mse, huber, log_cosh, not {self.loss!r}")
        rows, targets = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        self._shape = targets.shape[1:]
        outputs = 1 if targets.ndim == 1 else targets.shape[1]
        self._train(
            rows, targets.astype(np.float64).reshape((-1,) if outputs == 1 else (-1, outputs)), outputs, self.loss
        )
        return self

    def predict(self, X: ArrayLike) -> Array:  # noqa: N803
        """The network's outputs."""
        found = self._outputs(X)
        return found.reshape(len(found), *self._shape)


class KilogradClassifier(ClassifierMixin, _Network):  # type: ignore[misc]
    """A network that tells classes apart, by cross-entropy.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default (16,)
        Neurons of each hidden layer; none at all makes a linear model.
    activation : str, default "relu"
        Of the hidden layers: a method of `Value`.
    optimizer : {"adam", "adamw", "sgd", "rmsprop"}, default "adam"
    learning_rate : float or callable, default 0.01
    weight_decay : float, default 0.0
    epochs : int, default 200
    batch_size : int, default 200
        At most all samples.
    random_state : int, RandomState or None
        For the first weights (uniform, after Glorot and Bengio 2010) and the order of the samples.
    threads : int, default 1
        See `kilograd.fit`.

    Attributes
    ----------
    model_ : MLP
        The network. Its Values can be looked at, drawn and differentiated.
    history_ : History
    n_features_in_ : int
    classes_ : ndarray, shape (n_classes,)
    """

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (16,),
        *,
        activation: Activation = "relu",
        optimizer: str = "adam",
        learning_rate: optim.Rate = 0.01,
        weight_decay: float = 0.0,
        epochs: int = 200,
        batch_size: int = 200,
        random_state: Any = None,
        threads: int = 1,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.epochs = epochs
        self.batch_size = batch_size
        self.random_state = random_state
        self.threads = threads

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803
        """Train on samples and their classes, which are labels of any kind."""
        rows, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        self.classes_, indices = np.unique(labels, return_inverse=True)
        if len(self.classes_) == 1:
            raise ValueError(f"there is one class alone, {self.classes_[0]!r}: nothing can be told apart")
        if len(self.classes_) == 2:
            self._train(rows, indices.astype(np.float64), 1, "binary_cross_entropy_from_logits")
        else:
            self._train(rows, indices, len(self.classes_), "cross_entropy")
        return self

    def decision_function(self, X: ArrayLike) -> Array:  # noqa: N803
        """The logits: of the second class where there are two, else of each."""
        return self._outputs(X)

    def predict_proba(self, X: ArrayLike) -> Array:  # noqa: N803
        """The probability of each class, shape (n, n_classes)."""
        logits = self._outputs(X)
        if logits.ndim == 1:
            logits = np.column_stack([np.zeros_like(logits), logits])
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """The most probable class of each sample."""
        logits = self._outputs(X)
        indices = (logits > 0).astype(int) if logits.ndim == 1 else logits.argmax(axis=1)
        return np.asarray(self.classes_[indices])
