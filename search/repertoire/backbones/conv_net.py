"""ConvNet: a plain convolutional network from scratch, of blocks that a person sizes."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from search.repertoire.backbones.backbone import SIGNED, Backbone, ConvNet, NetworkFacts, Scaling
from search.repertoire.backbones.small_cnn import MOMENTUM
from search.system.digests import digest

CHANNELS = 3  # of images
KERNEL = 3  # px
BORDER = KERNEL - 1  # px that a convolution without padding takes from a side
COUNTED_AT = 224  # px, where multiply-adds are counted


def conv_net(
    filters: Sequence[int] = (32, 64, 128, 128),
    *,
    dropout: float = 0.0,
    batch_norm: bool = False,
    scaling: Scaling = SIGNED,
    name: str = "",
) -> Backbone:
    """Return a plain convolutional network as a backbone, which starts from random weights.

    Each block is a convolution of 3 px without padding, BatchNorm if wanted, ReLU, max-pooling of 2 px, and ``dropout``
    of that rate if above 0. ``filters`` has the channels of each block. ``scaling`` is the (scale, offset) of pixels.
    ``name`` is what the search calls it. Raises UserError for a value that is wrong, naming it.
    """
    make = ConvNet(tuple(filters) if isinstance(filters, Sequence) else filters, dropout, batch_norm)
    return Backbone(
        name or _name(make),
        make=make,
        scaling=scaling,
        cuts=(),
        mega_macs=_mega_macs(make.filters),
        network=NetworkFacts(sha256_of(make), pretrained=False, side=None, vectors=False, cut_off=""),
        parameters=_parameters(make),
        smallest=_smallest(len(make.filters)),
    )


def layers_of(make: ConvNet) -> Any:
    """Return the Keras model for images of any size, with random weights."""
    from search.system.tf import keras

    layers = keras.layers
    inputs = x = keras.Input((None, None, CHANNELS))
    for block, filters in enumerate(make.filters, start=1):
        x = layers.Conv2D(filters, KERNEL, use_bias=not make.batch_norm, name=f"conv_{block}")(x)
        if make.batch_norm:
            x = layers.BatchNormalization(momentum=MOMENTUM, name=f"norm_{block}")(x)
        x = layers.ReLU(name=f"relu_{block}")(x)
        x = layers.MaxPooling2D(name=f"block_{block}")(x)
        if make.dropout:
            x = layers.Dropout(make.dropout, name=f"dropout_{block}")(x)
    return keras.Model(inputs, x, name="conv_net")


def sha256_of(make: ConvNet) -> str:
    """Return what names such a network: a digest of its fields."""
    return digest(asdict(make))


def _name(make: ConvNet) -> str:
    parts = [f"ConvNet {'-'.join(map(str, make.filters))}"]
    parts += [f"dropout {make.dropout:g}"] if make.dropout else []
    parts += ["BatchNorm"] if make.batch_norm else []
    return ", ".join(parts)


def _smallest(blocks: int) -> int:
    """Return the smallest side in px of which so many blocks leave a map."""
    side = 1
    for _ in range(blocks):
        side = 2 * side + BORDER
    return max(side, Backbone.smallest)


def _parameters(make: ConvNet) -> int:
    """Return how many parameters it has; BatchNorm has four for each channel, a bias is one."""
    inputs = (CHANNELS, *make.filters)
    per_channel = 4 if make.batch_norm else 1
    return sum((KERNEL**2 * before + per_channel) * after for before, after in zip(inputs, make.filters, strict=False))


def _mega_macs(filters: Sequence[int]) -> float:
    """Return the millions of multiply-adds of its convolutions, at 224 px."""
    side, before, macs = COUNTED_AT, CHANNELS, 0
    for after in filters:
        side -= BORDER
        macs += side**2 * KERNEL**2 * before * after
        side, before = side // 2, after
    return macs / 1e6
