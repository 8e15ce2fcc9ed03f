"""Searches of every kind, as fixtures."""

from kit.searches import filled, made

__all__ = ["filled", "made"]
