"""A network with its compiled steps, used again by every run of its shape.

Whatever differs between such runs is a value: weights are assigned, rates are variables, seeds are
state that ``Network.reset`` sets.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from search.repertoire.losses import LOSSES
from search.repertoire.shape import Shape
from search.system.tf import keras, tf
from search.training.network import Network


class CompiledNetwork:
    """The network of a shape with its compiled training and prediction steps, each made when it is first asked for.

    Heads on stored features never ask for a network, nor does anything for one that is traced. One of several
    ``branches`` has no network of its own: the features of theirs stand side by side.
    """

    def __init__(self, shape: Shape, make: Callable[[], Network], branches: Sequence["CompiledNetwork"] = ()) -> None:
        """Hold on to ``make``, which builds the network."""
        self.shape, self._make, self.branches = shape, make, branches

    @cached_property
    def network(self) -> Network:
        """The network."""
        return self._make()

    def trace(self) -> None:
        """Compile both steps now, rather than when they are first called."""
        for step in (self.epoch, self.predict):
            step.get_concrete_function()

    @property
    def is_built(self) -> bool:
        """Whether anything has asked for the network."""
        return "network" in vars(self)

    @cached_property
    def predict(self) -> Any:
        """The function from inputs of the unfrozen part to class probabilities."""
        return tf.function(self._predict, input_signature=[self._inputs()])

    @cached_property
    def epoch(self) -> Any:
        """The function (inputs, targets, weights, ends, rates) that takes a step for each batch.

        The first four are as in ``Batches``; batch ``i`` steps at ``rates[i]``. Returns (sum of losses, number
        of hits): an example is a hit where its likeliest class has the largest of its targets.
        """
        vector, targets = tf.TensorSpec([None], tf.float32), tf.TensorSpec([None, self.network.classes], tf.float32)
        ends = tf.TensorSpec([None], tf.int32)
        return tf.function(self._epoch, input_signature=[self._inputs(), targets, vector, ends, vector])

    def _inputs(self) -> Any:
        network, size = self.network, self.shape.image_size
        if network.prefix is None:
            return tf.TensorSpec([None, size, size, 3], tf.uint8)
        assert network.body is not None, "heads alone are trained on stored features"
        return tf.TensorSpec(network.body.input.shape, tf.float32)

    def _predict(self, inputs: Any) -> Any:
        logits = keras.activations.get(LOSSES[self.shape.loss].output)(self.network.logits(inputs, training=False))
        return tf.nn.softmax(logits - self.network.adjustment)

    def _epoch(self, inputs: Any, targets: Any, weights: Any, ends: Any, rates: Any) -> tuple[Any, Any]:
        network, start = self.network, 0
        total, hits = 0.0, 0
        for step in tf.range(tf.shape(ends)[0]):
            end = ends[step]
            truth = targets[start:end]
            with tf.GradientTape() as tape:
                logits = network.logits(inputs[start:end], training=True)
                losses = network.losses(truth, logits) * weights[start:end]
                loss = tf.reduce_mean(losses)
                loss = loss if network.loss_scale is None else loss * network.loss_scale.value
            self._change(tape.gradient(loss, [variable.value for variable in network.trained]), rates[step])
            total += tf.reduce_sum(losses)
            hits += tf.reduce_sum(tf.cast(tf.argmax(logits, 1) == tf.argmax(truth, 1), tf.int32))
            start = end
        return total, hits

    def _change(self, gradients: Sequence[Any], rate: Any) -> None:
        """Change the weights of the network by the gradients of its loss, or of the scaled one."""
        update, scale = self.network.update, self.network.loss_scale
        if scale is None:
            update.step(gradients, rate)
        else:
            scale.apply(gradients, lambda unscaled: update.step(unscaled, rate))
