"""micrograd's `Value`: prints its gradient, and keeps gradients integers where Python's arithmetic would."""

from kilograd._core import new_family

__all__ = ["Value"]

Value = new_family("Value", int_grads=True, shows_grad=True)
Value.__module__ = __name__
