"""Statistics that do not flatter: numpy in, dataclasses out; nothing here knows a journal or a file."""

from search.analysis.stats.intervals import LEVEL, Interval, corrected_interval
from search.analysis.stats.scores import scores

__all__ = ["LEVEL", "Interval", "corrected_interval", "scores"]
