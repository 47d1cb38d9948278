"""A chain of ten million operations: no path of the engine recurses, and memory stays within 1.5 GB."""

from __future__ import annotations

PEAK = """
import resource
from kilograd import Value, live_nodes, reserved_bytes

x = leaf = Value(1.0)
for _ in range(5_000_000):
    x = x * 1.0 + 0.5
assert live_nodes() == 20_000_001
x.backward()
assert leaf.grad == 1.0
assert repr(x) == "Value(data=2500001.0)"
assert f"{x:.1f}" == "2500001.0"
x.zero_grad()
assert leaf.grad == 0.0
del x
assert live_nodes() == 1
assert reserved_bytes() < 8 << 20
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

PICKLE = """
import pickle
from kilograd import Value, live_nodes

length = 10_000_000
x = Value(1.0)
for _ in range(length):
    x = x.sin()
expected = x.data
data = pickle.dumps(x, 5)
del x
assert live_nodes() == 0
x = pickle.loads(data)
del data
assert x.data == expected
assert live_nodes() == length + 1
x.backward()
node = x
for _ in range(5):
    node = node._children[0]
assert node.grad != 0.0
del node
del x
assert live_nodes() == 0
"""

CUSTOM = """
import gc
from kilograd import Value, live_nodes

gc.disable()
x = leaf = Value(1.0)
for _ in range(300_000):
    out = Value(x.data, (x,), "identity")

    def rule(x=x, out=out):
        x.grad += out.grad

    out._backward = rule
    x = out
x.backward()
assert leaf.grad == 1.0
del x, out, rule
gc.collect()
assert live_nodes() == 1, live_nodes()
"""


def test_build_backward_print_zero_free(run_python):
    # 20 million nodes of 56 bytes are 1.07 GiB: ten million operations, and a leaf for the number beside each.
    kibibytes = int(run_python(PEAK))
    assert kibibytes * 1024 < 1.5e9


def test_pickle(run_python):
    run_python(PICKLE)


def test_custom_rules(run_python):
    run_python(CUSTOM)
