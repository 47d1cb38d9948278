"""Command line: ``python -m bench [WORKLOAD ...]``, from the root of the repository."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

# One thread and one core for everybody; read when the libraries are loaded, hence before any of them is.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
from bench import cores  # noqa: E402

PINNED = cores.pin()

from bench import report as show  # noqa: E402
from bench.engines import ENGINES, load  # noqa: E402
from bench.harness import measure, numbers, run_here  # noqa: E402
from bench.model import UnavailableError  # noqa: E402
from bench.workloads import WORKLOADS  # noqa: E402


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Every installed engine on every workload.")
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="names from --list; all without any")
    parser.add_argument("--list", action="store_true", help="print the workloads, and who runs them, and stop")
    parser.add_argument("--quick", action="store_true", help="small problems, results compared, nothing timed")
    parser.add_argument("--slow", action="store_true", help="also entries whose set-up takes minutes")
    parser.add_argument("--seconds", type=float, default=3.0, help="time for an engine on a workload (default 3)")
    parser.add_argument(
        "--engine", action="append", metavar="NAME", choices=list(ENGINES), help="only this engine (may be repeated)"
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON document")
    output.add_argument("--markdown", action="store_true", help="print tables for README.md")
    parser.add_argument("--child", metavar="LABEL", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    unknown = [name for name in options.workloads if name not in WORKLOADS]
    if unknown:
        parser.error(f"no workload {unknown[0]!r}; there are {', '.join(WORKLOADS)}")
    return options


def machine() -> dict[str, str]:
    """What the numbers depend on."""
    facts = {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "cpu": platform.processor() or platform.machine(),
        "cores": PINNED,
        "system": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "collector": "on; full collection before each turn, objects of the set-up frozen",
    }
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = (line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line)
        facts["cpu"] = next(models, facts["cpu"])
    blas = blas_kernel()
    if blas:
        facts["numpy's BLAS"] = blas
    return facts


def blas_kernel() -> str:
    """Which kernels NumPy's matrix products run on; an OPENBLAS_CORETYPE in the environment forces them."""
    forced = os.environ.get("OPENBLAS_CORETYPE")
    note = f" (forced by OPENBLAS_CORETYPE={forced})" if forced else ""
    try:
        import numpy  # noqa: F401  (loads the BLAS that is asked about)
        from threadpoolctl import threadpool_info
    except ImportError:
        return f"kernel unknown, threadpoolctl is not installed{note}"
    return ", ".join(
        f"{pool['internal_api']} {pool.get('version')} {pool.get('architecture', '')}{note}"
        for pool in threadpool_info()
        if pool["user_api"] == "blas" and "numpy" in pool["filepath"]
    )


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    chosen = options.workloads or list(WORKLOADS)

    if options.child:
        engines, _ = load(options.engine)
        workload = WORKLOADS[chosen[0]]
        entry = next(e for engine in engines for e in engine.entries[workload.name] if e.label == options.child)
        try:
            sample, results = run_here(entry, workload.make(options.quick))
        except UnavailableError as reason:
            json.dump({"unavailable": str(reason)}, sys.stdout)
        else:
            results = {key: numbers(values) for key, values in results.items()}
            json.dump({"sample": sample, "results": results}, sys.stdout)
        return 0

    engines, missing = load(options.engine)
    if "kilograd" in missing:
        print(f"kilograd cannot be imported: {missing['kilograd']}", file=sys.stderr)
        return 1
    if options.list:
        for name in chosen:
            labels = [entry.label for engine in engines for entry in engine.entries.get(name, [])]
            print(f"{name:14} {WORKLOADS[name].title}\n{'':14} {', '.join(labels) or 'no engine'}")
        return 0

    facts = machine()
    versions = {engine.name: engine.version for engine in engines}
    loud = not options.json
    if options.markdown:
        print(
            "\n".join(
                [
                    *(f"- {key}: {value}" for key, value in facts.items()),
                    f"- versions: {', '.join(f'{name} {text}' for name, text in versions.items())}",
                    f"- command: `python -m bench {' '.join(sys.argv[1:])}`",
                    "",
                ]
            )
        )
    elif loud:
        print("\n".join(f"{key}: {value}" for key, value in facts.items()))
        print("\n".join(f"  {engine.name} {engine.version}: {engine.drive}" for engine in engines))
    if loud:
        print("\n".join(f"{'- ' if options.markdown else ''}{name}: skipped, {why}" for name, why in missing.items()))
        print(flush=True)

    def say(text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    reports = []
    for name in chosen:
        found = measure(
            WORKLOADS[name], engines, quick=options.quick, slow=options.slow, seconds=options.seconds, say=say
        )
        say("")
        reports.append(found)
        if loud:
            text = show.as_check if options.quick else show.as_markdown if options.markdown else show.as_text
            print(text(found), flush=True)

    failures = sum(len(found.failures) for found in reports)
    if options.json:
        document: dict[str, Any] = {
            "machine": facts,
            "versions": versions,
            "skipped": missing,
            "quick": options.quick,
            "workloads": [show.as_json(found) for found in reports],
        }
        json.dump(document, sys.stdout, indent=1)
        print()
    elif options.quick:
        print(f"{sum(len(found.contenders) for found in reports)} passed, {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
