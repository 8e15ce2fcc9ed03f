"""Precision in training: the scale of a loss, and what a machine gains by smaller numbers."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from search.system.precision import BFLOAT16, FLOAT32
from search.system.tf import keras, tf

FIRST_SCALE = 2.0**15
STEPS_TO_GROW = 2000  # without an infinite gradient, until the scale is doubled; as in Keras' LossScaleOptimizer
SECONDS = 0.5
SIDE, CHANNELS, IMAGES = 40, 32, 8  # of the activations that a step is timed with


# DECISIONS: One scale of the loss for all groups of variables
class LossScale:
    """What a loss is multiplied by, so that small gradients are numbers in float16, and they divided by afterwards.

    It is halved after a step whose gradients are infinite, and doubled after many that are not.
    """

    def __init__(self) -> None:
        """Begin with the first scale."""
        self._scale = keras.Variable(FIRST_SCALE, trainable=False, name="loss_scale")
        self._steps = keras.Variable(0, dtype="int32", trainable=False, name="loss_scale_steps")

    @property
    def value(self) -> Any:
        """The scale."""
        return self._scale.value

    def apply(self, gradients: Sequence[Any], step: Callable[[Sequence[Any]], None]) -> None:
        """Call ``step`` with the gradients of the loss itself, if all are finite, and adapt the scale."""
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients])
        value = self.value

        def go_on() -> tuple[Any, Any]:
            step([gradient / value for gradient in gradients])
            grows = self._steps.value + 1 >= STEPS_TO_GROW
            return tf.where(grows, value * 2, value), tf.where(grows, 0, self._steps.value + 1)

        def give_way() -> tuple[Any, Any]:
            return tf.maximum(value / 2, 1.0), tf.zeros((), tf.int32)

        scale, steps = tf.cond(finite, go_on, give_way)
        self._scale.assign(scale)
        self._steps.assign(steps)

    def reset(self) -> None:
        """Begin a run: with the first scale again, so that no run depends on those before it."""
        self._scale.assign(FIRST_SCALE)
        self._steps.assign(0)


def gain(seconds: float = SECONDS) -> float:
    """Return how many times as fast as float32 a step of training is in bfloat16 on this machine's processors.

    Each is timed for about so many seconds, and its fastest step counts.
    """
    usual, mixed = (_seconds_of_step(precision, seconds) for precision in (FLOAT32, BFLOAT16))
    return usual / mixed


def _seconds_of_step(precision: str, seconds: float) -> float:
    layers = [
        keras.layers.Conv2D(CHANNELS, 3, padding="same", activation="relu", dtype=precision),
        keras.layers.DepthwiseConv2D(3, padding="same", activation="relu", dtype=precision),
        keras.layers.Conv2D(2 * CHANNELS, 1, activation="relu", dtype=precision),
        keras.layers.GlobalAveragePooling2D(dtype=FLOAT32),
    ]
    network = keras.Sequential([keras.Input((SIDE, SIDE, CHANNELS)), *layers])
    images = tf.random.stateless_uniform((IMAGES, SIDE, SIDE, CHANNELS), (1, 2))

    @tf.function  # type: ignore[untyped-decorator]
    def step() -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(network(images, training=True))
        return tape.gradient(loss, [variable.value for variable in network.trainable_variables])

    step()
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        step()[0].numpy()
        best = min(best, time.perf_counter() - start)
    return best
