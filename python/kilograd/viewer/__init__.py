"""Graphs alive: a page that steps through forward and backward, asks for gradients, and shows trainings.

`view` reads a graph (`reading`, `groups`) and makes one HTML file of it (`document`), whose own code in ``page/`` does
the rest.
"""

from __future__ import annotations

from kilograd.viewer.pages import View, view
from kilograd.viewer.sheets import Exercise, Sheet, exercises

__all__ = ["Exercise", "Sheet", "View", "exercises", "view"]
