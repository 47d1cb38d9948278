"""``python -m tests.fuzz NAME [NAME ...] [--seed N] [--rounds N] [--seconds S]``, or ``all`` for every fuzzer."""

from __future__ import annotations

import argparse
import sys

from tests.fuzz.runner import corpus_of, hunt, names, worker


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Runs fuzzers; exits with 1 on a finding."
    )
    parser.add_argument("name", nargs="+", help=f"'all' or any of: {', '.join(names())}")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--rounds", type=int, default=None, help="how many seeds; no limit unless given")
    parser.add_argument("--seconds", type=float, default=None, help="for how long at most (10 without --rounds)")
    parser.add_argument("--worker", default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        worker(options.name[0], options.seed, options.worker)
        return 0
    if options.seconds is None:
        options.seconds = 10.0 if options.rounds is None else float("inf")
    chosen = names() if options.name == ["all"] else options.name
    unknown = set(chosen) - set(names())
    if unknown:
        parser.error(f"no fuzzer is called {min(unknown)!r}; there are {', '.join(names())}")
    findings = 0
    for name in chosen:
        findings += corpus_of(name)
        tried, found = hunt(name, options.seed, options.rounds, options.seconds)
        print(f"{name}: {tried} programs from seed {options.seed} on, {found} findings", flush=True)
        findings += found
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
