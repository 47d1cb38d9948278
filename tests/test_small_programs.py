"""Small programs as scientists write them, each with its outcome: compiled it runs, or is refused with words.

``small_programs/*.txt`` has a name for each, and behind an arrow the words of the refusal. What runs gives what plain
NumPy gives at two points; its Jacobian is that of central differences.
"""

from __future__ import annotations

import bisect
import cmath
import collections
import copy
import dataclasses
import decimal
import fractions
import functools
import heapq
import itertools
import math
import operator
import re
import statistics
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy
import scipy.fft
import scipy.integrate
import scipy.interpolate
import scipy.linalg
import scipy.ndimage
import scipy.optimize
import scipy.signal
import scipy.sparse
import scipy.spatial
import scipy.special
import scipy.stats

import kilograd

MODULES = [np, math, scipy, cmath, collections, copy, dataclasses, decimal, fractions, functools, heapq, itertools]
MODULES += [bisect, operator, statistics]
NAMES = {**{module.__name__: module for module in MODULES}, "np": np}
DATA = {
    "X": np.round(np.random.default_rng(1).normal(size=(6, 4)), 2),
    "DATA": np.array([0.3, -0.8, 1.7, 0.9, 2.2, -0.4, 0.6]),
    "COUNTS": np.array([0.0, 2.0, 1.0, 3.0, 0.0, 1.0]),
    "SIGNS": np.array([1.0, -1.0, 1.0, 1.0, -1.0, -1.0]),
    "LABELS": np.array([0, 2, 1, 1]),
}
POINT = np.array([0.61, 1.37, 2.29, 0.93])
ELSEWHERE = POINT * [1.01, 0.98, 1.02, 1.03]


def read():
    for path in sorted((Path(__file__).parent / "small_programs").glob("*.txt")):
        for head, body in re.findall(r"^(\S.*)\n((?:    .*\n)+)", path.read_text(), re.MULTILINE):
            name, _, refusal = head.partition(" -> ")
            yield pytest.param(body, refusal, id=f"{path.stem}: {name}")


def made(body):
    space = {**NAMES, **DATA}
    exec("def f(x):\n" + textwrap.indent(textwrap.dedent(body), "    "), space)
    return space["f"]


def jacobian(f, x, h=2e-3):
    columns = []
    for e in h * np.eye(x.size):
        a, b, c = (np.asarray(f(x + k * e)) - np.asarray(f(x - k * e)) for k in (1, 2, 3))
        columns.append((45 * a - 9 * b + c) / (60 * h))
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize(("body", "refusal"), list(read()))
def test_a_small_program(body, refusal):
    f = made(body)
    compiled = kilograd.compile(f)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = f(POINT.copy())
        except AttributeError as error:  # of a name that only newer versions of a library have
            pytest.skip(str(error))
        if refusal:
            with pytest.raises((TypeError, IndexError), match=re.escape(refusal)):
                compiled(POINT.copy())
            return
        np.testing.assert_allclose(compiled(POINT.copy()), expected, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(compiled(ELSEWHERE.copy()), f(ELSEWHERE.copy()), rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(compiled.jacobian(POINT), jacobian(f, POINT), rtol=3e-7, atol=3e-7)
