"""Gradient checks of expressions made from a seed: right rules are never called wrong, and a wrong one is found.

A function computes with the operations of its class, of kilograd's, the reference's or a class of the fuzzer's own with
sets of operands, and with products whose rule the fuzzer writes. In every second program one of these rules is wrong.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import kilograd
from kilograd import Value, reference

MISTAKES = ["factor", "sign", "seed", "overwrites", "nothing"]


class Sets:
    """A class with its operands in sets, and few operations."""

    def __init__(self, data: float, _prev: tuple[Any, ...] = (), _op: str = "") -> None:
        self.data, self.grad, self._prev, self._op = data, 0.0, set(_prev), _op
        self._backward: Callable[[], None] = lambda: None

    def __add__(self, other: Any) -> Any:
        other = other if isinstance(other, Sets) else Sets(other)
        return product(self, other, lambda a, b: a + b, lambda a, b: (1.0, 1.0), "")

    def __mul__(self, other: Any) -> Any:
        other = other if isinstance(other, Sets) else Sets(other)
        return product(self, other, lambda a, b: a * b, lambda a, b: (b, a), "")

    def tanh(self) -> Any:
        return product(self, Sets(0.0), lambda a, b: math.tanh(a) + b, lambda a, b: (1 - math.tanh(a) ** 2, 1.0), "")

    def relu(self) -> Any:
        return product(self, Sets(0.0), lambda a, b: max(a, 0.0) + b, lambda a, b: (float(a > 0), 1.0), "")

    def backward(self) -> None:
        self.grad = 1.0
        for node in reversed(kilograd.order(self)):
            node._backward()


def product(a: Any, b: Any, forward: Any, local: Any, mistake: str) -> Any:
    """A node of two operands with a rule of its own; `mistake` is about the first operand."""
    out = type(a)(forward(a.data, b.data), (a, b), "own")

    def rule() -> None:
        da, db = local(a.data, b.data)
        b.grad += db * out.grad
        if mistake == "overwrites":
            a.grad = da * out.grad
        elif mistake != "nothing":
            factor = {"factor": 1.01, "sign": -1.0}.get(mistake, 1.0)
            a.grad += factor * da * (1.0 if mistake == "seed" else out.grad)

    out._backward = rule
    return out


def own(a: Any, b: Any, mistake: str, culprit: list[float]) -> Any:
    if mistake:
        culprit.append(b.data + 1.0)
    return product(a, b, lambda a, b: a * b + a, lambda a, b: (b + 1.0, a), mistake)


def program(dice: random.Random, wrong: str, culprit: list[float]) -> Callable[..., Any]:
    """A function of three Values, with one wrong rule or none; `culprit` gets the derivative that it is about."""
    length = dice.randint(1, 12)
    faulty = dice.randrange(length) if wrong else -1
    steps = []
    for k in range(length):
        kind = "own" if k == faulty else dice.choice(["+", "*", "tanh", "relu", "own", "number"])
        steps.append((kind, dice.random(), dice.random(), dice.uniform(-2.0, 2.0), wrong if k == faulty else ""))

    def function(*leaves: Any) -> Any:
        found = list(leaves)
        for kind, one, other, number, mistake in steps:
            a, b = found[int(one * len(found))], found[int(other * len(found))]
            if mistake and a is b:
                b = b * 1.5  # a rule that is wrong for one of two operands
            made = {
                "+": lambda a, b, _: a + b,
                "*": lambda a, b, _: a * b,
                "tanh": lambda a, b, _: a.tanh(),
                "relu": lambda a, b, _: a.relu(),
                "number": lambda a, b, number: a * number,
            }.get(kind)
            found.append(own(a, b, mistake, culprit) if made is None else made(a, b, number))
        total = found[-1]
        for each in found[:-1]:
            total = total + each * 0.5
        return total.tanh()

    return function


def run(seed: int) -> None:
    dice = random.Random(seed)
    kind = dice.choice([Value, reference.Value, Sets])
    wrong = dice.choice(MISTAKES) if dice.random() < 0.5 else ""
    culprit: list[float] = []
    function = program(dice, wrong, culprit)
    at = tuple(dice.choice([dice.uniform(-1.5, 1.5), 0.0, 1.0, -1.0]) for _ in range(3))
    try:
        report = kilograd.check(function, at, value_type=kind)
    except OverflowError:  # of a tower of products
        return
    faulty = [each for each in report.rules if each.verdict == "wrong"]
    if not wrong:
        assert not report.wrong, f"right rules are called wrong:\n{report}"
    for each in faulty:
        assert each.node.startswith("'own'"), f"{each.node} is right:\n{report}"
    if not wrong:
        return
    unclear = any(each.verdict in ("unclear", "kink") and each.node.startswith("'own'") for each in report.rules)
    assert faulty or unclear or abs(culprit[0]) < 1e-4, f"the rule with {wrong!r} is not found:\n{report}"


def kink_of_a_sum() -> None:
    """Both operands move as the input does, and only one of the two sides has a derivative for each."""
    report = kilograd.check(lambda v: v.relu() + (v * -1.0).relu(), 0.0)
    assert not report.wrong, str(report)


def oscillation() -> None:
    """The largest steps agree by chance."""
    report = kilograd.check(lambda v: (v * 1000.0).sin(), 30.0)
    assert report, str(report)


def bent_once() -> None:
    """The second derivative jumps: the error of a central difference falls as the step, not as its square."""
    report = kilograd.check(lambda v: (v.relu() * v).relu(), 0.0)
    assert not report.wrong, str(report)


def corpus() -> Iterator[tuple[str, Callable[[], None]]]:
    yield "kink of a sum", kink_of_a_sum
    yield "oscillation", oscillation
    yield "bent once", bent_once
