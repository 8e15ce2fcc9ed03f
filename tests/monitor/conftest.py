"""Searches of every kind, as fixtures."""

from kit.searches import any_search, filled, made, odd

__all__ = ["any_search", "filled", "made", "odd"]
