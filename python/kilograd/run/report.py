"""What ``kilograd run --report`` prints: which classes were served, what natively, what as the author wrote it."""

from __future__ import annotations

from kilograd import _core
from kilograd.run.importer import looked_at
from kilograd.run.judge import Judgement, judgements
from kilograd.run.remedies import remedy

__all__ = ["text"]


def _lines(judgement: Judgement) -> list[str]:
    name = judgement.name if judgement.module == "__main__" else f"{judgement.module}.{judgement.name}"
    if judgement.reason is not None:
        advice = remedy(judgement.reason, judgement.name)
        return [
            f"kilograd: {name}: left as it is: {judgement.reason}",
            *([f"  to be served: {advice}"] if advice else []),
        ]
    lines = [f"kilograd: {name}: served", f"  natively: {', '.join(judgement.native)}"]
    if judgement.kept:
        lines.append(f"  as the author wrote them: {', '.join(judgement.kept)}")
    return lines


def text() -> str:
    """The report on this process so far."""
    lines = [line for judgement in judgements for line in _lines(judgement)]
    if not lines:
        lines.append("kilograd: no class of the program looks like a scalar autograd class")
    lines.append(f"kilograd: looked at {', '.join(['the program itself', *looked_at])}")
    lines.append(f"kilograd: {_core.served_nodes_built():,} nodes built natively, {_core.live_nodes():,} alive now")
    return "\n".join(lines)
