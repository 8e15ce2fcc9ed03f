"""Where an exported model looked: Grad-CAM of its last maps, attention rollout over its tokens, or why there is none.

Grad-CAM: Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, ICCV 2017.
Attention rollout: Abnar & Zuidema, Quantifying Attention Flow in Transformers, ACL 2020.
"""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.analysis.stats.scores import SMALLEST_PROBABILITY
from search.repertoire.backbones.graph import Call, calls_of
from search.system.errors import UserError

GRAD_CAM, ROLLOUT = "Grad-CAM", "attention rollout"
PIXELS = 4  # channels that an image may have: maps have more
MOST_PREFIXES = 8  # tokens before those of the patches: of the class, of a teacher, registers


class UnshownError(UserError):
    """There is no map of where a model looked; its text is the reason, to stand after "cannot be shown: "."""


@dataclass(frozen=True)
class Site:
    """Maps that a network pools: the symbolic tensor (n, h, w, c), and the softmax that they lead to, None for none.

    They are ``mirrored`` where the network saw the mirror image.
    """

    maps: Any
    softmax: Call | None
    mirrored: bool


@dataclass(frozen=True)
class Explainer:
    """What makes maps of a model: its ``method``, and the network that gives what the method needs.

    ``network`` goes from pixels to the maps of each site, what goes into and comes out of its softmax, and the
    probabilities; ``attentions`` are the layers whose scores make a rollout.
    """

    method: str
    network: Any
    sites: tuple[Site, ...]
    attentions: tuple[Any, ...]
    side: int

    def maps(self, inputs: Sequence[np.ndarray], labels: np.ndarray) -> np.ndarray:
        """Return where the model looked for classes ``labels`` (n,), in [0, 1], of shape (n, side, side).

        ``inputs`` are the pixels (n, size, size, 3) at each size of the model. The highest value of an image is 1; all
        are 0 where nothing speaks for the class. A rollout is the same for every class, and its lowest value is 0.
        """
        maps = self._rollout(inputs) if self.method == ROLLOUT else self._grad_cam(inputs, labels)
        return _to_one(_resized(maps, self.side))

    def _grad_cam(self, inputs: Sequence[np.ndarray], labels: np.ndarray) -> np.ndarray:
        from search.system.tf import tf

        pixels = [tf.convert_to_tensor(each, tf.float32) for each in inputs]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(pixels)
            *values, probabilities = self.network(pixels)
            chosen = tf.gather(probabilities, labels, batch_dims=1)
            steps: dict[int, tuple[Any, Any, list[tuple[Any, bool]]]] = {}
            for at, site in enumerate(self.sites):
                before, after = values[3 * at + 1], values[3 * at + 2]
                key = id(site.softmax)
                steps.setdefault(key, (tf.gather(_scores(site.softmax, before), labels, batch_dims=1), after, []))
                steps[key][2].append((values[3 * at], site.mirrored))
        total = np.zeros((len(labels), self.side, self.side), np.float32)
        for score, after, maps in steps.values():
            own = sum(self._cam(tape.gradient(score, each), each, mirrored) for each, mirrored in maps)
            part = tape.gradient(chosen, after)  # of this softmax in the probability: of a member, of a view
            weight = tf.gather(part, labels, batch_dims=1).numpy()
            total += np.maximum(weight, 0)[:, None, None] * _to_one(np.maximum(own, 0))
        return total

    def _cam(self, slopes: Any, maps: Any, mirrored: bool) -> np.ndarray:
        """Return what the places of maps add to a score: slopes averaged over places, times the maps."""
        slopes, maps = np.asarray(slopes), np.asarray(maps)
        cam = np.einsum("nc,nhwc->nhw", slopes.mean(axis=(1, 2)), maps) * (maps.shape[1] * maps.shape[2])
        return _resized(cam[:, :, ::-1] if mirrored else cam, self.side)

    def _rollout(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        with _scores_kept(self.attentions) as scores:
            self.network(list(inputs), training=False)
        if len(scores) != len(self.attentions) or len({each.shape for each in scores}) != 1:
            raise UnshownError("its layers of attention do not all look at the same tokens, once each")
        if scores[0].ndim != 4 or scores[0].shape[0] != len(inputs[0]) or scores[0].shape[2] != scores[0].shape[3]:
            raise UnshownError("its attention is not over all tokens of an image")
        flow = rollout(np.stack(scores))
        return flow - flow.min(axis=(1, 2), keepdims=True)  # some of it comes from everywhere


def explainer(model: Any, side: int) -> Explainer:
    """Return what makes maps of an exported model, at ``side`` px. Raises UnshownError, with the reason, for none."""
    from search.system.tf import keras

    try:
        inputs, calls, output = calls_of(model)
    except (ValueError, TypeError, NotImplementedError) as error:
        raise UnshownError(f"its network is no graph of layers ({error})") from None
    _name_apart(calls)
    attentions = _attentions(calls)
    sites = _sites(calls, output)
    if attentions and any(not _leads_to_maps(calls, call) for call, _ in attentions):
        if sites or not _is_chain([call for call, _ in attentions], calls):
            raise UnshownError("it is a mean over several networks or views, and one of them at least looks at tokens")
        layers = tuple(layer for _, own in attentions for layer in own)
        return Explainer(ROLLOUT, keras.Model(inputs, output), (), layers, side)
    if not sites:
        raise UnshownError("its network has no maps of an image that it pools, and no layers of attention")
    if _passes_by(calls, inputs, output, sites):
        raise UnshownError(f"not all that it sees at {side} px goes through maps of several places that it pools")
    values = [
        value
        for site in sites
        for value in (
            site.maps,
            site.softmax.inputs[0] if site.softmax else output,
            site.softmax.outputs[0] if site.softmax else output,
        )
    ]
    return Explainer(GRAD_CAM, keras.Model(inputs, [*values, output]), sites, (), side)


def rollout(scores: np.ndarray) -> np.ndarray:
    """Return the flow of attention from patches to what is classified, (n, g, g).

    ``scores`` have shape (layers, n, heads, t, t). The heads of a layer are averaged, half of each token stays where it
    is (the residual connection), and the layers are multiplied. Tokens before those of g · g patches are no patches:
    the first of them is that of the class. Without one, the mean over patches is classified. Raises UnshownError where
    the patches form no square.
    """
    tokens = scores.shape[-1]
    grid = int(tokens**0.5)
    prefixes = tokens - grid * grid
    if grid < 2 or prefixes > MOST_PREFIXES:
        raise UnshownError("its tokens are not the patches of a square")
    flow = np.eye(tokens)
    for layer in scores.mean(axis=2):
        mixed = layer / 2 + np.eye(tokens) / 2
        flow = mixed / mixed.sum(axis=-1, keepdims=True) @ flow
    seen = flow[:, 0, prefixes:] if prefixes else flow.mean(axis=1)
    return np.asarray(seen.reshape(len(seen), grid, grid))


def _is_map(tensor: Any) -> bool:
    shape = tensor.shape
    return len(shape) == 4 and None not in shape[1:] and shape[1] * shape[2] > 1 and shape[3] > PIXELS


def _sites(calls: Sequence[Call], output: Any) -> tuple[Site, ...]:
    """Return the last maps of each way through a network: nothing after them is a map any more."""
    last = {id(tensor): tensor for call in calls for tensor in call.inputs if _is_map(tensor)}
    return tuple(
        Site(tensor, _softmax_after(calls, tensor, output.shape[-1]), _is_mirrored(calls, tensor))
        for tensor in last.values()
        if not any(_is_map(other) for call in _after(calls, tensor) for other in call.outputs)
    )


def _passes_by(calls: Sequence[Call], inputs: Sequence[Any], output: Any, sites: Sequence[Site]) -> bool:
    """Return whether a way from the inputs to the output leads past all of these maps: they then tell but a part."""
    reached = {id(tensor) for tensor in inputs}
    maps = {id(site.maps) for site in sites}
    for call in calls:
        if any(id(tensor) in reached - maps for tensor in call.inputs):
            reached |= {id(tensor) for tensor in call.outputs}
    return id(output) in reached


def _after(calls: Sequence[Call], tensor: Any) -> list[Call]:
    """Return the calls that a tensor goes into, and those after them."""
    reached, found = {id(tensor)}, []
    for call in calls:
        if any(id(each) in reached for each in call.inputs):
            reached |= {id(each) for each in call.outputs}
            found.append(call)
    return found


def _before(calls: Sequence[Call], tensor: Any) -> list[Call]:
    """Return the calls that a tensor comes from."""
    needed, found = {id(tensor)}, []
    for call in reversed(calls):
        if any(id(each) in needed for each in call.outputs):
            needed |= {id(each) for each in call.inputs}
            found.append(call)
    return found


def _softmax_after(calls: Sequence[Call], tensor: Any, classes: int) -> Call | None:
    """Return the first call after a tensor that makes probabilities of the classes by a softmax."""
    for call in _after(calls, tensor):
        if _is_softmax(call.operation) and tuple(call.outputs[0].shape[1:]) == (classes,) and len(call.inputs) == 1:
            return call
    return None


def _is_softmax(operation: Any) -> bool:
    activation = getattr(operation, "activation", None)
    return type(operation).__name__ == "Softmax" or getattr(activation, "__name__", "") == "softmax"


def _scores(softmax: Call | None, before: Any) -> Any:
    """Return the scores of the classes before the softmax; without one, logarithms of probabilities less their mean."""
    from search.system.tf import tf

    if softmax is None:
        logs = tf.math.log(tf.maximum(before, SMALLEST_PROBABILITY))
        return logs - tf.reduce_mean(logs, axis=-1, keepdims=True)
    layer = softmax.operation
    if not hasattr(layer, "kernel"):
        return before
    scores = tf.matmul(before, tf.convert_to_tensor(layer.kernel))
    return scores if layer.bias is None else scores + tf.convert_to_tensor(layer.bias)


def _is_mirrored(calls: Sequence[Call], tensor: Any) -> bool:
    return sum(type(call.operation).__name__ == "Flip" for call in _before(calls, tensor)) % 2 == 1


def _name_apart(calls: Sequence[Call]) -> None:
    """Give operations names of their own, which those of several networks in one may lack, as a model needs them."""
    names: dict[str, Any] = {}
    for call in calls:
        operation, name = call.operation, call.name
        while names.setdefault(operation.name, operation) is not operation:
            operation.name = f"{name}_{len(names)}"


def _attentions(calls: Sequence[Call]) -> list[tuple[Call, list[Any]]]:
    """Return the calls that attend, with their layers of attention."""
    found = [(call, _attention_layers(call.operation, set())) for call in calls]
    return [(call, layers) for call, layers in found if layers]


def _attention_layers(operation: Any, seen: set[int]) -> list[Any]:
    """Return the layers of attention in an operation, itself among them, in the order in which they were made."""
    from search.system.tf import keras

    if id(operation) in seen or not isinstance(operation, keras.layers.Layer):
        return []
    seen.add(id(operation))
    if isinstance(operation, keras.layers.MultiHeadAttention):
        return [operation]
    inner = [value for value in vars(operation).values() if isinstance(value, keras.layers.Layer | list | tuple)]
    layers = [each for value in inner for each in (value if isinstance(value, list | tuple) else [value])]
    return [found for layer in layers for found in _attention_layers(layer, seen)]


def _leads_to_maps(calls: Sequence[Call], call: Call) -> bool:
    return any(_is_map(other) for after in _after(calls, call.outputs[0]) for other in (*after.inputs, *after.outputs))


def _is_chain(attending: Sequence[Call], calls: Sequence[Call]) -> bool:
    """Return whether each of these calls comes from the one before it, and none is of a layer called before."""
    for one, other in itertools.pairwise(attending):
        if one not in _before(calls, other.inputs[0]):
            return False
    return len({id(call.operation) for call in attending}) == len(attending)


@contextlib.contextmanager
def _scores_kept(layers: Sequence[Any]) -> Iterator[list[np.ndarray]]:
    """Let layers of attention note their scores, (n, heads, t, t), in a list inside the block."""
    scores: list[np.ndarray] = []
    originals = [layer.call for layer in layers]

    def noting(original: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            outputs, own = original(*arguments, **{**options, "return_attention_scores": True})
            scores.append(np.asarray(own))
            return (outputs, own) if options.get("return_attention_scores") else outputs

        return call

    try:
        for layer, original in zip(layers, originals, strict=True):
            layer.call = noting(original)
        yield scores
    finally:
        for layer, original in zip(layers, originals, strict=True):
            layer.call = original


def _resized(maps: np.ndarray, side: int) -> np.ndarray:
    """Return maps (n, h, w) at another side, smoothly."""
    from search.system.tf import tf

    if maps.shape[1:] == (side, side):
        return maps
    return np.asarray(tf.image.resize(maps[..., None], (side, side)))[..., 0]


def _to_one(maps: np.ndarray) -> np.ndarray:
    """Return maps (n, h, w) of numbers that are not negative, divided by the highest of each image."""
    highest = maps.max(axis=(1, 2), keepdims=True)
    return np.asarray(maps / np.where(highest > 0, highest, 1), np.float32)
