"""Gradient checks: what `backward()` gives against what nudging gives, and which rule is at fault."""

from __future__ import annotations

from kilograd.gradcheck.checking import check
from kilograd.gradcheck.report import Finding, Report

__all__ = ["Finding", "Report", "check"]
