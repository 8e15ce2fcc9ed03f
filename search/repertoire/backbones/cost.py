"""What one forward pass of a network costs, as counted in its graph."""

import math
from typing import Any

from search.repertoire.backbones.cuts import SIDE
from search.repertoire.backbones.graph import Call, graph_of, weights_of

# DECISIONS: Multiply-adds of depthwise convolutions are charged ten times
DEPTHWISE = 10  # times what one of a dense convolution costs, on CPUs
GROUPED = 150  # where it is a convolution with groups, as in ConvNeXt


def mega_macs_of(model: Any) -> float:
    """Return the cost of one forward pass at 224 px, in millions of multiply-adds of dense convolutions."""
    total = sum(_multiply_adds(call) for call in graph_of(model, SIDE).calls)
    side = model.input.shape[1] or SIDE
    return float(f"{total * (SIDE / side) ** 2 / 1e6:.3g}")


def _multiply_adds(call: Call) -> float:
    """Return those of one call: each number of a kernel is used once at each place of the map that comes out."""
    positions = math.prod(length or 1 for length in call.outputs[0].shape[1:-1])  # None where only running tells
    return sum(
        positions * math.prod(weight.shape) * _price(call.operation, weight)
        for weight in weights_of(call)
        if len(weight.shape) > 1
    )


def _price(operation: Any, kernel: Any) -> int:
    if getattr(operation, "groups", 1) > 1:
        return GROUPED
    return DEPTHWISE if "Depthwise" in type(operation).__name__ or "depthwise" in kernel.name else 1
