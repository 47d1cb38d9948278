"""The micrograd dialect: the module names, class names and defaults of the micrograd package, on kilograd's engine.

Write ``from kilograd.micrograd.engine import Value`` and ``from kilograd.micrograd.nn import MLP``, or leave a
program's imports as they are and call `install_as_micrograd` before them.
"""

from __future__ import annotations

import sys
import warnings

__all__ = ["install_as_micrograd"]


def install_as_micrograd() -> None:
    """Let ``import micrograd``, ``micrograd.engine`` and ``micrograd.nn`` give kilograd's modules from here on.

    Works whether or not the micrograd package is installed, and for this process only. Names that were imported from
    that package before keep what they got, which is worth a `RuntimeWarning`.
    """
    from kilograd import micrograd
    from kilograd.micrograd import engine, nn

    served = {"micrograd": micrograd, "micrograd.engine": engine, "micrograd.nn": nn}
    if any(name in sys.modules and sys.modules[name] is not module for name, module in served.items()):
        warnings.warn(
            "micrograd was imported before install_as_micrograd(); what was taken from it is not replaced: "
            "call install_as_micrograd() first",
            RuntimeWarning,
            stacklevel=2,
        )
    sys.modules.update(served)
