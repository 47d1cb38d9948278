"""Running a program as if it had been run directly, with its autograd classes served by the engine.

`sys.argv`, `sys.path[0]`, `__name__`, `__file__`, exit status, tracebacks and ``Ctrl-C`` are those of ``python SCRIPT``
or ``python -m MODULE``: the program's frames are the only ones that its traceback shows.
"""

from __future__ import annotations

import ast
import builtins
import gc
import importlib.util
import io
import os
import signal
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType, TracebackType

from kilograd.run import importer, source

__all__ = ["run_module", "run_script"]

OWN = os.path.join(os.path.dirname(__file__), "")


class _Launcher:
    """Stands between the process and the program; knows which frames are its own."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module

    def execute(self, code: CodeType) -> int:
        main = self.module
        vars(main)["__builtins__"] = builtins
        sys.modules["__main__"] = main
        # The program has as much stack as if it had been started directly.
        sys.setrecursionlimit(sys.getrecursionlimit() + _depth() + 5)
        gc.freeze()  # what is there by now lives as long as the process: no collection of the program's looks at it
        return _guarded(lambda: exec(code, vars(main)))


def _depth() -> int:
    depth, frame = 0, sys._getframe(1)
    while frame.f_back is not None:
        depth, frame = depth + 1, frame.f_back
    return depth


def _guarded(action: object) -> int:
    """Call `action`; report an exception as the interpreter does, less the frames of this file."""
    try:
        action()  # type: ignore[operator]
    except SystemExit:
        raise
    except BaseException as error:
        shown = _strip(error.__traceback__)
        error.__traceback__ = shown
        sys.last_type, sys.last_value, sys.last_traceback = type(error), error, shown
        sys.excepthook(type(error), error, shown)
        if isinstance(error, KeyboardInterrupt):
            _die_of_interrupt()
        return 1
    return 0


def _strip(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames of this package, and of the import system and `ast` on its behalf."""
    kept: list[TracebackType] = []
    inside = True
    while traceback is not None:
        filename = traceback.tb_frame.f_code.co_filename
        if filename.startswith(OWN):
            inside = True
            while kept and kept[-1].tb_frame.f_code.co_filename.startswith("<frozen importlib"):
                kept.pop()
        elif not (inside and filename == ast.__file__):
            inside = False
            kept.append(traceback)
        traceback = traceback.tb_next
    for i, one in enumerate(kept):
        one.tb_next = kept[i + 1] if i + 1 < len(kept) else None
    return kept[0] if kept else None


def _die_of_interrupt() -> None:
    """End as an interrupted interpreter does: the shell sees the signal, not a status."""
    import atexit

    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)


def _complain(message: str) -> int:
    print(f"{sys.executable}: {message}", file=sys.stderr)
    return 2


def run_script(path: str, arguments: Sequence[str]) -> int:
    """Run a script, or a folder with a ``__main__.py``, as ``python path arguments...`` would; the exit status.

    Parameters
    ----------
    path : str
        The script as it was given; it becomes ``sys.argv[0]``.
    arguments : sequence of str
        The program's own arguments.
    """
    script, folder = path, os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        script, folder = os.path.join(path, "__main__.py"), path
        if not os.path.exists(script):
            return _fail(f"can't find '__main__' module in {path!r}")
    try:
        with io.open_code(os.path.abspath(script)) as file:
            text = file.read()
    except OSError as error:
        return _complain(f"can't open file {os.path.abspath(path)!r}: [Errno {error.errno}] {error.strerror}")
    sys.argv[:] = [path, *arguments]
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = os.path.realpath(folder) if folder != path else path
    importer.install(folder)
    main = ModuleType("__main__")
    main.__file__ = script if folder == path else os.path.abspath(script)
    if sys.version_info < (3, 9) or folder == path:
        main.__file__ = script
    vars(main).update(__spec__=None, __cached__=None, __annotations__={}, __doc__=None)
    main.__loader__ = SourceFileLoader("__main__", script)
    return _compile_and_execute(main, text, main.__file__)


def run_module(name: str, arguments: Sequence[str]) -> int:
    """Run a module, or a package's ``__main__``, as ``python -m name arguments...`` would; the exit status."""
    sys.argv[:] = ["-m", *arguments]
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = os.getcwd()
    importer.install(os.getcwd())
    try:
        spec = _main_spec(name)
    except ImportError as error:
        return _fail(str(error))
    loader, origin = spec.loader, spec.origin
    assert loader is not None
    sys.argv[0] = origin or name
    main = ModuleType("__main__")
    vars(main).update(__spec__=spec, __cached__=spec.cached, __package__=spec.parent, __doc__=None)
    if origin is not None:
        main.__file__ = origin
    main.__loader__ = loader
    launcher = _Launcher(main)
    code: list[CodeType] = []
    status = _guarded(lambda: code.append(loader.get_code(spec.name)))  # type: ignore[attr-defined]
    return status or launcher.execute(code[0])


def _fail(message: str) -> int:
    print(f"{sys.executable}: {message}", file=sys.stderr)
    return 1


def _main_spec(name: str) -> ModuleSpec:
    """The spec of the module that ``python -m name`` executes."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ImportError(
            f"Error while finding module specification for {name!r} ({type(error).__name__}: {error})"
        ) from None
    if spec is None:
        raise ImportError(f"No module named {name}")
    if spec.submodule_search_locations is not None:
        try:
            return _main_spec(f"{name}.__main__")
        except ImportError as error:
            raise ImportError(f"{error}; {name!r} is a package and cannot be directly executed") from None
    if spec.loader is None or not hasattr(spec.loader, "get_code"):
        raise ImportError(f"No code object available for {name}")
    return spec


def _compile_and_execute(main: ModuleType, text: bytes, filename: str) -> int:
    code: list[CodeType] = []
    status = _guarded(lambda: code.append(source.compile_marked(text, filename)))
    return status or _Launcher(main).execute(code[0])
