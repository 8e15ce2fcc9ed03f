"""Networks that a space builds and compiles itself: what is needed of them, what is refused, and their fit.

Keras' own ``fit`` trains them. Pixels come as float32 from 0 to 255: such a network scales them by itself.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from search.repertoire.architecture import SIDES
from search.repertoire.networks import Architecture, NetworkRecipe
from search.system.digests import digest
from search.system.errors import UserError, with_kind
from search.system.heartbeat import beat
from search.system.tf import keras, silenced, tf
from search.training.activations import Pixels
from search.training.batches import one_hot
from search.training.inputs import AnyRows, Feed, Part
from search.training.loop import TrainingRun, pieces, watched_epochs

WHITE = 255.0
CLOSE = 1e-3  # of the sum of probabilities to 1
HERE = "The network that space(hp) gives"
UNNAMED = {"name", "seed", "registered_name"}  # keys of configurations that differ from one building to the next


@dataclass(frozen=True)
class OwnNetwork:
    """A compiled model with what is known of it.

    ``logits`` says whether it gives these, ``sparse`` whether its loss takes class numbers; otherwise its loss takes a
    row of classes for each image.
    """

    model: keras.Model
    image_size: int
    logits: bool
    sparse: bool

    @property
    def architecture(self) -> Architecture:
        """What a recipe says of it."""
        macs = sum(_multiply_adds(layer) for layer in _layers(self.model))
        return Architecture(_digest(self.model), self.model.count_params(), round(macs / 1e6, 3))

    def predict(self, pixels: np.ndarray) -> np.ndarray:
        """Return the probabilities (n, classes) of images, uint8."""
        return np.asarray(self._probabilities(tf.constant(pixels)), np.float32)

    @cached_property
    def _probabilities(self) -> Any:
        """The function from pixels to probabilities: one trace serves batches of any length."""
        side = self.image_size

        def probabilities(pixels: Any) -> Any:
            outputs = tf.cast(self.model(tf.cast(pixels, tf.float32), training=False), tf.float32)
            return tf.nn.softmax(outputs) if self.logits else outputs

        signature = [tf.TensorSpec([None, side, side, 3], tf.uint8)]
        return tf.function(probabilities, input_signature=signature).get_concrete_function()

    def plain(self) -> keras.Model:
        """Return it as a model from pixels of 0 to 255, (n, side, side, 3), to probabilities."""
        pixels = keras.Input((self.image_size, self.image_size, 3), name="pixels")
        outputs = self.model(pixels, training=False)
        return keras.Model(pixels, keras.layers.Softmax()(outputs) if self.logits else outputs, name="exported")


def own_network(model: keras.Model, classes: int, image_size: int) -> OwnNetwork:
    """Return what is known of a model for so many classes; it gets ``image_size`` px where it names no size.

    Raises UserError where it is not compiled, has no loss, or takes or gives something else than images and classes.
    """
    if not model.compiled:
        raise UserError(f"{HERE} is not compiled. Call model.compile(optimizer=…, loss=…) before you return it.")
    loss = _loss(model, classes)
    size, sparse = _image_size(model, image_size), "sparse" in _name(loss)
    outputs = _outputs(model, size, classes)
    given = np.asarray(keras.ops.convert_to_numpy(outputs), np.float32)
    are_probabilities = bool((given >= 0).all() and (np.abs(given.sum(axis=1) - 1) < CLOSE).all())
    takes_logits = _takes_logits(loss)
    if takes_logits and are_probabilities:
        raise UserError(
            f"{HERE} ends in probabilities, but its loss takes logits. Leave out from_logits=True, or the softmax."
        )
    if takes_logits is False and not are_probabilities:
        raise UserError(
            f"{HERE} gives no probabilities, but its loss expects them. End it in "
            f'Dense({classes}, activation="softmax"), or give the loss from_logits=True.'
        )
    _check_compiled(model, outputs, sparse)
    return OwnNetwork(model, size, not are_probabilities, sparse)


def _loss(model: keras.Model, classes: int) -> Any:
    """Return the loss that a model was compiled with: a function or an object."""
    loss = model.loss
    if not loss:
        raise UserError(
            f"{HERE} was compiled without a loss. Give one: "
            'model.compile(optimizer=…, loss="sparse_categorical_crossentropy").'
        )
    if isinstance(loss, list | tuple | dict):
        raise UserError(f"{HERE} has several losses. Give a network of one output, with {classes} classes, and a loss.")
    try:
        return keras.losses.get(loss) if isinstance(loss, str) else loss
    except ValueError:
        raise UserError(
            f"{HERE} was compiled with loss={loss!r}, which Keras does not know. Give one of keras.losses, such as "
            '"sparse_categorical_crossentropy".'
        ) from None


def _name(loss: Any) -> str:
    name = getattr(loss, "name", None) or getattr(loss, "__name__", "")
    return f"{name} {type(loss).__name__}".lower()


def _takes_logits(loss: Any) -> bool | None:
    """Return whether a loss takes logits, None for one of a person's own, which does not tell."""
    if isinstance(loss, keras.losses.Loss):
        known = loss.get_config().get("from_logits")
        return None if known is None else bool(known)
    return False if "crossentropy" in _name(loss) and loss.__module__.startswith("keras.") else None


def _image_size(model: keras.Model, image_size: int) -> int:
    shape = model.input_shape if model.built and hasattr(model, "input_shape") else (None, None, None, 3)
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2]:
        raise UserError(
            f"{HERE} takes {shape}, and images are squares with three channels: begin it with "
            f"keras.Input(({image_size}, {image_size}, 3))."
        )
    size = int(shape[1] or image_size)
    low, high = SIDES
    if not low <= size <= high:
        raise UserError(f"{HERE} takes images of {size} px. They can have {low} to {high} px.")
    return size


def _outputs(model: keras.Model, size: int, classes: int) -> Any:
    """Return what a model gives for two images, (2, classes). Raises UserError where that has another form."""
    images = np.random.default_rng(0).uniform(0, WHITE, (2, size, size, 3)).astype(np.float32)
    try:
        outputs = model(images, training=False)
    except Exception as error:  # noqa: BLE001 it is anyone's code
        raise UserError(f"{HERE} cannot be called with images of {size} × {size} × 3: {with_kind(error)}") from None
    shape = tuple(getattr(outputs, "shape", ()))
    if shape != (2, classes):
        given = f"has {shape[1]} outputs" if len(shape) == 2 else f"gives {shape[1:] or 'several outputs'} for an image"
        raise UserError(
            f"{HERE} {given}, and the data has {classes} classes. End it in "
            f'keras.layers.Dense({classes}, activation="softmax").'
        )
    return outputs


def _check_compiled(model: keras.Model, outputs: Any, sparse: bool) -> None:
    """Raise UserError where the loss or the metrics of a model cannot be computed for what it gives for two images."""
    labels = np.zeros(len(outputs), np.int32)
    targets = labels if sparse else one_hot(labels, outputs.shape[1])
    try:
        model.compute_loss(None, targets, outputs)
        model.compute_metrics(None, targets, outputs)
    except Exception as error:  # noqa: BLE001 likewise
        raise UserError(f"{HERE} was compiled with a loss or metrics that fail: {with_kind(error)}") from None


def _layers(model: keras.Model) -> list[Any]:
    """Return all layers of a model, those within models too."""
    return [
        inner for layer in model.layers for inner in (_layers(layer) if isinstance(layer, keras.Model) else [layer])
    ]


def _operations(model: keras.Model) -> list[Any]:
    """Return all operations of a model, those within models too: its layers, and additions and the like."""
    own = getattr(model, "operations", model.layers)
    return [each for one in own for each in ([one, *_operations(one)] if isinstance(one, keras.Model) else [one])]


def _is_unnamed(operation: Any) -> bool:
    """Return whether an operation has the name that Keras gives it, with a number that counts those of a process."""
    kind = re.sub(r"_\d+$", "", operation.name)
    return kind.replace("_", "") == type(operation).__name__.replace("_", "").lower()


def _multiply_adds(layer: Any) -> float:
    """Return the multiply-adds of a layer for one image: its kernels, at every place of its output."""
    kernels = sum(float(np.prod(weight.shape)) for weight in layer.weights if len(weight.shape) > 1)
    shape = getattr(getattr(layer, "output", None), "shape", ()) if kernels else ()
    places = np.prod([side or 1 for side in shape[1:-1]]) if len(shape) == 4 else 1
    return float(kernels * places)


def _digest(model: keras.Model) -> str:
    """Return a digest of the layers of a model and of what it was compiled with, equal for each building of it.

    The code of a lambda is not in it.
    """
    names = {each.name: f"operation {at}" for at, each in enumerate(_operations(model)) if _is_unnamed(each)}
    names |= {layer.name: f"layer {at}" for at, layer in enumerate([model, *_layers(model)])}
    compiled = model.get_compile_config() or {}
    try:
        layers = json.loads(model.to_json())
        layers.pop("compile_config", None)
    except (NotImplementedError, TypeError, ValueError):  # of a class of a person's own that does not tell
        layers = [type(model).__name__]
    weights = [[list(weight.shape), str(weight.dtype), weight.trainable] for weight in model.weights]
    parts = [layers, weights, compiled.get("optimizer"), compiled.get("loss"), compiled.get("loss_weights")]
    return digest(_settled(parts, names))


def _settled(value: Any, names: dict[str, str]) -> Any:
    """Return JSON types of a configuration without what differs from one building to the next."""
    if isinstance(value, dict):
        if value.get("class_name") == "__lambda__":
            return "lambda"
        return {str(key): _settled(item, names) for key, item in value.items() if key not in UNNAMED}
    if isinstance(value, list | tuple):
        return [_settled(item, names) for item in value]
    if isinstance(value, str):
        return names.get(value, value)
    return value if value is None or isinstance(value, bool | int | float) else re.sub(r" at 0x\w+", "", str(value))


class _Batches(keras.utils.PyDataset):
    """The batches of the epochs of a run, for Keras' fit: pixels, targets and, where they differ, weights."""

    def __init__(self, run: TrainingRun, view: Callable[[int], AnyRows], targets: np.ndarray) -> None:
        super().__init__()
        self._run, self._view, self._targets = run, view, targets
        self._weighs = bool((run.part.weights != 1).any())
        self._epoch = -1
        self.on_epoch_end()

    def __len__(self) -> int:
        return self._run.steps

    def __getitem__(self, step: int) -> tuple[np.ndarray, ...]:
        beat()
        part: Part = self._run.part
        at = self._order[step]
        pixels = self._inputs.take(part.rows[at]).astype(np.float32)
        return pixels, self._targets[at], *([part.weights[at]] if self._weighs else [])

    def on_epoch_end(self) -> None:
        """Draw the order of the next epoch, and take its view."""
        self._epoch += 1
        self._order = np.array_split(self._run.order(), self._run.steps)
        self._inputs = self._view(self._epoch)


class _Watch(keras.callbacks.Callback):
    """Tells before each epoch that it begins, and notes after it how it went."""

    def __init__(self, run: TrainingRun, proceed: Callable[[], None], look: Callable[[int], None]) -> None:
        super().__init__()
        self._run, self._proceed, self._look = run, proceed, look

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 Keras passes it
        self._proceed()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        run, logs = self._run, logs or {}
        accuracy = next((value for name, value in logs.items() if "acc" in name), np.nan)
        run.note(epoch, float(logs["loss"]) * len(run.part), float(accuracy) * len(run.part))
        run.check(epoch)
        if epoch in watched_epochs(run.recipe):
            self._look(epoch)


@cache
def _begin_generators() -> None:
    """Let TensorFlow say on a first generator of data what it says once in a process, to nobody."""
    with silenced():
        list(tf.data.Dataset.from_generator(lambda: iter([0]), output_signature=tf.TensorSpec((), tf.int32)))


def fit_network(
    feed: Feed, build: Callable[[], OwnNetwork], run: TrainingRun, proceed: Callable[[], None]
) -> OwnNetwork:
    """Build a network, fit it, predict, and return it; every draw comes from the seed of the run.

    ``proceed`` is called before each epoch and may raise.
    """
    recipe = run.recipe
    assert isinstance(recipe, NetworkRecipe)
    _begin_generators()
    keras.utils.clear_session()
    keras.utils.set_random_seed(run.seed)
    network, pixels = build(), Pixels(recipe.image_size)
    (plain,), labels = feed.scored(pixels, recipe), feed.labels(run.fold.validation)
    targets = run.part.labels if network.sparse else one_hot(run.part.labels, feed.materials.classes)

    def predict() -> np.ndarray:
        return np.concatenate([network.predict(plain.take(rows)) for rows in pieces(run.fold.validation)])

    batches = _Batches(run, lambda epoch: feed.view(pixels, recipe, epoch), targets)
    watch = _Watch(run, proceed, lambda epoch: run.watch(epoch, labels, predict()))
    network.model.fit(batches, epochs=recipe.epochs, shuffle=False, verbose=0, callbacks=[watch])
    run.end(None, labels, predict())
    return network
