"""The graph of a network: its operations in their order, with what goes into each and what comes out.

Keras shows only the first call of a layer, and hides what happens inside a model that stands in another. So the
network is called once more on a new input, with the same layers; this takes tenths of a second, as nothing is computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

# Layers of KerasHub that call others one after another: their networks could not be split between these.
OPENED = ("ViTEncoder", "DeiTEncoder", "DINOV2Encoder")


@dataclass(frozen=True)
class Call:
    """One call of an operation (a layer, or an addition and the like), with the symbolic tensors in and out."""

    operation: Any
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]

    @property
    def name(self) -> str:
        """The name of the operation."""
        return str(self.operation.name)


@dataclass(frozen=True)
class Graph:
    """A network with one input and one output: its calls, each after those whose tensors it takes."""

    input: Any
    output: Any
    calls: tuple[Call, ...]

    @cached_property
    def tensors(self) -> dict[str, Any]:
        """The symbolic tensor that comes out of each operation, by its name; of its last call where there are more."""
        return {call.name: call.outputs[0] for call in self.calls if len(call.outputs) == 1}

    @cached_property
    def places(self) -> tuple[Call, ...]:
        """The calls after which the network can be split, from the input to the output, without the last call.

        The rest of the network needs the output of such a call and nothing else of what came before, and no weights
        are used both before and after it.
        """
        last_uses = {id(tensor): number for number, call in enumerate(self.calls) for tensor in call.inputs}
        last_calls = {id(call.operation): number for number, call in enumerate(self.calls) if weights_of(call)}
        places, end = [], last_uses.get(id(self.input), 0)  # of what came before
        for number, call in enumerate(self.calls[:-1]):
            end = max(end, last_calls.get(id(call.operation), 0))
            uses = [last_uses.get(id(tensor), 0) for tensor in call.outputs]
            if end <= number < uses[0] and len(uses) == 1 and self.tensors[call.name] is call.outputs[0]:
                places.append(call)
            end = max(end, *uses)
        return tuple(places)


def weights_of(call: Call) -> list[Any]:
    """Return the weights of the operation of a call."""
    return list(getattr(call.operation, "weights", ()))


def graph_of(model: Any, side: int | None = None, any_size: bool = False) -> Graph:
    """Return the graph of a functional or sequential Keras model.

    It is for images of ``side`` px where the model takes any size; where it takes one, this holds for the graph, unless
    ``any_size``: then its operations must suit others.
    Models within it count by their own operations. Raises ValueError where it has several inputs or outputs, or no
    graph, as where its class has a ``call`` of its own.
    """
    from search.system.tf import keras

    is_graph = isinstance(model, keras.Sequential | keras.Function)
    if not is_graph or len(model.inputs or ()) != 1 or len(model.outputs or ()) != 1:
        raise ValueError("it is no functional model with one input and one output")
    shape = list(model.inputs[0].shape)
    if side is not None or any_size:
        shape[1:3] = [side if any_size else length or side for length in shape[1:3]]
    image = keras.Input(batch_shape=shape, dtype=model.inputs[0].dtype)
    calls: list[Call] = []
    (output,) = _applied(model, [image], calls)
    return Graph(image, output, tuple(calls))


def calls_of(model: Any) -> tuple[list[Any], list[Call], Any]:
    """Return the inputs, the calls and the output of a functional model of one output, which may have several inputs.

    Models within it count by their own operations. Raises ValueError where it has several outputs, or no graph.
    """
    from search.system.tf import keras

    if not isinstance(model, keras.Sequential | keras.Function) or len(model.outputs or ()) != 1:
        raise ValueError("it is no functional model with one output")
    inputs = [keras.Input(batch_shape=each.shape, dtype=each.dtype) for each in model.inputs]
    calls: list[Call] = []
    (output,) = _applied(model, inputs, calls)
    return inputs, calls, output


def _applied(model: Any, inputs: Sequence[Any], calls: list[Call]) -> list[Any]:
    """Call the operations of a model, one after another, on inputs; note them in ``calls``, and return the outputs."""
    from search.system.tf import keras

    if isinstance(model, keras.Sequential):
        (x,) = inputs
        for layer in model.layers:
            x = _called(layer, (x,), {}, calls)
        return [x]
    notes: list[tuple[Any, Any, Any, Any]] = []

    def note(operation: Any, *arguments: Any, **options: Any) -> Any:
        outputs = operation(*arguments, **options)
        notes.append((operation, arguments, options, keras.tree.flatten(outputs)))
        return outputs

    again = keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=note)
    # By the ones that stand for them in the notes.
    tensors = {id(place): tensor for place, tensor in zip(again.inputs, inputs, strict=True)}

    def tensor(value: Any) -> Any:
        return tensors.get(id(value), value)

    for operation, *values, places in notes:
        arguments, options = keras.tree.map_structure(tensor, values)
        outputs = keras.tree.flatten(_called(operation, arguments, options, calls))
        tensors |= {id(place): output for place, output in zip(places, outputs, strict=True)}
    return [tensor(output) for output in again.outputs]


def _called(operation: Any, arguments: Any, options: Any, calls: list[Call]) -> Any:
    """Call an operation, or those of a model that stands in its place."""
    from search.system.tf import keras

    is_model = isinstance(operation, keras.Sequential | keras.Function)
    if is_model and len(operation.outputs) == 1 and len(keras.tree.flatten(arguments)) == len(operation.inputs):
        return _applied(operation, keras.tree.flatten(arguments), calls)[0]
    if type(operation).__name__ in OPENED and type(operation).__module__.startswith("keras_hub."):
        return _opened(operation, arguments[0], calls)
    outputs = operation(*arguments, **options)
    inputs = [value for value in keras.tree.flatten((arguments, options)) if isinstance(value, keras.KerasTensor)]
    calls.append(Call(operation, tuple(inputs), tuple(keras.tree.flatten(outputs))))
    return outputs


def _opened(layer: Any, x: Any, calls: list[Call]) -> Any:
    """Call the layers that a layer of one tensor calls, in its place."""
    from search.system.tf import keras

    inner = keras.Input(batch_shape=x.shape, dtype=x.dtype)
    outputs = layer.call(inner)
    applied = _applied(keras.Model(inner, keras.tree.flatten(outputs)), [x], calls)
    return keras.tree.pack_sequence_as(outputs, applied)
