"""Classes and programs, mutated, in plain Python against `kilograd run`: output and exit status are to be the same.

A seed makes a class (its dialect, names, operators, rules and `backward()`), perhaps a mutation of it that `run` must
see through (state, text, thresholds), a graph, walks over the graph, and perhaps a disturbance (a name bound again, a
method wrapped, an attribute deleted). Both runs are forks of one process, in which everything is imported already.
"""

from __future__ import annotations

import atexit
import builtins
import functools
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from types import ModuleType

from tests.fuzz import elsewhere
from tests.fuzz.adversaries import PROGRAMS

LIMIT = 60  # seconds for one program


# --- both ways -------------------------------------------------------------------------------------------------------


class _Zygote:
    """A process that imports everything once, and forks for each run."""

    def __init__(self) -> None:
        root = pathlib.Path(__file__).resolve().parents[2]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.served"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
        )
        atexit.register(self.process.kill)

    def __call__(self, path: str) -> list[tuple[str, int, str]]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(path + "\n")
        self.process.stdin.flush()
        return [tuple(one) for one in json.loads(self.process.stdout.readline())]


@functools.cache
def _zygote() -> _Zygote:
    return _Zygote()


def both(text: str, modules: dict[str, str] | None = None) -> list[tuple[str, int, str]]:
    """What a program says plainly and on the engine: output, exit status, standard error."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in {"script": text, **(modules or {})}.items():
            pathlib.Path(folder, f"{name}.py").write_text(content)
        return _zygote()(os.path.join(folder, "script.py"))


def check(text: str, modules: dict[str, str] | None = None) -> None:
    """Raise where a program tells the two apart."""
    plain, served = both(text, modules)
    assert "MemoryError" not in served[2], served[2]
    if plain[:2] != served[:2]:
        raise AssertionError(
            f"plain Python:\n{plain[0]}\n{plain[2][-600:]}\nexit status {plain[1]}\n"
            f"kilograd run:\n{served[0]}\n{served[2][-600:]}\nexit status {served[1]}\nof\n{text}"
        )


def corpus() -> Iterator[tuple[str, Callable[[], None]]]:
    """Programs that were once told apart, and others of their kinds."""
    for name, text in (PROGRAMS | elsewhere.PROGRAMS).items():
        yield name, functools.partial(check, text)


def _plain(path: str) -> int:
    main = ModuleType("__main__")
    main.__file__ = path
    vars(main)["__builtins__"] = builtins
    sys.modules["__main__"] = main
    sys.argv[:] = [path]
    sys.path[0] = os.path.dirname(path)
    exec(compile(pathlib.Path(path).read_bytes(), path, "exec", dont_inherit=True), vars(main))
    return 0


def _served(path: str) -> int:
    from kilograd.run import judge, program, source

    source.install_hook(judge.serve, judge.reconsider)
    return program.run_script(path, [])


def _guarded(action: Callable[[str], int], path: str) -> int:
    """The exit status of a run, as the interpreter has it."""
    try:
        return action(path)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        return 1


def _forked(action: Callable[[str], int], path: str) -> tuple[str, int, str]:
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        status = _fork(action, path, (output.fileno(), errors.fileno()))
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    return texts[0], status, texts[1]


def _fork(action: Callable[[str], int], path: str, files: tuple[int, int]) -> int:
    child = os.fork()
    if child == 0:
        for number, file in enumerate(files, 1):
            os.dup2(file, number)
        import signal

        signal.alarm(LIMIT)
        status = _guarded(action, path)
        import gc
        import threading

        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        vars(sys.modules["__main__"]).clear()  # finalisers run, as they do at the end of a process
        gc.collect()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _serve_requests() -> None:
    from kilograd.run import judge, notebook, probes, program, report, source  # noqa: F401

    atexit._clear()
    for line in sys.stdin:
        path = line.strip()
        answer = json.dumps([_forked(_plain, path), _forked(_served, path)])
        sys.__stdout__.write(answer + "\n")  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]


# --- programs ------------------------------------------------------------------------------------------------------


def run(seed: int) -> None:
    """One program."""
    text, modules = generate(seed)
    check(text, modules)


def generate(seed: int) -> tuple[str, dict[str, str]]:
    """The program of a seed: its script, and its other modules."""
    return _Maker(random.Random(seed)).program()


class _Maker:
    def __init__(self, source: random.Random) -> None:
        self.source = source
        pick = source.choice
        self.name = pick(["Value", "Scalar", "Node", "V"])
        self.data = pick(["data", "data", "value", "v"])
        self.grad = pick(["grad", "grad", "g"])
        self.children = pick(["_prev", "_prev", "children", "parents"])
        self.style = pick(["closures", "closures", "closures", "locals", "pairs", "method"])
        self.container = "tuple"
        if self.style in ("closures", "pairs"):
            self.container = pick(["set", "set", "tuple", "list"] if self.style == "closures" else ["tuple", "list"])
        self.zero = pick(["0.0", "0.0", "0"])
        self.one = "1" if self.zero == "0" else "1.0"
        self.slots = self.style == "locals" and source.random() < 0.3
        self.has_op = source.random() < 0.7 or self.style == "method"
        self.has_repr = source.random() < 0.7
        self.numpy = source.random() < 0.35
        self.made = ""  # what the constructor makes of numbers
        self.functions = "math"  # where the functions are from
        if self.numpy:
            self.made = pick(["", "", "", "np.float64", "np.float64", "np.float32", "np.array"])
            self.functions = pick(["math", "math", "np"])
            if self.made == "np.float64" and source.random() < 0.3:
                self.zero, self.one = "np.float64(0)", pick(["1.0", "np.float64(1)"])
            if self.made == "np.float32" and self.container == "set":  # the order of a sum shows in digits
                self.container = "tuple"
        self.late = source.random() < 0.4  # slopes read the result's data when gradients flow
        self.leaf = "same" if self.style != "closures" else pick(["same"] * 6 + ["list", "absent"])
        self.bases = ""
        self.below: list[str] = []  # the class
        self.lines: dict[str, list[str]] = {}
        self.extra: list[str] = []  # in the class
        self.decorated: set[str] = set()  # methods
        self.before: list[str] = []
        self.after: list[str] = []

    def maybe(self, chance: float) -> bool:
        return self.source.random() < chance

    # --- the class

    def node(self, value: str, operands: list[tuple[str, str]], op: str) -> list[str]:
        """The statements that make a result over operands with their local gradients, and return it."""
        names = ", ".join(name for name, _ in operands)
        tail = "," if len(operands) == 1 else ""
        symbol = f", {op!r}" if self.has_op else ""
        if self.style == "locals":
            slopes = ", ".join(local for _, local in operands)
            return [f"return {self.name}({value}, ({names}{tail}), ({slopes}{tail}){symbol})"]
        if self.style == "pairs":
            pairs = ", ".join(f"({name}, {local})" for name, local in operands)
            return [f"return {self.name}({value}, ({pairs}{tail}){symbol})"]
        if self.style == "method":
            return [f"return {self.name}({value}, ({names}{tail}){symbol})"]
        rule = [
            f"    {name}.{self.grad} += {f'out.{self.grad}' if local == '1' else f'({local}) * out.{self.grad}'}"
            for name, local in operands
        ]
        operands = f"({names}{tail})" if self.container != "set" else f"{{{names}}}"
        made = {
            "same": [f"out = {self.name}({value}, ({names}{tail}){symbol})"],
            "list": [f"out = {self.name}({value}{symbol})", f"out.{self.children} = ({names}{tail})"],
            "absent": [f"out = {self.name}({value}{symbol})", f"out.{self.children} = {operands}"],
        }[self.leaf]
        return [
            *made,
            "def _backward():",
            *rule,
            "out._backward = _backward",
            "return out",
        ]

    def quotient(self, a: str, b: str) -> list[str]:
        """The statements of a division with a rule of its own."""
        choose, g, y = self.source.choice, f"out.{self.grad}", f"out.{self.data}"
        first = choose([f"1 / {b}", f"1.0 / {b}", f"{b} ** -1"])
        second = choose([f"-{a} / {b} ** 2", f"-{a} / ({b} * {b})", f"-({a} / {b} ** 2)", f"-{a} * {b} ** -2"])
        lines = self.node(f"{a} / {b}", [("self", first), ("other", second)], "/")
        if self.style == "closures" and self.maybe(0.5):
            at = next(i for i, line in enumerate(lines) if line.startswith("    self."))
            lines[at] = f"    self.{self.grad} += {choose([f'{g} / {b}', f'{g} * ({first})'])}"
            lines[at + 1] = f"    other.{self.grad} " + choose(
                [f"-= {g} * {a} / {b}**2", f"+= -{g} * {a} / {b}**2", f"-= {y} / {b} * {g}", f"+= {g} * ({second})"]
            )
        return lines

    def operands(self, node: str) -> str:
        """The operands of a node."""
        attribute = f"{node}.{self.children}"
        return f"[one for one, _ in {attribute}]" if self.style == "pairs" else attribute

    def method(self, head: str, body: list[str]) -> list[str]:
        return [f"def {head}:", *(f"    {line}" for line in body), ""]

    def build_class(self) -> list[str]:
        name, data = self.name, self.data
        parameters = f"self, {data}" if self.leaf != "same" else f"self, {data}, _children=()"
        made = f"{self.made}({data})" if self.made else f"float({data})" if self.maybe(0.2) else data
        body = [f"self.{data} = {made}", f"self.{self.grad} = {self.zero}"]
        if self.leaf != "absent":
            body.append(f"self.{self.children} = " + ("[]" if self.leaf == "list" else f"{self.container}(_children)"))
        if self.style == "locals":
            parameters += ", _locals=()"
            body.append("self._locals = _locals")
        if self.has_op:
            parameters += ", _op=''"
            body.append("self._op = _op")
        if self.style == "closures" and self.leaf != "absent":
            body.append("self._backward = lambda: None")
        lift = f"other = other if isinstance(other, {name}) else {name}(other)"
        a, b = f"self.{data}", f"other.{data}"
        methods = {
            "init": (f"__init__({parameters})", body),
            "add": ("__add__(self, other)", [lift, *self.node(f"{a} + {b}", [("self", "1"), ("other", "1")], "+")]),
            "mul": ("__mul__(self, other)", [lift, *self.node(f"{a} * {b}", [("self", b), ("other", a)], "*")]),
            "radd": ("__radd__(self, other)", ["return self + other"]),
            "rmul": ("__rmul__(self, other)", ["return self * other"]),
        }
        choose = self.source.choice
        negative = choose(["self * -1", "self * -1", "-1.0 * self", "0 - self" if self.maybe(0.1) else "self * -1.0"])
        methods["neg"] = ("__neg__(self)", [f"return {negative}"])
        difference = choose(["self + (-other)", "self + (-other)", "self + other * -1", "(-1 * other) + self"])
        methods["sub"] = ("__sub__(self, other)", [*([lift] if self.maybe(0.3) else []), f"return {difference}"])
        if self.maybe(0.6):
            form = choose(["other + (-self)", "-(self - other)", f"{name}(other) - self"])
            methods["rsub"] = ("__rsub__(self, other)", [f"return {form}"])
        if self.style != "method" and self.maybe(0.3):
            minus = [("self", choose(["1", "1", "1.0"])), ("other", choose(["-1", "-1", "-1.0"]))]
            methods["sub"] = ("__sub__(self, other)", [lift, *self.node(f"{a} - {b}", minus, "-")])
        if self.style != "method" and self.maybe(0.2):
            methods["neg"] = ("__neg__(self)", self.node(f"-{a}", [("self", choose(["-1", "-1.0"]))], "neg"))
        if self.maybe(0.6):
            methods["pow"] = (
                "__pow__(self, other)",
                self.node(f"{a} ** other", [("self", f"other * {a} ** (other - 1)")], "**"),
            )
            if self.style == "method":
                del methods["pow"]
            elif self.maybe(0.7):
                quotient = choose(["self * other ** -1", "self * (1.0 * other) ** -1.0"])
                methods["truediv"] = ("__truediv__(self, other)", [f"return {quotient}"])
                methods["cube"] = ("cube(self)", ["return self * self ** 2"])
        if self.style != "method" and self.maybe(0.3):
            methods["truediv"] = ("__truediv__(self, other)", [lift, *self.quotient(a, b)])
            if self.maybe(0.5):
                methods["rtruediv"] = ("__rtruediv__(self, other)", [f"return {name}(other) / self"])
        if self.style != "method":
            if self.maybe(0.7):
                methods["tanh"] = (
                    "tanh(self)",
                    [
                        f"t = {self.functions}.tanh({a})",
                        *self.node("t", [("self", self.slope("1 - t * t", "1 - t**2"))], "tanh"),
                    ],
                )
            if self.maybe(0.3):
                s = f"1 / (1 + {self.functions}.exp(-{a}))"
                methods["sigmoid"] = (
                    "sigmoid(self)",
                    [f"t = {s}", *self.node("t", [("self", self.slope("t * (1 - t)"))], "sigmoid")],
                )
            if self.maybe(0.2):
                slope = self.source.choice([f"1 / {a}", f"{a} ** -1"])
                methods["log"] = ("log(self)", self.node(f"{self.functions}.log({a})", [("self", slope)], "log"))
            if self.maybe(0.5):
                e = f"{self.functions}.exp({a})"
                late = ["e", "e", e, e if self.style != "closures" else f"out.{data}"]
                methods["exp"] = ("exp(self)", [f"e = {e}", *self.node("e", [("self", choose(late))], "exp")])
            if self.maybe(0.1):
                slope = choose(["0.5 / y", f"0.5 / math.sqrt({a})"])
                y = f"y = {self.functions}.sqrt({a})"
                methods["sqrt"] = ("sqrt(self)", [y, *self.node("y", [("self", slope)], "sqrt")])
            if self.maybe(0.6):
                methods["relu"] = (
                    "relu(self)",
                    self.node(
                        f"max(0, {a})" if self.functions == "math" else f"np.maximum({choose(['0', '0.0'])}, {a})",
                        [("self", choose([f"float({a} > 0)", f"out.{data} > 0" if self.late else f"{a} > 0"]))]
                        if self.style == "closures"
                        else [("self", f"float({a} > 0)")],
                        "relu",
                    ),
                )
        if self.style == "method":
            methods["rule"] = (
                "_backward(self)",
                [
                    "if self._op == '+':",
                    f"    for child in self.{self.children}: child.{self.grad} += self.{self.grad}",
                    "elif self._op == '*':",
                    f"    x, y = self.{self.children}",
                    f"    x.{self.grad} += y.{data} * self.{self.grad}",
                    f"    y.{self.grad} += x.{data} * self.{self.grad}",
                ],
            )
        methods["backward"] = ("backward(self)", self.backward())
        if self.has_repr:
            methods["repr"] = ("__repr__(self)", [f"return f'{name}({{self.{data}:.9g}}, {{self.{self.grad}:.9g}})'"])
        self.methods = methods
        if self.numpy:
            self.meet_numpy()
        self.widen()
        self.mutate()
        lines = [f"class {name}{self.bases}:"]
        if self.slots:
            fields = [data, self.grad, self.children, "_locals", *(["_op"] if self.has_op else [])]
            lines.append(f"    __slots__ = {tuple(fields)}")
        lines += [f"    {line}" for line in self.extra]
        for name, (head, statements) in self.methods.items():
            if name in self.decorated:
                lines.append("    @wrapped")
            lines += [f"    {line}" for line in self.method(head, statements)]
        return lines + self.below

    def meet_numpy(self) -> None:
        """What tells NumPy how to meet the class, and how to meet what is not finite."""
        defined = self.source.choice([""] * 4 + ["priority", "none", "none", "method", "counting"])
        if defined == "priority":
            self.extra.append("__array_priority__ = 1000")
        elif defined == "none":
            self.extra.append("__array_ufunc__ = None")
        elif defined:
            self.before.append("UFUNCS = []")
            self.extra += [
                "def __array_ufunc__(self, ufunc, method, *inputs, **keywords):",
                *(["    UFUNCS.append(1)"] if defined == "counting" else []),
                "    if ufunc is np.multiply: return self * inputs[0]",
                "    if ufunc is np.add: return self + inputs[0]",
                "    return NotImplemented",
            ]
            self.after.append("print(len(UFUNCS))")
        if self.maybe(0.15):
            self.before += self.source.choice(
                [
                    ["np.seterr(all='raise')"],
                    ["np.seterr(over='ignore')"],
                    ["import warnings", "warnings.simplefilter('error')"],
                ]
            )
        if self.maybe(0.3):
            huge = self.source.choice(["1e200", "1e-200", "3e38", "1e-30"])
            self.after += [
                "try:",
                f"    h = {self.name}(np.float64({huge})); k = {self.name}(0.75); h = h * k * h * h + k",
                "    h.backward(); print(show(h), show(k))",
                "except (FloatingPointError, RuntimeWarning) as error: print(type(error).__name__, error)",
            ]

    def slope(self, *forms: str) -> str:
        """A local gradient of the result t, which may be read late."""
        form = self.source.choice(forms)
        return form.replace("t", f"out.{self.data}") if self.late and self.style == "closures" else form

    # --- what more classes have

    def widen(self) -> None:
        """Parts of the class that lie elsewhere; each may have a twist that `run` must see through."""
        for _ in range(self.source.choice([0, 0, 1, 1, 2])):
            self.source.choice([self.lifting, self.decorator, self.mixin, self.switch])()

    def lifting(self) -> None:
        """Operands are lifted by a function of the module."""
        if any("lifted" in line for line in (*self.before, *self.below)):
            return
        twist = self.source.choice(
            [[]] * 3
            + [
                ["x = x if x is None or not isinstance(x, float) or x < 2.75 else x + 1"],
                ["CALLS.append(1)"],
                ["lifted.calls = 1"],
                ["if str(x) == '0.5': x = 0.25"],
            ]
        )
        self.before.append("CALLS = []")
        place = self.below if self.maybe(0.4) else self.before
        if place is self.below and self.maybe(0.2):
            place.append(
                self.source.choice(["import random", "TEN = 10", "print('between')", "def other(x=print(0)): pass"])
            )
        place += [
            "def lifted(x):",
            *(f"    {line}" for line in twist),
            f"    return x if isinstance(x, {self.name}) else {self.name}(x)",
        ]
        for key in ("add", "mul"):
            head, body = self.methods[key]
            self.methods[key] = (head, ["other = lifted(other)" if "isinstance(other" in s else s for s in body])
        self.after.append("print(len(CALLS))")
        if self.maybe(0.2):
            self.after += [f"def lifted(x): return {self.name}(1.5)", f"print(show({self.name}(2.0) + 1))"]

    def decorator(self) -> None:
        """Operators are wrapped by a decorator."""
        if any("wrapped" in line for line in self.before):
            return
        twist = self.source.choice(
            [[]] * 3
            + [
                ["COUNT[0] += 1"],
                [f"if other is self: return {self.name}(0.125)"],
                ["nonlocal operation", "operation = operation"],
                ["if isinstance(other, float) and other > 2.75: other = 3.0"],
            ]
        )
        self.before += [
            "COUNT = [0]",
            "def wrapped(operation):",
            "    def wrapper(self, other):",
            *(f"        {line}" for line in twist),
            "        return operation(self, other)",
            "    return wrapper",
        ]
        for key in self.source.sample(["add", "mul", "sub"], 2):
            self.decorated.add(key)
        self.after.append("print(COUNT)")

    def mixin(self) -> None:
        """Some operators are inherited."""
        if self.bases:
            return
        moved = [key for key in ("radd", "rmul", "neg", "sub") if self.maybe(0.7)]
        self.before.append("class Mixin:")
        self.before.append("    pass")
        for key in moved:
            head, body = self.methods.pop(key)
            self.before += [f"    {line}" for line in self.method(head, body)]
        self.bases = "(Mixin)"
        self.after.append(f"print(isinstance({self.name}(1.0), Mixin), {self.name}.__mro__[1].__name__)")
        twist = self.source.choice([""] * 4 + ["Mixin.__neg__", "alias", "setattr", "new"])
        change = "lambda self: self * -2"
        if twist == "Mixin.__neg__":
            self.after.append(f"Mixin.__neg__ = {change}")
        elif twist == "alias":
            self.after += ["M = Mixin", f"M.__neg__ = {change}"]
        elif twist == "setattr":
            self.after += ["for key in ['__neg__']:", f"    setattr(Mixin, key, {change})"]
        elif twist == "new":
            self.after += [f"Mixin.double = {change}", f"print(show({self.name}(1.5).double()))"]
        self.after.append(f"print(show({self.name}(2.0) + 1))")
        if "neg" in self.methods or "neg" in moved:
            self.after.append(f"print(show(-{self.name}(2.0)))")

    def switch(self) -> None:
        """A switch of the class, of its module, or of another object turns recording off."""
        if "enabled = True" in self.extra or any("ENABLED = True" in line for line in self.before):
            return
        switch = self.source.choice(["ENABLED", f"{self.name}.enabled", "config.ENABLED", "Settings.ENABLED"])
        if switch == "config.ENABLED":
            self.before += ["class Config: pass", "config = Config()", "config.ENABLED = True"]
        elif switch == "Settings.ENABLED":
            self.before.append("class Settings: ENABLED = True")
        elif switch == "ENABLED":
            self.before.append("ENABLED = True")
        else:
            self.extra.append("enabled = True")
        a = f"self.{self.data}"
        for key, sign in (("add", "+"), ("mul", "*")):
            head, body = self.methods[key]
            test = [f"if not {switch}: return {self.name}({a} {sign} other.{self.data})"]
            self.methods[key] = (head, [*body[:1], *test, *body[1:]])
        x = f"{self.name}(1.25)"
        value = self.source.choice(["False", "False", "False", "0", "None"])
        self.after += [
            f"x = {x}; held = x * 2 + x",
            *(["act = x.tanh"] if "tanh" in self.methods else []),
            f"{switch} = {value}",
            "print(show(x * 3 + 1), show(held))",
            *(["print(show(act()))"] if "tanh" in self.methods else []),
            "held.backward(); print(show(x))",
            f"{switch} = True",
            "held = x * 3 + x; held.backward(); print(show(held), show(x))",
        ]

    def backward(self) -> list[str]:
        test, note = self.source.choice([("v not in seen", "seen.add(v)"), ("id(v) not in seen", "seen.add(id(v))")])
        step = ["v._backward()"]
        kids = self.operands("v")
        if self.leaf == "absent":
            step = ["if hasattr(v, '_backward'): v._backward()"]
            kids = f"getattr(v, '{self.children}', ())"
        if self.style == "locals":
            step = [
                f"for child, local in zip(v.{self.children}, v._locals):",
                f"    child.{self.grad} += local * v.{self.grad}",
            ]
        if self.style == "pairs":
            step = [f"for child, local in v.{self.children}: child.{self.grad} += local * v.{self.grad}"]
        return [
            "topo, seen = [], set()",
            "def build(v):",
            f"    if {test}:",
            f"        {note}",
            f"        for child in {kids}:",
            "            build(child)",
            "        topo.append(v)",
            "build(self)",
            f"self.{self.grad} = {self.one}",
            "for v in reversed(topo):",
            *(f"    {line}" for line in step),
        ]

    # --- what `run` must see through

    def mutate(self) -> None:
        if self.maybe(0.35):
            return
        for _ in range(self.source.choice([1, 1, 2])):
            self.source.choice(
                [
                    self.default_state,
                    self.class_state,
                    self.text_branch,
                    self.number_branch,
                    self.helper,
                    self.global_state,
                    self.shared_name,
                    self.implicit,
                ]
            )()

    def some(self) -> str:
        return self.source.choice(list(self.methods))

    def insert(self, method: str, line: str, parameter: str = "") -> None:
        head, body = self.methods[method]
        if parameter:
            head = head[:-1] + f", {parameter})"
        self.methods[method] = (head, [line, *body])

    def default_state(self) -> None:
        kind, change = self.source.choice(
            [("[]", "log.append(1)"), ("{}", "log[len(log)] = 1"), ("[0]", "log[0] += 1")]
        )
        self.before.append(f"LOG = {kind}")
        default = self.source.choice(["LOG", "LOG", kind])
        star = "*, " if self.maybe(0.3) and "=" not in self.methods["init"][0] else ""
        self.insert(self.some(), change, f"{star}log={default}")
        self.after.append("print(LOG)")

    def class_state(self) -> None:
        self.extra.append("state = [0]")
        reach = self.source.choice(
            ["self.state", f"{self.name}.state", "getattr(self, 'state')", "type(self).state", "self.__class__.state"]
        )
        reach = self.source.choice([reach, reach, f"getattr({self.name}, 'sta' + 'te')", f"vars({self.name})['state']"])
        self.insert(self.some(), f"{reach}[0] += 1")
        self.after.append(f"print({self.name}.state)")

    def text_branch(self) -> None:
        x = self.source.choice([5.25, 1.5, 3.125, 4567.0])
        a = f"self.{self.data}"
        test = self.source.choice(
            [
                f"str({a}) == '{x}'",
                f"{a} == float('{x}')",
                f"'{str(x)[:3]}' in repr({a})",
                f"f'{{{a}}}' == '{x}'",
                f"'%s' % {a} == '{x}'",
                f"'{{}}'.format({a}) == '{x}'",
                f"format({a}, '.3f') == '{x:.3f}'",
                f"len(str({a})) == {self.source.choice([1, 2])} + 2",
                f"{a} in {{float('{x}'): 1}}",
                f"hash({a}) == hash(float('{x}'))",
                f"ord(str({a})[0]) == ord('{str(x)[0]}')",
            ]
        )
        self.branch(test)
        self.after.append(f"print(show({self.name}({x}) + 1), show({self.name}({x}) * 2))")

    def branch(self, test: str) -> None:
        effect = self.source.choice([f"return {self.name}(-7.0)", f"self.{self.data} = 9.0", "raise ValueError('no')"])
        method = self.source.choice([name for name in self.methods if name not in ("init", "repr", "backward", "rule")])
        self.insert(method, f"if {test}: {effect}")

    def number_branch(self) -> None:
        a = f"self.{self.data}"
        test = self.source.choice(
            [
                f"{a} == 2.0 + 2.0 + 1.25",
                f"{a} - 2 - 2 == 1.25",
                f"{a} == 21 / 4",
                f"2.0 * 2.0 < {a} < 2.0 * 2.0 + 2.0",
                f"abs({a} - 2.0 - 2.0) < 2.0",
                f"{a} * 0.5 * 0.5 == 1.3125",
                f"{a} in (5.25, 6.0)",
                f"{a} == sum([2, 2, 1, 0.25])",
                f"{a} == len('12345') + 0.25",
                f"int({a}) == len('12345')",
                f"math.floor({a}) == 5",
                f"{a} % 2 == 1.25",
                f"math.sin({a} - 2 - 2 - 1) > 0.2",
                f"{a}.is_integer() and {a} > 2 ** 2",
                f"{a} == Q",
            ]
        )
        if test.endswith("Q"):
            self.before.append("Q = 5.25")
        self.branch(test)
        self.after.append(f"print(show({self.name}(5.25) + 1), show({self.name}(5.25) * 2))")

    def helper(self) -> None:
        """State, one call away."""
        form = self.source.choice(["method", "static", "class", "property", "function", "lambda"])
        change = self.source.choice(["n[0] += 1", "n.append(len(n))"])
        call = "self._tick()"
        if form == "method":
            self.extra += ["def _tick(self, n=[0]):", f"    {change}", "    return n"]
        elif form == "static":
            self.extra += ["@staticmethod", "def _tick(n=[0]):", f"    {change}", "    return n"]
        elif form == "class":
            self.extra += ["@classmethod", "def _tick(cls, n=[0]):", f"    {change}", "    return n"]
        elif form == "property":
            self.extra += ["@property", "def _tick(self, n=[0]):", f"    {change}", "    return n"]
            call = "self._tick"
        elif form == "function":
            self.before += ["def tick(n=[0]):", f"    {change}", "    return n"]
            call = "tick()"
        else:
            self.before += ["N = [0]", "tick = lambda: N.append(len(N)) or N"]
            call = "tick()"
        self.insert(self.some(), call)
        last = call.replace("self", f"{self.name}(1.0)")
        self.after.append(f"print({last})")

    def global_state(self) -> None:
        self.before.append("count = 0")
        method = self.some()
        head, body = self.methods[method]
        self.methods[method] = (head, ["global count", "count += 1", *body])
        self.after.append("print(count)")

    def shared_name(self) -> None:
        """A name that means something else than usual before the class."""
        self.before.append(
            self.source.choice(
                [
                    "def max(a, b): return b if b > a else a + 0.5",
                    "def isinstance(a, b): return type(a).__name__ == b.__name__",
                    "def float(x): return x * 2.0",
                    "def reversed(x): return list(x)[::-1]",
                    "class math:\n    exp = staticmethod(lambda x: x + 1)\n    tanh = staticmethod(lambda x: x / 2)",
                ]
            )
        )

    def implicit(self) -> None:
        name, body = self.source.choice(
            [
                ("__hash__(self)", "return id(self)"),
                ("__hash__(self, n=[0])", "n[0] += 1; return id(self)"),
                ("__eq__(self, other)", "return self is other"),
                ("__bool__(self, n=[0])", "n[0] += 1; return True"),
                ("__len__(self)", "return 1"),
                ("__iter__(self)", f"return iter(self.{self.children})"),
                ("__float__(self)", f"return float(self.{self.data})"),
                ("__lt__(self, other)", f"return self.{self.data} < other.{self.data}"),
                ("__call__(self)", f"return self.{self.data}"),
                ("__getitem__(self, i)", f"return list(self.{self.children})[i]"),
                ("__contains__(self, x)", f"return any(x is c for c in self.{self.children})"),
                ("__str__(self)", "return 'a node'"),
                ("__format__(self, spec)", f"return format(self.{self.data}, spec)"),
                ("__iadd__(self, other)", f"self.{self.data} += 1; return self"),
            ]
        )
        self.extra += [f"def {name}:", f"    {body}"]
        if "__eq__" in name:
            self.extra += ["def __hash__(self): return object.__hash__(self)"]
        if "n=[0]" in name:
            self.after.append(f"print({self.name}.{name.partition('(')[0]}.__defaults__)")

    # --- what the program does with it

    def program(self) -> tuple[str, dict[str, str]]:
        cls = self.build_class()
        split = self.maybe(0.25)
        if self.numpy:
            self.before.insert(0, "import numpy as np")
        body: list[str] = []
        body += self.show()
        body += self.graph()
        for _ in range(self.source.choice([0, 1, 1, 2])):
            parts = [self.walk, self.disturbance, self.disturbance, self.training, self.writes]
            body += self.source.choice(parts)()
        body += self.after
        body += ["print(show(y), [show(p) for p in leaves])"]
        head = ["import math", *self.before]
        if not split:
            return "\n".join([*head, *cls, *body]) + "\n", {}
        names = f"from engine import {self.name}"
        extra = [
            f"from engine import {name}"
            for name in ("LOG", "count", "tick", "CALLS", "COUNT", "Mixin", "config", "Settings", "UFUNCS")
            if any(name in one for one in self.before)
        ]
        extra = [one for one in extra if not one.endswith("count")]
        body = [line.replace("print(count)", "import engine; print(engine.count)") for line in body]
        body = [f"import engine; engine.{line}" if line.startswith("ENABLED =") else line for line in body]
        imports = ["import math", *(["import numpy as np"] if self.numpy else [])]
        return "\n".join([*imports, names, *extra, *body]) + "\n", {"engine": "\n".join([*head, *cls]) + "\n"}

    def show(self) -> list[str]:
        return [
            "def number(x):",
            "    if isinstance(x, float): return f'{type(x).__name__} {x:.9g}'",
            # of a set, the order of a sum shows in the last digits
            *(["    if 'float32' in str(type(x)): return f'float32 {x:.5g}'"] if self.container == "set" else []),
            "    return type(x).__name__ + ' ' + repr(x).partition(' at ')[0]",
            f"def show(n): return (type(n).__name__, number(n.{self.data}), number(n.{self.grad}), "
            + f"len(getattr(n, '{self.children}', '12345678'))"
            + (", n._op" if self.has_op else "")
            + f") if type(n) is {self.name} or hasattr(n, '{self.grad}') else repr(n).partition(' at ')[0]",
        ]

    def unary(self) -> list[str]:
        return [name for name in ("tanh", "exp", "relu", "sigmoid", "cube", "log", "sqrt") if name in self.methods]

    def graph(self) -> list[str]:
        source = self.source
        count = source.randint(2, 4)
        numbers: list[object] = [source.choice([0.5, -1.25, 2.0, 0.75, 3, -2, 1]) for _ in range(count)]
        others = ["2", "0.5", "-1"]
        if self.numpy:
            kinds = ("np.float64({})", "np.float64({})", "np.int64({:.0f})", "np.float32({})", "{}")
            numbers = [source.choice(kinds).format(x) for x in numbers]
            others += ["np.float64(0.75)", "np.int64(3)", "np.int64(-1)"]
            if self.container != "set":  # where the order of a sum would show in digits that are printed
                numbers = [source.choice((x, "np.float32(0.7)", "np.float32(-0.1)", "np.int64(3)")) for x in numbers]
                others += ["np.float32(0.3)", "np.float32(1.1)"]
        lines = [f"leaves = [{', '.join(f'{self.name}({x})' for x in numbers)}]", "def build():"]
        nodes = [f"leaves[{i}]" for i in range(count)]
        for i in range(source.randint(3, 12)):
            one, two = source.choice(nodes), source.choice([*nodes[-3:], *others])
            forms = ["{} + {}", "{} * {}", "{} * {} + {}", "{} - {}", *([".m"] if self.unary() else [])]
            forms += ["{} / 2.5", "{} / {}"] if "truediv" in self.methods else []
            form = source.choice(forms)
            reflected = ["{} + {}", "{} * {}", *(["{} - {}"] if "rsub" in self.methods else [])]
            reflected += ["{} / {}"] if "rtruediv" in self.methods else []
            if form == ".m":
                method = source.choice(self.unary())
                scaled = f"({one} * 0.125)" if method == "exp" else one
                text = f"{scaled}.{method}()"
            else:
                text = form.format(one, two, source.choice(nodes))
                if (two[0].isdigit() or two.startswith("np.")) and self.maybe(0.3) and form in reflected:
                    text = form.format(two, one)
            if "pow" in self.methods and self.maybe(0.1):
                text = f"({text} * 0.5) ** {source.choice([2, 3])}"
            lines.append(f"    n{i} = ({text}) * 0.5")
            nodes.append(f"n{i}")
        lines += [f"    return {nodes[-1]} + {source.choice(nodes)}", "try:", "    y = build(); y.backward()"]
        lines += [
            "except (ValueError, ArithmeticError, TypeError, AttributeError, RuntimeWarning) as error:",
        ]
        lines += [f"    print(type(error).__name__, str(error).partition(' at 0x')[0]); y = {self.name}(1.0)"]
        if self.container == "set":  # how far backward() came is chance
            lines += [f"    for p in leaves: p.{self.grad} = {self.zero}"]
        lines += ["print(show(y), [show(p) for p in leaves])"]
        return lines

    def walk(self) -> list[str]:
        kids = f"getattr(n, '{self.children}', ())" if self.leaf == "absent" else self.operands("n")
        return self.source.choice(
            [
                [
                    "def zero(root):",
                    "    seen, stack = set(), [root]",
                    "    while stack:",
                    "        n = stack.pop()",
                    "        if id(n) in seen: continue",
                    f"        seen.add(id(n)); n.{self.grad} = {self.zero}; stack.extend({kids})",
                    "    return len(seen)",
                    "for step in range(3):",
                    "    print(zero(y)); y.backward(); print([show(p) for p in leaves])",
                ],
                [
                    "def ids(n, found):",
                    "    if id(n) not in found:",
                    "        found.add(id(n))",
                    f"        for c in {kids}: ids(c, found)",
                    "    return found",
                    "print(len(ids(y, set())), len({*map(id, leaves)} & ids(y, set())))",
                ],
                [
                    "notes = []",
                    f"z = {self.name}(1.0)",
                    "for i in range(20):",
                    "    z = z * 0.5 + leaves[0]",
                    "    notes.append(id(z))",
                    f"def up(n): return {{id(n)}}.union(*map(up, {kids}))",
                    # where an operator has cut the chain, addresses are used again
                    "if len(up(z)) > 60: print(len(set(notes)), len(up(z) & set(notes)))",
                ],
                [
                    "def depth(n, memo):",
                    "    if n not in memo:",
                    f"        memo[n] = 1 + max([depth(c, memo) for c in {kids}], default=0)",
                    "    return memo[n]",
                    "print(depth(y, {}))",
                ],
            ]
        )

    def training(self) -> list[str]:
        return [
            "for step in range(3):",
            "    for p in leaves:",
            f"        p.{self.grad} = {self.zero}",
            "    y = build()",
            "    y.backward()",
            "    for p in leaves:",
            f"        p.{self.data} -= 0.015625 * p.{self.grad}",
            "print([show(p) for p in leaves])",
        ]

    def writes(self) -> list[str]:
        """Data written between operations and backward(), in graphs old and new."""
        source, lines = self.source, ["kept = [build()]"]
        for _ in range(source.randint(4, 16)):
            leaf = f"leaves[{source.randrange(2)}]"
            old = f"kept[{source.choice([0, -1, -1])}]"
            number = source.choice(["0.5", "-1.75", "3", "-0.0", "1e300", "True", f"{leaf}.{self.data} * 0.5"])
            if not self.unary() and self.maybe(0.1):  # a function whose data has become such a thing says so
                number = "2 ** 70"
            if self.numpy and self.maybe(0.3):
                number = source.choice(["np.float64(0.75)", "np.int64(-2)", "np.float32(0.5)"])
            inner = (
                leaf if "set" in self.container else f"{self.operands(old)}[0]"
            )  # which one a set has first is chance
            lines += source.choice(
                [
                    [f"{leaf}.{self.data} = {number}"],
                    [f"{leaf}.{self.data} = {number}"],
                    [f"for p in leaves: p.{self.data} -= 0.125 * p.{self.grad}"],
                    [f"{old}.{self.data} = {number}"],
                    [f"{inner}.{self.data} = {number}"],
                    ["kept.append(build())"],
                    [f"kept.append({old} * {leaf} + {old} * 0.5)"],
                    [f"kept.append({old} * {inner})"],
                    ["kept = kept[-1:]"],
                    [f"del leaves[-1]; leaves.append({self.name}({number}))"],
                    [f"{old}.backward()", "print([show(p) for p in leaves], show(kept[0]))"],
                    [f"{old}.backward()", "print([show(p) for p in leaves], show(kept[0]))"],
                    *([[f"print([number(x) for x in {old}._locals])"]] if self.style == "locals" else []),
                    *([[f"print([number(x) for _, x in {old}.{self.children}])"]] if self.style == "pairs" else []),
                ]
            )
        lines += [f"{old}.backward()" for old in ("kept[0]", "kept[-1]")]
        return ["try:", *(f"    {line}" for line in lines), "except Exception as error: print(type(error).__name__)"]

    def disturbance(self) -> list[str]:
        name = self.name
        unary = self.source.choice([*self.unary(), "tanh"])
        again = [
            "try:",
            "    y = build(); y.backward(); print(show(y))",
            "except Exception as error: print(type(error).__name__)",
        ]
        changes = [
            [f"math.{unary if unary != 'relu' else 'tanh'} = lambda x: 0.375"],
            ["setattr(math, 'tanh', lambda x: 0.375)"],
            ["m = math", "m.exp = lambda x: 1.5"],
            ["max = lambda a, b: 3.0"],
            ["def isinstance(a, b): return hasattr(a, 'nothing')"],
            ["import builtins", "builtins.max = lambda a, b: 3.0"],
            [
                "class M: tanh, exp = staticmethod(lambda x: 1.0), staticmethod(lambda x: 2.0)",
                "globals()['math'] = M",
            ],
            ["exec('reversed = list')"],
            [f"old = {name}.__add__", f"{name}.__add__ = lambda a, b: old(a, b) * 2", *again, f"{name}.__add__ = old"],
            [f"{name}.{unary} = lambda self: self * 3"],
            [
                "def patched(self): return self * self",
                f"{name}.{unary} = patched",
                f"print({name}.{unary} is patched)",
            ],
            [
                "calls = []",
                "def traced(k, f):",
                "    def w(*a):",
                "        calls.append(k)",
                "        return f(*a)",
                "    return w",
                f"for k, f in list(vars({name}).items()):",
                "    if type(f).__name__ == 'function' and k not in ('__init__', '__repr__'):",
                f"        setattr({name}, k, traced(k, f))",
                *again,
                "print(sorted(set(calls)), len(calls) > 3)",
            ],
            [f"del y.{self.grad}", f"print(hasattr(y, '{self.grad}'))", f"y.{self.grad} = 1.0"],
            [f"e = {name}.__new__({name})", f"print(hasattr(e, '{self.data}'))"],
            [
                f"class W({name}):",
                "    def __add__(self, o): return 'W'",
                "w = W(1.0)",
                "print(w + 1, type(w * 2).__name__)",
            ],
            [
                f"class W({name}): pass",
                f"w = {name}(1.0)",
                "try: w.__class__ = W",
                "except TypeError as e: print(e)",
                "print(type(w).__name__)",
            ],
            [f"print([k for k in vars({name}) if not k.startswith('__')])"],
            [
                f"{name}.double = lambda self: self * 2",
                f"print(show({name}(1.5).double()), hasattr({name}, '{self.grad}'))",
            ],
            ["y.note = [y]", "print(y.note[0] is y)"],
            [f"y.{self.data} = 7", "print(show(y + 1))"],
            [f"leaves[0].{self.grad} = None", f"print(leaves[0].{self.grad})", f"leaves[0].{self.grad} = {self.zero}"],
            ["import copy", "z = copy.deepcopy(y)", "z.backward()", "print(show(z), show(y))"],
            ["import weakref, gc", "r = weakref.ref(y)", "print(r() is y)"],
        ]
        if self.slots:
            changes = [change for change in changes if "note" not in change[0] and "weakref" not in change[0]]
        return [*self.source.choice(changes), *again]


if __name__ == "__main__":
    _serve_requests()
