"""How a measured workload is shown: as text, as Markdown to paste, as JSON."""

from __future__ import annotations

from typing import Any

from bench.harness import BASELINE, Report, Spread, Verdict
from bench.model import Metric

MARK = {True: "PASS", False: "FAIL", None: "not measured"}


def quantity(value: float, metric: Metric) -> str:
    """A number with three digits and a unit."""
    per = f"/{metric.unit}" if metric.unit else ""
    steps = (
        ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
        if metric.kind == "time"
        else ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
    )
    size, name = next(((size, name) for size, name in steps if abs(value) >= size), steps[-1])
    return f"{digits(value / size)} {name}{per}"


def digits(value: float) -> str:
    """Two or three significant digits."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def range_of(spread: Spread) -> str:
    return f"{digits(spread.low)} .. {digits(spread.high)}" if spread.count > 1 else "one run"


def rows(report: Report) -> list[list[str]]:
    """Metric, engine, median, quartiles, turns, times the baseline, quartiles of that."""
    table = []
    for metric in report.workload.metrics:
        for contender in report.contenders:
            spread = report.spread(contender.label, metric.name)
            if spread is None:
                continue
            ratio = report.ratio(contender.label, metric.name, BASELINE)
            low, high = (quantity(value, metric).split("/")[0] for value in (spread.low, spread.high))
            table.append(
                [
                    metric.name,
                    contender.label,
                    quantity(spread.median, metric),
                    f"{low} .. {high}" if spread.count > 1 else "",
                    str(spread.count),
                    digits(ratio.median) if ratio else "",
                    range_of(ratio) if ratio and contender.label != BASELINE else "",
                ]
            )
    return table


HEADINGS = ["metric", "engine", "median", "quartiles", "turns", f"x {BASELINE}", "quartiles"]


def verdict_text(verdict: Verdict, metric: Metric) -> str:
    floor, value = verdict.floor, verdict.value
    if value is None:
        return f"{floor.text}: not measured"
    absolute = floor.to is None and floor.to_metric is None
    found = quantity(value.median, metric) if absolute else f"{digits(value.median)} ({range_of(value)})"
    return f"{floor.text}: {found}, {MARK[verdict.passed]}"


def notes(report: Report) -> list[str]:
    metrics = {metric.name: metric for metric in report.workload.metrics}
    busy = f"a busy machine: this run had {report.share:.0%} of its core"
    return [
        *([busy] if report.share < 0.9 else []),
        *(f"floor: {verdict_text(verdict, metrics[verdict.floor.metric])}" for verdict in report.verdicts()),
        *(f"{label}: {reason}" for label, reason in report.absent.items()),
        *(f"{label} FAILED: {reason}" for label, reason in report.failures.items()),
    ]


def as_text(report: Report) -> str:
    table = [HEADINGS, *rows(report)]
    widths = [max(len(row[i]) for row in table) for i in range(len(HEADINGS))]
    left = 2  # the first columns are words, the others numbers
    lines = [f"{report.workload.name}: {report.workload.title}"]
    for row in table:
        cells = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join([*lines, *(f"  {note}" for note in notes(report)), ""])


def as_markdown(report: Report) -> str:
    lines = [f"### {report.workload.title}", "", "| " + " | ".join(HEADINGS) + " |", "| --- | --- |" + " ---: |" * 5]
    lines += ["| " + " | ".join(row) + " |" for row in rows(report)]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes(report)), ""])


def as_check(report: Report) -> str:
    """One line for a quick run."""
    agree = ", ".join(contender.label for contender in report.contenders)
    lines = [f"{report.workload.name}: {agree or 'no engine'} {'agree' if len(report.contenders) > 1 else 'ran'}"]
    lines += [f"  {label} FAILED: {reason}" for label, reason in report.failures.items()]
    return "\n".join(lines)


def as_json(report: Report) -> dict[str, Any]:
    """Medians, quartiles and raw turns; seconds or bytes per unit."""

    def spread(value: Spread | None) -> dict[str, float] | None:
        return vars(value).copy() if value else None

    return {
        "workload": report.workload.name,
        "title": report.workload.title,
        "metrics": [
            {
                "metric": metric.name,
                "unit": ("s" if metric.kind == "time" else "B") + (f"/{metric.unit}" if metric.unit else ""),
                "engines": {
                    contender.label: {
                        **(spread(report.spread(contender.label, metric.name)) or {}),
                        "ratio": spread(report.ratio(contender.label, metric.name, BASELINE)),
                        "turns": contender.series(metric.name),
                    }
                    for contender in report.contenders
                },
            }
            for metric in report.workload.metrics
        ],
        "floors": [{"floor": v.floor.text, "value": spread(v.value), "passed": v.passed} for v in report.verdicts()],
        "share of the core": report.share,
        "agree": [contender.label for contender in report.contenders],
        "absent": report.absent,
        "failures": report.failures,
    }
