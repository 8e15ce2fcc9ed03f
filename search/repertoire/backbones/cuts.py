"""Cuts: where a network is split into a frozen part and one that trains, as found in its graph."""

import math
from typing import Any

from search.repertoire.backbones.graph import Call, Graph, graph_of, weights_of

SIDE = 224  # px of the images for which maps are compared, where a network takes any
HALVED = 0.5  # a map is halved where its area falls to this or less (a quarter, as a rule)
STEM = 1  # so many convolutions are no block of their own
TOKENS = 3  # the rank of batches of tokens
MOST = 4  # blocks of an encoder of tokens
KERNELS = 1  # the index of their number


# DECISIONS: Cuts are found in the graph
def found_cuts(model: Any) -> tuple[str, ...]:
    """Return the operations after which the blocks of a network end, from the input to the output.

    Of the places (``Graph.places``) between two halvings of the map the last one counts, apart from those where
    channels are widened for a while. Among it and its neighbours without weights, such as the pooling that halves, the
    smallest map is taken, and the last of these, as it has to be stored. Raises ValueError as ``graph_of`` does.
    """
    graph = graph_of(model, SIDE)
    order = [place for place in graph.places if len(place.outputs[0].shape) == len(graph.output.shape)]
    weights = _weights_below(graph)
    widths = [place.outputs[0].shape[-1] for place in order] + [graph.output.shape[-1]]
    steady = [place for number, place in enumerate(order) if widths[number] <= min(widths[number + 1 :])]
    cuts = [
        min(
            (place for place in reversed(order) if weights[place.name] == weights[end.name]),
            key=lambda place: math.prod(place.outputs[0].shape[1:]),
        )
        for end in _ends(steady, graph)
    ]
    whole = weights[graph.calls[-1].name]
    return tuple(cut.name for cut in cuts if weights[cut.name] != whole and weights[cut.name][KERNELS] > STEM)


def token_cuts(model: Any) -> tuple[str, ...]:
    """Return the blocks of an encoder of tokens (n, t, c) after which it is cut, at even steps; none for others.

    Its maps are all of one size, so they tell nothing. What embeds the patches belongs to the first block.
    """
    graph = graph_of(model)
    tokens = [place for place in graph.places if len(place.outputs[0].shape) == TOKENS]
    blocks = [place.name for place in tokens if any(len(weight.shape) > 1 for weight in weights_of(place))][1:]
    parts = min(MOST, len(blocks))
    cuts = tuple(blocks[len(blocks) * part // parts - 1] for part in range(1, parts))
    return cuts if all(_is_as_declared(graph, cut) for cut in cuts[:1]) else ()


def _is_as_declared(graph: Graph, cut: str) -> bool:
    """Return whether a layer gives the number of tokens that it declares: SigLIP's of KerasHub 0.32 do not."""
    from search.system.tf import keras

    tensor = graph.tensors[cut]
    below = keras.Model(graph.input, tensor)(keras.ops.zeros((1, *graph.input.shape[1:])), training=False)
    return tuple(below.shape[1:]) == tuple(tensor.shape[1:])


def _ends(places: list[Call], graph: Graph) -> list[Call]:
    """Return the last place of each size of maps, but for the smallest."""
    areas = [math.prod(tensor.shape[1:-1]) for tensor in (*(place.outputs[0] for place in places), graph.output)]
    ends, area = [], areas[0]
    for place, after in zip(places, areas[1:], strict=True):
        if after <= HALVED * area:
            ends.append(place)
            area = after
    return ends


def _weights_below(graph: Graph) -> dict[str, tuple[int, int]]:
    """Return how many weights, and how many kernels, are used up to each operation, by its name."""
    kinds: dict[int, bool] = {}
    below = {}
    for call in graph.calls:
        kinds |= {id(weight): len(weight.shape) > 1 for weight in weights_of(call)}
        below[call.name] = (len(kinds), sum(kinds.values()))
    return below
