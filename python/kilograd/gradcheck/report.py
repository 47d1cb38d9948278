"""What a gradient check found."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Finding", "Report", "Verdict"]

Verdict = Literal["right", "kink", "wrong", "unclear"]


@dataclass(frozen=True)
class Finding:
    """A derivative that was checked: of the function by an input, or of one node by one of its operands."""

    verdict: Verdict
    name: str
    """The input, or the operand."""
    automatic: float
    """What `backward()`, or the rule for a gradient of 1, gives."""
    numerical: float
    """What nudging gives; NaN where it gives nothing."""
    error: float
    """How far off the numerical derivative may be."""
    node: str = ""
    """The node whose rule this is about; '' for the function."""
    note: str = ""
    """What is wrong, or why it is not known, in words."""

    def __str__(self) -> str:
        about = f"the rule of {self.node}, operand {self.name}" if self.node else self.name
        does = "adds" if self.node else "the gradient is"
        text = f"{about}: {does} {self.automatic:.10g}"
        right = f"{self.numerical:.10g}"
        if self.verdict == "wrong" and right not in ("nan", f"{self.automatic:.10g}"):
            text += f"; {right} is right"
        elif self.verdict == "kink":
            text += ", one of the derivatives at this kink"
        return text + (f": {self.note}" if self.note else "")


@dataclass(frozen=True)
class Report:
    """What a gradient check found: true where everything was checked and nothing is wrong.

    Attributes
    ----------
    inputs : list of Finding
        The gradient of the function, one entry for each number that it depends on.
    rules : list of Finding
        The rules of the nodes, one entry for each operand.
    note : str
        What there is to say besides.
    """

    inputs: list[Finding] = field(default_factory=list)
    rules: list[Finding] = field(default_factory=list)
    note: str = ""

    def __bool__(self) -> bool:
        return all(each.verdict in ("right", "kink") for each in [*self.inputs, *self.rules])

    @property
    def wrong(self) -> list[Finding]:
        """What is wrong: rules before inputs."""
        return [each for each in [*self.rules, *self.inputs] if each.verdict == "wrong"]

    def _lines(self) -> list[str]:
        found = [*self.rules, *self.inputs]
        wrong = [each for each in found if each.verdict == "wrong"]
        unclear = [each for each in found if each.verdict == "unclear"]
        kinks = [each for each in found if each.verdict == "kink"]
        verdict = "wrong" if wrong else "unclear" if unclear else "right"
        counts = f"{_count(len(self.inputs), 'input')}, {_count(len(self.rules), 'operand')} of rules"
        lines = [f"gradient check: {verdict} ({counts})"]
        for several in (wrong, unclear, kinks):
            lines += [f"  {each.verdict}: {each}" for each in several[:_SHOWN]]
            if len(several) > _SHOWN:
                lines.append(f"  ... and {len(several) - _SHOWN:,} more that are {several[0].verdict}")
        return [*lines, f"  {self.note}"] if self.note else lines

    def __str__(self) -> str:
        return "\n".join(self._lines())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [each for each in [*self.rules, *self.inputs] if each.verdict != "right"][: 3 * _SHOWN]
        cells = [
            (each.verdict, each.node, each.name, f"{each.automatic:.10g}", f"{each.numerical:.10g}", each.note)
            for each in rows
        ]
        lines = [self._lines()[0], *([self.note] if self.note else [])]
        text = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
        if not rows:
            return text
        head = "".join(f"<th>{name}</th>" for name in ("", "rule of", "operand or input", "automatic", "numerical", ""))
        body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in cells)
        return f"{text}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


_SHOWN = 10
"""How many findings of a kind are named."""


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
