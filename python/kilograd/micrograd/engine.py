"""micrograd's `Value`: prints its gradient, and keeps gradients integers where Python's arithmetic would."""

from typing import TYPE_CHECKING

__all__ = ["Value"]

if TYPE_CHECKING:
    from kilograd._core import Value
else:
    from kilograd._core import new_family

    Value = new_family("Value", int_grads=True, shows_grad=True, module=__name__)
