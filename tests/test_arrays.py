"""`kilograd.arrays.data` and `kilograd.grad`: numbers out of arrays of Values."""

from __future__ import annotations

import numpy as np
import pytest

import kilograd
from kilograd import Value, arrays


def test_data_and_grad_of_an_object_array():
    w = np.array([[Value(1.5), Value(-2)], [Value(0.25), Value(3.0)]])
    x = np.array([Value(2.0), Value(-1.0)])
    np.sum(np.tanh(w @ x)).backward()
    assert kilograd.arrays.data(w).tolist() == [[1.5, -2.0], [0.25, 3.0]]
    slopes = 1 - np.tanh(kilograd.arrays.data(w) @ kilograd.arrays.data(x)) ** 2
    np.testing.assert_allclose(kilograd.arrays.gradients(w), np.outer(slopes, kilograd.arrays.data(x)), rtol=1e-14)
    assert kilograd.arrays.gradients(x).dtype == np.float64


@pytest.mark.parametrize("function", [kilograd.arrays.data, kilograd.arrays.gradients])
def test_shapes(function):
    for shape in ((), (0,), (3,), (2, 0, 3), (2, 1, 3)):
        array = np.empty(shape, dtype=object)
        array[...] = Value(2.0)
        assert function(array).shape == shape
    assert function([[Value(1.0), Value(2.0)]]).shape == (1, 2)
    assert function(Value(1.0)).shape == ()


def test_numbers_have_data_and_no_gradient():
    assert kilograd.arrays.data([1, 2.5, np.float32(0.5), True, Value(3)]).tolist() == [1.0, 2.5, 0.5, 1.0, 3.0]
    with pytest.raises(TypeError, match="1 is no Value but int"):
        kilograd.arrays.gradients([Value(1.0), 2])
    with pytest.raises(TypeError, match="not str"):
        kilograd.arrays.data(["x"])


def test_the_result_is_a_copy():
    v = Value(1.0)
    array = kilograd.arrays.data([v])
    array[0] = 7.0
    assert v.data == 1.0


def test_astype_float_names_the_remedy():
    with pytest.raises(TypeError, match=r"kilograd\.arrays\.data\(array\)"):
        np.array([Value(1.0)]).astype(float)


def test_gradients_are_assigned():
    w = [[Value(1.0), Value(2.0)], [Value(3.0), Value(4.0)]]
    arrays.assign_gradients(w, [[1, 2], [3, 4]])
    assert arrays.gradients(w).tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert arrays.data(w).tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert repr(w[0][0].grad) == "1.0"
    with pytest.raises(ValueError, match=r"shape \(2, 2\) are to be set from an array of the shape \(4,\)"):
        arrays.assign_gradients(w, [1, 2, 3, 4])
    with pytest.raises(TypeError, match="no Value"):
        arrays.assign_gradients([1.0], [1.0])
