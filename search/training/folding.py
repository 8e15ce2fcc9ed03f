"""Convolutions and the BatchNorm after them as one layer, which is exact while BatchNorm is in inference mode.

BatchNorm then multiplies each channel by a number and adds another: the kernel can be multiplied
instead, which is far smaller than what it is applied to. The variables stay those of the two
layers, and gradients reach them through the product.
"""

from collections import Counter
from typing import Any

from search.repertoire.backbones.graph import Graph, graph_of
from search.system.tf import keras, tf

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


class Folded(keras.layers.Layer):
    """A convolution with its BatchNorm, by their own variables."""

    def __init__(self, convolution: Any, norm: Any) -> None:
        """Take over the two layers, which are built."""
        # BatchNorm is folded at full precision: nothing is cast on the way here.
        super().__init__(name=convolution.name, dtype=convolution.variable_dtype, autocast=False)
        self.convolution, self.norm = convolution, norm
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Return what BatchNorm makes of the convolution of the inputs."""
        conv, norm = self.convolution, self.norm
        inputs = keras.ops.cast(inputs, conv.compute_dtype)
        scale = keras.ops.rsqrt(norm.moving_variance + norm.epsilon)
        scale = scale * norm.gamma if norm.scale else scale
        shift = (conv.bias - norm.moving_mean) * scale if conv.use_bias else -norm.moving_mean * scale
        shift = shift + norm.beta if norm.center else shift
        how = {"strides": conv.strides, "padding": conv.padding, "dilation_rate": conv.dilation_rate}
        if isinstance(conv, keras.layers.DepthwiseConv2D):
            kernel = keras.ops.cast(conv.kernel * keras.ops.reshape(scale, (-1, 1)), conv.compute_dtype)
            outputs = keras.ops.depthwise_conv(inputs, kernel, **how)
        else:
            outputs = keras.ops.conv(inputs, keras.ops.cast(conv.kernel * scale, conv.compute_dtype), **how)
        # TensorFlow joins it, and a ReLU after it, to the convolution.
        return tf.nn.bias_add(outputs, keras.ops.cast(shift, outputs.dtype))


class _Nothing(keras.layers.Layer):
    def call(self, inputs: Any, mask: Any = None) -> Any:  # noqa: ARG002 Keras passes it on
        return inputs


# DECISIONS: BatchNorm of pretrained networks is folded into the convolutions before it
def folded(model: keras.Model) -> keras.Model:
    """Return a model with the same variables in which each convolution and its BatchNorm are one layer.

    BatchNorm that does not follow a convolution, or shares one with another layer, stays as it is.
    """
    graph = graph_of(model)
    pairs = _pairs(graph)
    norms = {norm.name for norm in pairs.values()}

    def replaced(layer: Any) -> Any:
        if layer.name in pairs:
            return Folded(layer, pairs[layer.name])
        return _Nothing(name=layer.name, dtype=layer.dtype_policy) if layer.name in norms else layer

    return keras.models.clone_model(keras.Model(graph.input, graph.output), clone_function=replaced)


def _pairs(graph: Graph) -> dict[str, Any]:
    """Return the BatchNorm layers that can be folded, by the names of their convolutions."""
    calls = Counter(id(call.operation) for call in graph.calls)
    uses = Counter(id(tensor) for tensor in (graph.output, *(each for call in graph.calls for each in call.inputs)))
    once = [call for call in graph.calls if calls[id(call.operation)] == 1]
    convolutions = (call for call in once if isinstance(call.operation, CONVOLUTIONS) and _plain(call.operation))
    makers = {id(call.outputs[0]): call.operation for call in convolutions}
    return {
        makers[id(call.inputs[0])].name: call.operation
        for call in once
        if isinstance(call.operation, keras.layers.BatchNormalization)
        and id(call.inputs[0]) in makers
        and uses[id(call.inputs[0])] == 1
    }


def _plain(layer: Any) -> bool:
    return (
        layer.activation is keras.activations.linear
        and layer.data_format == "channels_last"
        and getattr(layer, "groups", 1) == 1
        and getattr(layer, "depth_multiplier", 1) == 1
    )
