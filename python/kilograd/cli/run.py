"""``kilograd run``: a script, module or notebook with its own ``Value`` class, unchanged, on the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command to the command line."""
    import argparse

    parser = commands.add_parser(
        "run",
        usage="kilograd run [--report] [--compare] (SCRIPT | -m MODULE | NOTEBOOK.ipynb) [ARGUMENT ...]",
        help="run a program that has its own Value class on the engine, unchanged",
        description="Runs a Python program as `python SCRIPT` or `python -m MODULE` would, with every class in it that "
        "behaves as a scalar autograd class served by the engine. A notebook is executed, and a copy with the outputs "
        "is written next to it.",
        epilog="Exit status: the program's own; with --compare 0 where both runs agree and 1 where they differ.",
    )
    parser.add_argument("--report", action="store_true", help="say on standard error what was served, and what was not")
    parser.add_argument(
        "--compare", action="store_true", help="run the program plainly too, and compare output, exit status and time"
    )
    parser.add_argument("-m", dest="module", metavar="MODULE", help="run a module, as python -m does")
    parser.add_argument("program", nargs="?", help=argparse.SUPPRESS)
    parser.set_defaults(run=run)
    own: Callable[..., tuple[argparse.Namespace, list[str]]] = parser.parse_known_args

    def parse(args: Sequence[str] | None = None, namespace: Any = None) -> tuple[argparse.Namespace, list[str]]:
        """Everything behind the program's name is the program's own, options included."""
        head, tail = _split(list(args or ()))
        known, unknown = own(head, namespace)
        known.arguments = tail
        if not unknown and known.program is None and known.module is None:
            parser.error("name a script, -m MODULE or a notebook")
        return known, unknown

    parser.parse_known_args = parse  # type: ignore[method-assign, assignment]


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    for i, argument in enumerate(arguments):
        if argument == "-m":
            return arguments[: i + 2], arguments[i + 2 :]
        if argument.startswith("-m") or not argument.startswith("-"):
            return arguments[: i + 1], arguments[i + 1 :]
    return arguments, []


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    if arguments.compare and not (arguments.program or "").endswith(".ipynb"):
        from kilograd.run import compare

        target = ["-m", arguments.module] if arguments.module is not None else [arguments.program]
        return compare.compare([*target, *arguments.arguments])
    return run_program(
        arguments.program, arguments.arguments, arguments.module, arguments.report, compare=arguments.compare
    )


def run_program(
    name: str | None,
    arguments: list[str],
    module: str | None = None,
    report: bool = False,
    compare: bool = False,
) -> int:
    """Run a script, a module or a notebook; returns the exit status."""
    if name is not None and name.endswith(".ipynb"):
        from kilograd.run import notebook

        return notebook.execute(name, report, compare)

    from kilograd.run import judge, program, source

    source.install_hook(judge.serve, judge.reconsider)
    try:
        if module is not None:
            return program.run_module(module, arguments)
        assert name is not None
        return program.run_script(name, arguments)
    finally:
        if report:
            from kilograd.run.report import text

            judge.to_standard_error(text())
