"""The class is in a package beside the script; command line, standard input, exit status and a traceback."""

import random
import sys

from package import *
from package import Linear

random.seed(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
print(__name__, sys.argv[1:], sys.path[0] == __file__.rpartition("/")[0], random.getstate()[1][:3])
model = Linear(2)
for step in range(10):
    loss = sum((model([x, 1.0 - x]) - 2 * x) ** 2 for x in (0.1, 0.5, 0.9))
    for p in model.parameters():
        p.grad = 0
    loss.backward()
    for p in model.parameters():
        p.data -= 0.1 * p.grad
    print(step, f"{loss.data:.10f}", model.b)
print(sys.stdin.read(), Value.__module__)
try:
    Value(0) ** -1
except ZeroDivisionError as error:
    traceback = error.__traceback__.tb_next
    print(traceback.tb_frame.f_code.co_name, traceback.tb_lineno, traceback.tb_frame.f_code.co_filename[-17:])
if len(sys.argv) > 1:
    sys.exit(int(sys.argv[1]))
