"""State dictionaries and files."""

from __future__ import annotations

import pathlib
import random
import struct

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


@pytest.mark.parametrize("settings", [("Adam", {}), ("SGD", {"momentum": 0.9}), ("RMSprop", {"centered": True})])
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
