"""The micrograd dialect: the module names, class names and defaults of the micrograd package, on kilograd's engine.

Write ``from kilograd.micrograd.engine import Value`` and ``from kilograd.micrograd.nn import MLP``, or leave a
program's imports as they are and call `kilograd.install_as_micrograd` before them.
"""
