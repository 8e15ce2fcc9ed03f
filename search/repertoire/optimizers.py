"""Optimizers that a recipe can name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Optimizer:
    """One row of the table of optimizers."""

    name: str


OPTIMIZERS: dict[str, Optimizer] = {row.name: row for row in (Optimizer("adamw"),)}
