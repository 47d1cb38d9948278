"""``python -m tests.fuzz NAME [NAME ...] [--seed N] [--rounds N] [--seconds S]``, or ``all`` for every fuzzer."""

from __future__ import annotations

import argparse
import sys

from tests.fuzz.runner import hunt, names, replay, worker


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Runs fuzzers; exits with 1 on a finding."
    )
    parser.add_argument("name", nargs="+", help=f"'all' or any of: {', '.join(names())}")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--rounds", type=int, default=None, help="how many seeds; no limit unless given")
    parser.add_argument("--seconds", type=float, default=None, help="for how long each (10 without --rounds)")
    parser.add_argument("--worker", default=None, help=argparse.SUPPRESS)
    parser.add_argument("--corpus", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.seconds is None:
        options.seconds = 10.0 if options.rounds is None else float("inf")
    if options.worker is not None:
        name = options.name[0]
        worker(name, options.corpus, options.seed, options.rounds, options.seconds, options.worker)
        return 0
    chosen = names() if options.name == ["all"] else options.name
    unknown = set(chosen) - set(names())
    if unknown:
        parser.error(f"no fuzzer is called {min(unknown)!r}; there are {', '.join(names())}")
    findings = 0
    try:
        for name in chosen:
            back = replay(name)
            tried, found = hunt(name, options.seed, options.rounds, options.seconds)
            what = f"{tried} programs from seed {options.seed} on, {found} findings"
            print(f"{name}: {what}, {back} old ones are back", flush=True)
            findings += back + found
    except KeyboardInterrupt:
        return 130
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
