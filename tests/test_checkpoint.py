"""State dictionaries and files."""

from __future__ import annotations

import io
import pathlib
import random
import struct
import tracemalloc
import zipfile
from collections.abc import Callable

import numpy as np
import pytest

import kilograd
from kilograd import MLP, Module, Value, optim
from kilograd.micrograd import nn as micrograd_nn

X = np.random.default_rng(0).normal(size=(20, 2))
Y = np.sign(X[:, 0])


def make(seed=1):
    random.seed(seed)
    model = MLP(2, [4, 1])
    return model, optim.Adam(model, lr=0.05)


def data(model):
    return [p.data for p in model.parameters()]


def test_names_and_shapes():
    state = make()[0].state_dict()
    assert {name: array.shape for name, array in state.items()} == {
        **{f"layers.0.neurons.{i}.w": (2,) for i in range(4)},
        **{f"layers.0.neurons.{i}.b": () for i in range(4)},
        "layers.1.neurons.0.w": (4,),
        "layers.1.neurons.0.b": (),
    }


def test_back_again():
    one, two = make()[0], make(seed=2)[0]
    assert data(one) != data(two)
    two.load_state_dict(one.state_dict())
    assert data(one) == data(two)


class Embedding(Module):
    """A model of one's own: a matrix, a part, something untrained, and one under two names."""

    def __init__(self):
        self.table = [[Value(1.0), Value(2.0)], [Value(3.0), Value(4.0)]]
        self.head = {"scale": Value(0.5)}
        self.fixed = Value(7.0)
        self.same = self.table[0]
        self._hidden = None

    def parameters(self):
        return [v for row in self.table for v in row] + [self.head["scale"]]


def test_models_of_ones_own():
    model = Embedding()
    state = model.state_dict()
    assert {name: array.tolist() for name, array in state.items()} == {
        "table": [[1.0, 2.0], [3.0, 4.0]],
        "head.scale": 0.5,
    }
    model.load_state_dict({"table": [[0.0, 0.0], [0.0, 9.0]], "head.scale": 1.0})
    assert model.same[1].data == 0.0
    assert model.fixed.data == 7.0


def test_parameters_that_no_attribute_holds():
    class Hidden(Module):
        def parameters(self):
            return values

    values = [Value(1.0), Value(2.0)]
    state = Hidden().state_dict()
    assert state["parameters"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.pop("layers.0.neurons.0.w"),
        lambda state: state.update(extra=np.zeros(1)),
        lambda state: state.update({"layers.0.neurons.0.w": np.zeros(3)}),
        lambda state: state.update({"layers.1.neurons.0.b": np.array("x")}),
    ],
)
def test_another_models_state_changes_nothing(change):
    model = make()[0]
    state = make(seed=2)[0].state_dict()
    change(state)
    before = data(model)
    with pytest.raises(ValueError, match=r"missing|shape"):
        model.load_state_dict(state)
    assert data(model) == before


@pytest.mark.parametrize(
    "settings", [("Adam", {}), ("SGD", {"momentum": 0.9}), ("RMSprop", {"centered": True}), ("Adagrad", {})]
)
def test_training_goes_on_to_the_last_bit(tmp_path, settings):
    name, options = settings
    path = tmp_path / "model.npz"
    model, _ = make()
    optimizer = getattr(optim, name)(model, lr=0.01, **options)
    kilograd.fit(model, X, Y, optimizer=optimizer, epochs=3, batch_size=6, seed=4)
    kilograd.save(path, model, optimizer)
    on = kilograd.fit(model, X, Y, optimizer=optimizer, epochs=3, batch_size=6, seed=4, first_epoch=3)
    other, _ = make(seed=9)
    again = getattr(optim, name)(other, lr=1.0, **options)
    kilograd.load(path, other, again)
    assert kilograd.fit(other, X, Y, optimizer=again, epochs=3, batch_size=6, seed=4, first_epoch=3).steps == on.steps
    assert data(model) == data(other)


def test_the_file_needs_no_pickle_and_stands_alone(tmp_path):
    model, adam = make()
    path = tmp_path / "any name"
    kilograd.save(path, model, adam)
    assert [p.name for p in tmp_path.iterdir()] == ["any name"]
    (tmp_path / "ordinary").touch()
    assert path.stat().st_mode == (tmp_path / "ordinary").stat().st_mode
    with np.load(path, allow_pickle=False) as archive:
        assert archive["model/layers.1.neurons.0.w"].shape == (4,)
        assert all(archive[name].dtype != object for name in archive.files)
    kilograd.load(path, micrograd_nn.MLP(2, [4, 1]))


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    model, _ = make()
    path = tmp_path / "m.npz"
    kilograd.save(path, model)
    kept = path.read_bytes()

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="disk full"):
        kilograd.save(path, model)
    assert path.read_bytes() == kept
    assert list(tmp_path.iterdir()) == [path]


def damage(path: pathlib.Path, weight: float) -> dict[str, bytes]:
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[whole.index(struct.pack("<d", weight))] ^= 1
    return {"truncated": whole[:-40], "half": whole[: len(whole) // 2], "empty": b"", "text": b"hello", "flip": flipped}


@pytest.mark.parametrize("how", ["truncated", "half", "empty", "text", "flip", "foreign", "pickle"])
def test_a_damaged_or_foreign_file_changes_nothing(tmp_path, how):
    model, adam = make()
    path = tmp_path / "m.npz"
    if how == "foreign":
        np.savez(path, a=np.zeros(3))
    elif how == "pickle":
        np.savez(path, format=np.array([{}], dtype=object))
    else:
        saved = make(seed=2)[0]
        kilograd.save(path, saved, adam)
        path.write_bytes(damage(path, saved.parameters()[0].data)[how])
    before = data(model)
    with pytest.raises(ValueError, match="checkpoint"):
        kilograd.load(path, model, adam)
    assert data(model) == before


def test_what_does_not_fit_changes_nothing(tmp_path):
    model, adam = make()
    path = tmp_path / "m.npz"
    kilograd.save(path, make(seed=2)[0], optim.SGD([Value(1.0)]))
    before = data(model)
    with pytest.raises(ValueError, match="SGD"):
        kilograd.load(path, model, adam)
    kilograd.save(path, make(seed=2)[0])
    with pytest.raises(ValueError, match="without an optimizer"):
        kilograd.load(path, model, adam)
    with pytest.raises(ValueError, match="another model"):
        kilograd.load(path, MLP(2, [3, 1]))
    with pytest.raises(FileNotFoundError):
        kilograd.load(tmp_path / "none", model)
    assert data(model) == before


def entry(array, header: Callable[[bytes], bytes] = lambda header: header) -> bytes:
    """An array as an ``.npy`` file, its header changed."""
    file = io.BytesIO()
    np.save(file, array)
    whole = file.getvalue()
    start = 10 + int.from_bytes(whole[8:10], "little")
    changed = header(whole[10:start])
    return whole[:8] + len(changed).to_bytes(2, "little") + changed + whole[start:]


def archive(path: pathlib.Path, entries: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", how) as file:
        for name, content in entries.items():
            file.writestr(name, content)


def change_directory(path: pathlib.Path, offset: int, value: int, size: int, number: int = -1) -> None:
    """Overwrite a field of one of the entries of a zip file's directory."""
    whole = bytearray(path.read_bytes())
    starts = [k for k in range(len(whole)) if whole[k : k + 4] == b"PK\x01\x02"]
    whole[starts[number] + offset : starts[number] + offset + size] = value.to_bytes(size, "little")
    path.write_bytes(whole)


LAST = "model/layers.1.neurons.0.w.npy"
HOSTILE: dict[str, Callable[[dict[str, bytes]], object]] = {
    "unknown": lambda e: e.update({"junk.npy": entry(np.zeros(3))}),
    "unknown below": lambda e: e.update({"model/junk.npy": entry(np.zeros(3))}),
    "unknown of the optimizer": lambda e: e.update({"optimizer/junk.npy": entry(np.zeros(3))}),
    "no array": lambda e: e.update({"model/layers.1.neurons.0.w": e[LAST]}),
    "missing": lambda e: e.pop(LAST),
    "complex": lambda e: e.update({LAST: entry(np.zeros(4, complex))}),
    "complex of the optimizer": lambda e: e.update({"optimizer/mean.npy": entry(np.zeros(17, complex))}),
    "objects": lambda e: e.update({LAST: entry(np.zeros(4), lambda h: h.replace(b"<f8", b"|O8"))}),
    "text": lambda e: e.update({LAST: entry(np.array(list("abcd")))}),
    "a record": lambda e: e.update({LAST: entry(np.zeros(4, [("a", float)]))}),
    "a date": lambda e: e.update({LAST: entry(np.zeros(4, "M8[s]"))}),
    "another shape": lambda e: e.update({LAST: entry(np.zeros((2, 2)))}),
    "a negative shape": lambda e: e.update({LAST: entry(np.zeros(4), lambda h: h.replace(b"(4,)", b"(-4,)"))}),
    "a huge shape": lambda e: e.update({LAST: entry(np.zeros(4), lambda h: h.replace(b"(4,)", b"(4444444444,)"))}),
    "too long": lambda e: e.update({LAST: e[LAST] + bytes(8)}),
    "too short": lambda e: e.update({LAST: e[LAST][:-8]}),
    "no header": lambda e: e.update({LAST: b"hello"}),
    "another version": lambda e: e.update({LAST: e[LAST][:6] + b"\x02" + e[LAST][7:]}),
    "an endless header": lambda e: e.update({LAST: entry(np.zeros(4), lambda h: h[:-1] + b" " * 5000 + h[-1:])}),
    "a nested header": lambda e: e.update({LAST: entry(np.zeros(4), lambda h: b"(" * 900)}),
    "an unfinished header": lambda e: e.update({LAST: entry(np.zeros(4), lambda h: h[:20])}),
    "a header that is no dict": lambda e: e.update({LAST: entry(np.zeros(4), lambda h: b"3")}),
    "a format of numbers": lambda e: e.update({"format.npy": entry(np.zeros(()))}),
    "a long format": lambda e: e.update({"format.npy": entry(np.array("x" * 1000))}),
    "negative steps": lambda e: e.update({"optimizer/steps.npy": entry(np.array(-1))}),
    "steps that are no number": lambda e: e.update({"optimizer/steps.npy": entry(np.array(np.nan))}),
}


@pytest.mark.parametrize("how", [*HOSTILE, "encrypted", "bzip2", "overlapping", "before", "twice", "deflated"])
def test_a_hostile_file_changes_nothing(tmp_path: pathlib.Path, how: str):
    model, adam = make()
    path = tmp_path / "m.npz"
    saved, saved_adam = make(seed=2)
    kilograd.functional.sum(saved.parameters()).backward()
    saved_adam.step()
    kilograd.save(path, saved, saved_adam)
    with zipfile.ZipFile(path) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    if how in HOSTILE:
        HOSTILE[how](entries)
    archive(path, entries, {"bzip2": zipfile.ZIP_BZIP2, "deflated": zipfile.ZIP_DEFLATED}.get(how, zipfile.ZIP_STORED))
    if how == "encrypted":
        change_directory(path, 8, 1, 2)
    elif how == "overlapping":
        change_directory(path, 42, 10, 4)
    elif how == "before":
        change_directory(path, 42, 0xFFFFFF00, 4)
    elif how == "twice":
        with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
            file.writestr(LAST, entries[LAST])
    elif how == "deflated":  # as numpy.savez_compressed writes it
        kilograd.load(path, model, adam)
        assert data(model) == data(saved)
        assert adam.state_dict().keys() == saved_adam.state_dict().keys()
        return
    before, state = data(model), repr(adam.state_dict())
    with pytest.raises(ValueError, match=r"m\.npz.*checkpoint"):
        kilograd.load(path, model, adam)
    assert (data(model), repr(adam.state_dict())) == (before, state)


@pytest.mark.parametrize("name", ["junk.npy", "model/junk.npy", LAST, "optimizer/mean.npy", "format.npy"])
def test_nothing_is_inflated_beyond_what_the_model_has(tmp_path: pathlib.Path, name: str):
    model, adam = make()
    path = tmp_path / "m.npz"
    kilograd.save(path, model, adam)
    with zipfile.ZipFile(path) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    for content in (entry(np.zeros(2_500_000)), entry(np.zeros(4)) + bytes(20_000_000)):
        archive(path, {**entries, name: content}, zipfile.ZIP_DEFLATED)
        assert path.stat().st_size < 200_000
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match="checkpoint"):
                kilograd.load(path, model, adam)
            assert tracemalloc.get_traced_memory()[1] < 2_000_000
        finally:
            tracemalloc.stop()


def test_what_the_system_refuses_stays_what_it_is(tmp_path: pathlib.Path):
    with pytest.raises(OSError) as caught:  # noqa: PT011 (of a directory: not the same error everywhere)
        kilograd.load(tmp_path, make()[0])
    assert not isinstance(caught.value, ValueError)
