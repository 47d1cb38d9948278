"""Random graphs with many shared nodes, as straight-line programs over a set of registers.

A register begins as a product of two leaves. Each instruction overwrites register `i` by an operation of what is in
it and, for a binary one, of what is in register `j` or in leaf `j`. From time to time a register retires: its content
is added to the running total, and it begins anew. So every node is reached from the total, a node has as many uses as
chance gives it, operands lie a few hundred nodes back, and neither values nor gradients grow or die out with the size
of the graph (sums keep and products shrink them, in balance with the retired registers that feed new ones in).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

REGISTERS = 64
LEAVES = 128

Instruction = tuple[str, int, int]


@dataclass(frozen=True)
class Dag:
    """A program of `ops` operations over `leaves`."""

    ops: int
    leaves: Sequence[float]
    program: Sequence[Instruction]

    @property
    def nodes(self) -> int:
        return self.ops + len(self.leaves)


def build(dag: Dag, leaves: Sequence[Any], functions: dict[str, Callable[[Any], Any]]) -> Any:
    """Run `dag` over any number type. The graph's handles are gone when it returns, but for the root's.

    Parameters
    ----------
    leaves : sequence
        Numbers of the engine's type, as many as `dag.leaves`.
    functions : dict
        The engine's functions of one argument by name: ``tanh``, and for wider programs ``exp log sin``.
    """
    registers = [leaves[i] * leaves[i + REGISTERS] for i in range(REGISTERS)]
    total = leaves[0]
    for op, i, j in dag.program:
        if op == "add":
            registers[i] = registers[i] + registers[j]
        elif op == "mul":
            registers[i] = registers[i] * registers[j]
        elif op == "weigh":
            registers[i] = registers[i] * leaves[j]
        elif op == "retire":
            total = total + registers[i]
            registers[i] = leaves[i] * leaves[j]
        elif op == "sub":
            registers[i] = registers[i] - registers[j]
        elif op == "div":
            registers[i] = registers[i] / (registers[j] * registers[j] + 1.5)
        elif op == "log":
            registers[i] = functions["log"](registers[i] * registers[i] + 1.0)
        elif op == "exp":
            registers[i] = functions["exp"](registers[i] * leaves[j])
            registers[i] = registers[i] * leaves[j]
        else:
            registers[i] = functions[op](registers[i])
    for register in registers:
        total = total + register
    return total


# How many operations an instruction of each kind is
COST = {"retire": 2, "div": 3, "log": 3, "exp": 3}


def make(ops: int, mix: dict[str, int], seed: int = 20) -> Dag:
    """A random program of `ops` operations (to within two) whose instructions have the relative frequencies `mix`."""
    rng = random.Random(seed)
    leaves = [rng.choice((-1, 1)) * rng.uniform(0.3, 0.8) for _ in range(LEAVES)]
    kinds, weights = list(mix), list(mix.values())
    program: list[Instruction] = []
    count = 2 * REGISTERS  # the registers' first products, and the sums at the end
    while count < ops - 2:
        kind = rng.choices(kinds, weights)[0]
        i = rng.randrange(REGISTERS)
        j = rng.randrange(LEAVES if kind in ("weigh", "retire", "exp") else REGISTERS)
        program.append((kind, i, j))
        count += COST.get(kind, 1)
    return Dag(count, leaves, program)
