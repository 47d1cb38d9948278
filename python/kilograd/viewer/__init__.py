"""Graphs alive: a page that steps through forward and backward, asks for gradients, and shows trainings.

`view` reads a graph (`reading`, `groups`) and makes one HTML file of it (`document`), whose own code in ``page/`` does
the rest.
"""

from __future__ import annotations

from kilograd.viewer.view import View, view

__all__ = ["View", "view"]
