"""The class, and then a node, tell NumPy to leave operators to them: the scalar itself becomes data."""

import numpy as np
from package.engine import Value

v = Value(2.0)
print(type((np.int64(3) * v).data).__name__, hasattr(v, "__array_priority__"))
Value.__array_priority__ = 10
print(type((np.int64(3) * v).data).__name__, hasattr(v, "__array_priority__"))
del Value.__array_priority__
print(type((np.int64(3) * v).data).__name__)
v.__array_priority__ = 10
print(type((np.int64(3) * v).data).__name__)
