"""The command line: ``python -m kilograd COMMAND`` and the console script ``kilograd``.

Each command is a module of this folder with a function ``add_to(commands)``: it adds a parser to the argparse
subparsers that it is given and sets that parser's default ``run``, a function from the parsed arguments to the exit
status. A module is listed in `COMMANDS`, and imports what is heavy only when its command runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

__all__ = ["main"]

COMMANDS = ("demo", "run")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (by default that of the process) and return the exit status."""
    given = sys.argv[1:] if argv is None else list(argv)
    if given[:1] == ["run"] and given[1:] and not given[1].startswith("-"):  # importing argparse takes 7 ms
        from kilograd.cli.run import run_program

        return run_program(given[1], given[2:])
    import argparse

    parser = argparse.ArgumentParser(prog="kilograd", description="Scalar autograd at C++ speed.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, prog="kilograd")
    for name in [given[0]] if given and given[0] in COMMANDS else COMMANDS:  # the others need not be loaded
        import_module(f"kilograd.cli.{name}").add_to(commands)
    arguments = parser.parse_args(argv)
    status: int = arguments.run(arguments)
    return status
