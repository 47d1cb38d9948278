"""A user's program that trains models."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import kilograd
from kilograd import MLP, Layer, Neuron, Value, optim

X = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
Y = [1.0, -1.0, -1.0, 1.0]


def article() -> float:
    model = MLP(3, [4, 4, 1])
    loss = Value(0.0)
    for _ in range(3):
        loss = sum(((model(x) - y) ** 2 for x, y in zip(X, Y)), Value(0.0))
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data += -0.05 * p.grad
    return loss.data


def classes() -> Value:
    model = MLP(3, [4, 3], activation=["tanh", "linear"])
    scores = model(np.array(X[0]))
    first: Value = scores[0]
    shares: list[Value] = kilograd.functional.softmax([scores[0], scores[1], scores[2]])
    biggest = max(range(len(scores)), key=lambda i: scores[i].data)
    loss: Value = kilograd.functional.cross_entropy(scores, biggest)
    return loss + kilograd.functional.l2(model.parameters(), 1e-4) + first + kilograd.functional.logsumexp(shares)


def losses() -> Value:
    model = Neuron(3, activation=lambda z: z.sigmoid())
    outputs = [model(x) for x in X]
    each = kilograd.functional.mse(outputs, Y, reduction="none")
    loss: Value = kilograd.functional.binary_cross_entropy(outputs, [1, 0, 0, 1], reduction="sum")
    loss = loss + kilograd.functional.huber(outputs, np.array(Y), delta=0.5) + kilograd.functional.hinge(outputs[0], 1)
    return (
        loss
        + kilograd.functional.mean(each)
        + kilograd.functional.sum(outputs, 1.0)
        + kilograd.functional.dot(model.w, X[0], model.b)
    )


def fits() -> kilograd.training.History:
    model = MLP(3, [4, 1])
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    history = kilograd.fit(model, X, Y, loss="mse", optimizer=optimizer, epochs=2, engine="auto")
    kilograd.fit(model, np.array(X), Y, loss=lambda p, t: (p - t) ** 2, epochs=1, callbacks=[lambda h: None])
    kilograd.fit(model, [(X[:2], Y[:2]), (X[2:], Y[2:])], epochs=1)
    answers: NDArray[np.float64] = kilograd.predict(model, X)
    print(answers.shape, history.losses[-1] + 0.0)
    return history


def arrays() -> NDArray[np.float64]:
    v: Value = kilograd.arrays.values(1.0)
    row: list[Value] = kilograd.arrays.values([1.0, 2.0])
    matrix: list[list[Value]] = kilograd.arrays.values(X)
    array: NDArray[np.object_] = kilograd.arrays.values(np.ones(3), as_array=True)
    kilograd.arrays.assign(row, [2.0, 3.0])
    layer = Layer(3, 2)
    print(v, matrix[0][0], array.sum(), layer(array)[1])
    return kilograd.arrays.data(row) + kilograd.arrays.gradients(row)


def main() -> None:
    print(article(), classes(), losses(), fits(), arrays())


def mistakes() -> None:
    model = MLP(3, [4, 1])
    MLP(3, 4)  # refused
    MLP("3", [4, 1])  # refused
    MLP(3, [4, 1], activation=3)  # refused
    model({"a": 1.0})  # refused
    model(X[0]).bakward()  # refused
    model(X[0]) + "1"  # refused
    kilograd.fit(model, X, Y, loss="msee")  # refused
    kilograd.fit(model, X, Y, engine="fast")  # refused
    kilograd.fit(model, X, Y, optimizer="adam")  # refused
    kilograd.functional.mse(model.parameters(), "zero")  # refused
    kilograd.functional.mse([1.0], [1.0], reduction="all")  # refused
    kilograd.functional.cross_entropy([1.0, 2.0], 0, weight=1)  # refused
    kilograd.functional.softmax(["a", "b"])  # refused
    kilograd.functional.softmax([1.0, 2.0]).data  # refused
    kilograd.functional.mean(None)  # refused
    kilograd.arrays.values(["a"])  # refused
    kilograd.arrays.values("a")  # refused
    kilograd.arrays.data(["a"])  # refused
    kilograd.arrays.assign(model.parameters())  # refused
