"""Who proposes trials: the hyperparameters that a space declares, and the oracles that choose among their values."""

from search.oracles.hyperparameters import (
    HyperParameters,
    at_values,
    points,
    random_points,
    register,
    sample_points,
    trials_of,
)
from search.oracles.table import ORACLES, BaseTuner, ask, retell, tell, tell_known

__all__ = [
    "ORACLES",
    "BaseTuner",
    "HyperParameters",
    "ask",
    "at_values",
    "points",
    "random_points",
    "register",
    "retell",
    "sample_points",
    "tell",
    "tell_known",
    "trials_of",
]
