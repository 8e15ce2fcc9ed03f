"""Somebody's own network: made by a function of a module beside the space, or read from a .keras file.

It is built before a recipe holds it, to find what was not said of it: its cuts, its scaling, its cost, whether it is
pretrained, and a digest of what it is made of. Workers build it again and compare the digest, so a network that
changed is never trained in the place of another.
"""

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from search.repertoire.backbones.backbone import (
    FILE,
    IDENTITY,
    Backbone,
    ConvNet,
    NetworkFacts,
    Preset,
    average,
    unchanged,
)
from search.repertoire.backbones.conv_net import layers_of, sha256_of
from search.repertoire.backbones.cost import mega_macs_of
from search.repertoire.backbones.cuts import found_cuts, token_cuts
from search.repertoire.backbones.graph import graph_of
from search.repertoire.backbones.hub import CONFIG, preset_folder, preset_network, preset_sha256
from search.repertoire.backbones.naming import with_own_names
from search.system.digests import digest, file_sha256
from search.system.errors import UserError, first_line
from search.system.modules import Beside, Home, beside_now, made_by
from search.system.precision import FLOAT32
from search.system.validation import nearest

CHANNELS = 3
VECTORS, MAPS = 2, 4  # ranks of batches
NO_SCALING = ("Random", "Resizing", "CenterCrop", "ZeroPadding", "Dropout", "Gaussian", "Identity", "GetItem", "Cast")
SCALING = ("Rescaling", "Normalization", "TrueDivide", "Divide", "Multiply", "Subtract")
UNKNOWN = re.compile(r"Could not locate \w+ '[^']+'")
AFTER_LOGITS = ("Activation", "Softmax", "Dropout")


@dataclass(frozen=True)
class OwnModel:
    """A network as it was built, with the digest of what it was made of: texts of modules by path, or a file.

    ``cut_off`` names the layer of its classifier, "" where it had none.
    """

    model: Any
    sha256: str
    texts: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None
    cut_off: str = ""


def found(backbone: Backbone) -> Backbone:
    """Return an own backbone with all that its network tells, which is built for that once while a space is read.

    Raises UserError where it cannot be built, or does not turn images into features.
    """
    if backbone.network is not None:
        return backbone
    beside = beside_now()
    if beside.is_early:
        raise UserError(f"{_where(backbone)} is built when the search begins. Make recipes with it inside space(hp).")
    if backbone not in beside.memory:
        beside.memory[backbone] = _found(backbone, beside)
    result: Backbone = beside.memory[backbone]
    return result


def _found(backbone: Backbone, beside: Beside) -> Backbone:
    where, built = _where(backbone), _built(backbone, beside.home())
    beside.adopt(built.texts, {backbone.name: str(built.file)} if built.file else {})
    model = built.model
    _check_shapes(model, where)
    pretrained = built.file is not None or _is_pretrained(model, _built(backbone, beside.home()).model, where)
    scaling = backbone.scaling or (IDENTITY if _scales(model) else "")
    if not scaling:
        raise UserError(
            f"{where} does not begin with a Rescaling or Normalization layer: it is not known which pixels it takes. "
            "Say it: scaling=(scale, offset), as in (1 / 127.5, -1) for pixels from -1 to 1, or (1, 0) for those from "
            "0 to 255; or the mode of keras.applications that it was trained with: 'tf', 'torch' or 'caffe'."
        )
    sha256, side, vectors = _sha256(built, pretrained), model.input.shape[1], len(model.output.shape) == VECTORS
    return replace(
        backbone,
        scaling=scaling,
        cuts=_cuts(backbone, model, where),
        mega_macs=backbone.mega_macs or mega_macs_of(model),
        pooling=unchanged if vectors else average,
        network=NetworkFacts(
            sha256, pretrained, side, vectors, built.cut_off, _foreign_layers(model), _has_lambda(model)
        ),
    )


def network_of(backbone: Backbone, home: Home, precision: str = FLOAT32) -> Any:
    """Return the Keras model of an own backbone; UserError where it is not the one that the search began with.

    Its layers compute in ``precision``, but those of a file as the file says.
    """
    assert backbone.network is not None, "a recipe holds it with all that was found"
    built = _built(backbone, home, precision)
    if _sha256(built, backbone.network.pretrained) != backbone.network.sha256:
        raise UserError(
            f"{_where(backbone)} changed: its network is another one than the search began with. Undo the change, or "
            "begin another search with --name or --fresh."
        )
    return built.model


def in_words(backbone: Backbone) -> str:
    """Return in a line what was found of an own backbone."""
    network, cuts = backbone.network, backbone.cuts or ()
    assert network is not None, "it was found"
    code = "keras-hub" if isinstance(backbone.make, Preset) else "their code"
    parts = [
        "pretrained" if network.pretrained else "from random weights, all of it trains",
        f"without its classifier, the layer {network.cut_off!r}" if network.cut_off else "",
        f"for images of {network.side} px" if network.side else "",
        _scaling_in_words(backbone),
        f"cuts after {', '.join(cuts)}" if cuts else "no cuts",
        f"with layers that Keras does not have ({', '.join(network.layers)}), so an export needs {code}"
        if network.layers
        else "",
        "with a Lambda, so it cannot be exported: put a layer of Keras, or one of your own, in its place"
        if network.has_lambda
        else "",
    ]
    return f"{backbone.name} ({backbone.make}): {'; '.join(part for part in parts if part)}"


def _scaling_in_words(backbone: Backbone) -> str:
    if isinstance(backbone.make, Preset) and not backbone.make.scaled:
        return "pixels scaled by its own image converter"
    return "pixels as they are" if backbone.scaling == IDENTITY else f"pixels scaled by {backbone.scaling}"


def _where(backbone: Backbone) -> str:
    return f"The backbone {backbone.name!r} ({backbone.make})"


def _sha256(built: OwnModel, pretrained: bool) -> str:
    """Return what names a network: its file, or the code that makes it with the weights that this gives it."""
    if built.file is not None or not pretrained:
        return built.sha256
    weights = hashlib.sha256()
    for variable in built.model.weights:
        weights.update(f"{variable.shape}{variable.dtype}".encode() + variable.numpy().tobytes())
    return digest([built.sha256, weights.hexdigest()])


def _built(backbone: Backbone, home: Home, precision: str = FLOAT32) -> OwnModel:
    """Return the network, made anew."""
    from search.system.tf import silenced

    if isinstance(backbone.make, ConvNet):
        net = backbone.make
        return OwnModel(with_own_names(lambda: layers_of(net), precision), sha256_of(net))
    make: Callable[[Backbone, Home], OwnModel] = _loaded if str(backbone.make).endswith(FILE) else _made
    if isinstance(backbone.make, Preset):
        make = partial(_preset, folder=preset_folder(backbone.name, backbone.make, home, _where(backbone)))
    # DECISIONS: An own network is known by what it is made of
    with silenced():
        built: OwnModel = with_own_names(lambda: make(backbone, home), precision)
    return built


def _made(backbone: Backbone, home: Home) -> OwnModel:
    """Return what a function of a module makes."""
    made = made_by(str(backbone.make), home, _where(backbone))
    _check_graph(made.value, _where(backbone))
    return OwnModel(made.value, made.sha256, made.texts)


def _loaded(backbone: Backbone, home: Home) -> OwnModel:
    """Return the network in a file, without its classifier."""
    from search.system.tf import keras

    where, file = _where(backbone), home.file(backbone.name, str(backbone.make))
    if file is None:
        places = dict.fromkeys(map(str, (home.modules, Path.cwd())))
        raise UserError(f"{where}: there is no such file in {', nor in '.join(places)}.")
    try:
        sha256 = file_sha256(file)
        with _without_own_code():
            model = keras.models.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # noqa: BLE001 Keras raises errors of every kind
        raise UserError(
            f"{where}: {file} cannot be loaded: {_reason(error)}\nCode is never run from a file, so one with layers "
            "of your own, or with functions in it, is refused. Write a function that makes the network and loads the "
            "file's weights into it, in a module beside the space: make='my_nets:network'."
        ) from None
    _check_graph(model, where)
    headless, cut_off = _without_classifier(model)
    return OwnModel(headless, sha256, file=file, cut_off=cut_off)


def _reason(error: Exception) -> str:
    """Return the class or function that Keras does not know, where it says so below its first line; or that line."""
    unknown = UNKNOWN.search(str(error))
    return f"{unknown.group()}." if unknown else first_line(error)


@contextlib.contextmanager
def _without_own_code() -> Iterator[None]:
    """Let Keras know no layers and functions inside the block that modules of a person have registered.

    Workers import no such module, and a file is no digest of it.
    """
    from search.system.tf import keras

    registered = keras.saving.get_custom_objects()
    hidden = {name: registered.pop(name) for name in list(registered) if not name.startswith("keras_hub>")}
    try:
        yield
    finally:
        registered.update(hidden)


def _preset(backbone: Backbone, _home: Home, folder: Path) -> OwnModel:
    """Return the network of a preset of KerasHub."""
    preset = backbone.make
    assert isinstance(preset, Preset)
    return OwnModel(
        preset_network(preset, folder, _where(backbone)), preset_sha256(folder, preset), file=folder / CONFIG
    )


def _check_graph(model: Any, where: str) -> None:
    """Raise UserError unless it is a Keras model with a graph, of one input and one output."""
    from search.system.tf import keras

    if not isinstance(model, keras.Model):
        raise UserError(f"{where} gives {type(model).__name__}, where a keras.Model is wanted.")
    has_graph = isinstance(model, keras.Sequential | keras.Function) and model.inputs
    if not has_graph or len(model.inputs) != 1 or len(model.outputs) != 1:
        counts = f" {len(model.inputs)} inputs and {len(model.outputs)} outputs" if has_graph else "out a graph"
        raise UserError(
            f"{where} gives a model with{counts}, where one input and one output are wanted. Wrap it: inputs = "
            "keras.Input((None, None, 3)), and keras.Model(inputs, network(inputs))."
        )


def _check_shapes(model: Any, where: str) -> None:
    """Raise UserError unless it turns images (n, side, side, 3) into maps (n, h, w, c) or vectors (n, c)."""
    taken, given = tuple(model.input.shape), tuple(model.output.shape)
    if len(taken) != MAPS or taken[-1] != CHANNELS or taken[1] != taken[2]:
        raise UserError(f"{where} takes inputs of the shape {taken}, where it must take images: (None, side, side, 3).")
    if len(given) not in {VECTORS, MAPS} or given[-1] is None:
        raise UserError(
            f"{where} gives outputs of the shape {given}, where they must be feature maps (None, height, width, "
            "channels) or vectors (None, features). End it with a layer that pools, or takes the token of the class."
        )


def _without_classifier(model: Any) -> tuple[Any, str]:
    """Return the model without its last layer if that is dense, and what follows it; and the layer's name, or ""."""
    from search.system.tf import keras

    graph = graph_of(model)
    makers = {id(tensor): call for call in graph.calls for tensor in call.outputs}
    last = makers.get(id(graph.output))
    while last is not None and type(last.operation).__name__ in AFTER_LOGITS:
        last = makers.get(id(last.inputs[0]))
    if last is None or not isinstance(last.operation, keras.layers.Dense):
        return model, ""
    return keras.Model(graph.input, last.inputs[0], name=model.name), last.name


def _is_pretrained(model: Any, again: Any, where: str) -> bool:
    """Return whether two models that the same code made have equal weights; UserError where only some are equal."""
    if [tuple(one.shape) for one in model.weights] != [tuple(one.shape) for one in again.weights]:
        raise UserError(
            f"{where} has other layers each time it is made. Let nothing in it depend on chance, on the time or on how "
            "often it was made."
        )
    pairs = list(zip(model.weights, again.weights, strict=True))
    drawn = [one for one, other in pairs if not (one.numpy() == other.numpy()).all()]
    kept = [one for one, other in pairs if (one.numpy() == other.numpy()).all() and np.ptp(one.numpy()) > 0]
    if drawn and kept:
        raise UserError(
            f"{where} has weights that are drawn anew each time it is made ({drawn[0].path}), beside weights that stay "
            f"({kept[0].path}). Leave the new layers off: the search adds a head. Or load weights into all of them."
        )
    return not drawn


def _foreign_layers(model: Any) -> tuple[str, ...]:
    """Return the kinds of layers that are not of Keras."""
    kinds = {type(call.operation) for call in graph_of(model).calls}
    return tuple(sorted(kind.__name__ for kind in kinds if kind.__module__.partition(".")[0] != "keras"))


def _has_lambda(model: Any) -> bool:
    """Return whether a network has a layer of a function, which Keras does not load again from a file."""
    from search.system.tf import keras

    return any(isinstance(call.operation, keras.layers.Lambda) for call in graph_of(model).calls)


def _scales(model: Any) -> bool:
    """Return whether a network begins by scaling its pixels."""
    kinds = (type(call.operation).__name__ for call in graph_of(model).calls)
    first = next((kind for kind in kinds if not kind.startswith(NO_SCALING)), "")
    return first in SCALING


def _cuts(backbone: Backbone, model: Any, where: str) -> tuple[str, ...]:
    """Return the cuts of a network: found in its graph, or as given. UserError for one where it cannot be cut."""
    if backbone.cuts is None:
        return found_cuts(_maps_only(model)) or token_cuts(model)
    places = [place.name for place in graph_of(model).places]
    for cut in backbone.cuts:
        if cut not in places:
            near = nearest(cut, places)
            hint = f" Did you mean {near!r}?" if near else ""
            raise UserError(
                f"{where} cannot be cut after {cut!r}: there is no such layer, or others go past it.{hint} Without "
                "cuts=…, they are found."
            )
    if sorted(backbone.cuts, key=places.index) != list(dict.fromkeys(backbone.cuts)):
        raise UserError(f"{where} has cuts={backbone.cuts!r}: give them from the input to the output, each once.")
    return backbone.cuts


def _maps_only(model: Any) -> Any:
    """Return a model without what follows its last map, as there vectors cannot be told from maps that are halved."""
    from search.system.tf import keras

    graph = graph_of(model)
    maps = [call for call in graph.places if len(call.outputs[0].shape) == MAPS]
    return keras.Model(graph.input, maps[-1].outputs[0]) if len(graph.output.shape) == VECTORS and maps else model
