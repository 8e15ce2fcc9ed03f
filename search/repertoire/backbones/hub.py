"""Presets of KerasHub as backbones: a folder that ``save_to_preset`` wrote, or fetched by name before the first trial.

What is fetched is kept as such a folder beside the weights of Keras, so workers read only folders and ask no network.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from search.repertoire.backbones.backbone import TOKENS, Backbone, Preset, Scaling
from search.repertoire.backbones.naming import with_own_names
from search.repertoire.weights import weights_folder
from search.system.digests import digest, file_sha256
from search.system.errors import UserError, first_line
from search.system.files import new_folder
from search.system.modules import Home
from search.system.validation import nearest

CONFIG, CONVERTER = "config.json", "image_converter.json"  # of a preset
WEIGHTS = ".weights.h5"  # ends the names of their files
PIP = "pip install 'keras-hub>=0.32'"
FLOATS = "float32"
RANK = 3  # of batches of tokens
FIRST_TOKENS: dict[str, Callable[[Any], int]] = {  # how many come before those of the patches; the class's is first
    "ViTBackbone": lambda network: int(network.use_class_token),
    "DeiTBackbone": lambda _: 2,
    "DINOV2Backbone": lambda network: 1 + int(network.num_register_tokens),
    "DINOV3Backbone": lambda network: 1 + int(network.num_register_tokens),
}


def hub(
    preset: str,
    *,
    name: str = "",
    pool: str = "average",
    image_size: int | None = None,
    scaling: Scaling = "",
    cuts: Sequence[str] | None = None,
) -> Backbone:
    """Return a preset of KerasHub as a backbone: ``preset`` is the path of its folder, or what KerasHub calls it.

    ``name`` is what the search calls it: if not given, the last part of that, without a number of a version. ``pool``
    says how patches become features: their "average", or "tokens" for the class token and that average side by side.
    ``image_size`` in px replaces the preset's own, where its network allows. Pixels are scaled by its own image
    converter unless ``scaling`` is given, and ``cuts`` are found, unless given. Raises UserError for a value that is
    wrong.
    """
    how = Preset(preset, pool, image_size, scaled=bool(scaling))
    parts = PurePosixPath(how.preset).parts
    last = next((part for part in reversed(parts) if not part.isdigit()), parts[-1])
    return Backbone(name or last, how, scaling, None if cuts is None else tuple(cuts))


@dataclass(frozen=True)
class Downloads:
    """Whether presets may be fetched, and what is called with a line that says so before one is."""

    offline: bool
    announce: Callable[[str], None]


_downloads: ContextVar[Downloads | None] = ContextVar("downloads", default=None)


@contextlib.contextmanager
def allowing(downloads: Downloads) -> Iterator[None]:
    """Let presets that are named be fetched inside the block, unless it is offline. Elsewhere none is."""
    token = _downloads.set(downloads)
    try:
        yield
    finally:
        _downloads.reset(token)


def allowed() -> Downloads | None:
    """Return whether something may be fetched now, None where nothing is: after a search has begun."""
    return _downloads.get()


def preset_folder(name: str, preset: Preset, home: Home, where: str) -> Path:
    """Return the folder of a preset, which is fetched where that is allowed. Raises UserError where there is none."""
    file = home.file(name, f"{preset.preset}/{CONFIG}")
    if file is None:
        copy = weights_folder() / "keras_hub" / _folder_name(preset.preset)
        if not (copy / CONFIG).is_file():
            _fetch(preset.preset, copy, home, where)
        return copy
    return file.parent


def preset_sha256(folder: Path, preset: Preset) -> str:
    """Return a digest of the files of a preset that make its network, and of how it is used.

    Others say when it was saved.
    """
    files = sorted(file for file in folder.iterdir() if file.name in {CONFIG, CONVERTER} or file.name.endswith(WEIGHTS))
    return digest([[(file.name, file_sha256(file)) for file in files], preset.pool, preset.image_size])


def preset_network(preset: Preset, folder: Path, where: str) -> Any:
    """Return the Keras model of a preset, from pixels to maps or vectors.

    Raises UserError where the folder holds none, or none that turns images into features.
    """
    from search.system.tf import keras

    library, size = library_for(where), preset.image_size
    _check_kind(folder, where)
    try:
        options = {"image_shape": (size, size, 3)} if size else {}
        encoder = _encoder(library.models.Backbone.from_preset(str(folder), dtype=FLOATS, **options))
        shape, converter = encoder.inputs[0].shape, _converter(folder)
    except Exception as error:  # noqa: BLE001 KerasHub raises errors of every kind
        raise UserError(f"{where} cannot be loaded from {folder}: {first_line(error)}") from None
    if len(encoder.inputs) != 1:
        raise UserError(f"{where} has {len(encoder.inputs)} inputs, where a network of images alone is wanted.")
    pixels = keras.Input(batch_shape=shape, name="pixels")
    x = pixels
    if converter is not None and not preset.scaled:
        scale, offset = (default if value is None else value for value, default in zip(converter, (1, 0), strict=True))
        x = keras.layers.Rescaling(scale, offset, dtype=FLOATS, name="image_converter")(x)
    return keras.Model(pixels, _features(encoder, x, preset.pool, where))


def library_for(where: str) -> Any:
    """Return KerasHub; UserError with the way to have it where it is not here."""
    try:
        import keras_hub
    except ImportError as error:
        raise UserError(f"{where} needs KerasHub, which cannot be imported ({error}). To have it: {PIP}") from None
    return keras_hub


def _folder_name(preset: str) -> str:
    plain = re.sub(r"[^\w.-]+", "_", preset).strip("._")
    return plain if plain == preset else f"{plain}-{digest(preset)[:8]}"


def _fetch(preset: str, folder: Path, home: Home, where: str) -> None:
    """Fetch a preset by its name, and keep its network of images and its converter in ``folder``."""
    downloads = allowed()
    if downloads is None or downloads.offline:
        reason = "--offline downloads nothing" if downloads else "it is fetched before the first trial of a search"
        raise UserError(
            f"{where}: there is no folder {preset} with a {CONFIG} in {home.modules}, and no preset of that name in "
            f"{folder}; {reason}. Begin a search where there is a network, or name a folder that save_to_preset wrote."
        )
    library = library_for(where)
    known = library.models.Backbone.presets
    if "://" not in preset and preset not in known:
        near = nearest(preset, list(known))
        hint = f" Did you mean {near!r}?" if near else ""
        raise UserError(f"{where}: {preset} is no folder with a {CONFIG}, and no preset of KerasHub.{hint}")
    downloads.announce(f"Downloading the preset {preset} through KerasHub, to {folder}. Its authors say its licence.")

    def keep() -> None:
        network = _encoder(library.models.Backbone.from_preset(preset, dtype=FLOATS))
        try:
            converter = library.layers.ImageConverter.from_preset(preset)
        except (FileNotFoundError, ValueError):
            converter = None
        with new_folder(folder) as new:
            network.save_to_preset(str(new))
            if converter is not None:
                converter.save_to_preset(str(new))

    try:
        with_own_names(keep)  # as the files hold the names
    except Exception as error:  # noqa: BLE001 likewise, and of the network
        raise UserError(f"{where}: the preset {preset} cannot be fetched: {first_line(error)}") from None


def _check_kind(folder: Path, where: str) -> None:
    """Raise UserError unless a folder is a preset of KerasHub, whose classes alone are then loaded."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{where}: {folder / CONFIG} cannot be read: {error}.") from None
    kind = config.get("registered_name", "") if isinstance(config, dict) else ""
    if not isinstance(kind, str) or not kind.startswith("keras_hub>"):
        raise UserError(
            f"{where}: {folder / CONFIG} describes no network of KerasHub. Write such a folder with "
            "keras_hub.models.Backbone.from_preset(…).save_to_preset(folder)."
        )


def _encoder(network: Any) -> Any:
    """Return the part of a network that sees images, of one that also reads texts (SigLIP)."""
    return getattr(network, "vision_encoder", network)


def _converter(folder: Path) -> tuple[Any, Any] | None:
    """Return scale and offset of the image converter of a preset; None where it has none."""
    from search.system.tf import keras

    if not (folder / CONVERTER).is_file():
        return None
    converter = keras.saving.deserialize_keras_object(json.loads((folder / CONVERTER).read_text(encoding="utf-8")))
    return converter.scale, converter.offset


def _features(encoder: Any, x: Any, pool: str, where: str) -> Any:
    """Return the maps or vectors that an encoder makes of ``x``, its tokens pooled."""
    from search.system.tf import keras

    kind = type(encoder).__name__
    if kind == "SigLIPVisionEncoder" and pool == TOKENS:  # its head pools; what it pools are the patches
        tokens = keras.Model(encoder.inputs, encoder.post_layer_norm.output, name="patches")(x)
        return keras.layers.Concatenate()([encoder.head(tokens), keras.ops.mean(tokens, axis=1)])
    outputs = encoder(keras.tree.map_structure(lambda _: x, encoder.input))
    is_tokens = len(getattr(outputs, "shape", ())) == RANK
    if is_tokens and kind not in FIRST_TOKENS:
        raise UserError(f"{where}: the tokens of {kind} are not known here, but those of {', '.join(FIRST_TOKENS)}.")
    first = FIRST_TOKENS[kind](encoder) if is_tokens else 0
    if pool == TOKENS and not first:
        raise UserError(f"{where}: pool={TOKENS!r} wants a network with a token of the class; leave it out.")
    if not is_tokens:
        return outputs
    patches = keras.ops.mean(outputs[:, first:], axis=1)
    return keras.layers.Concatenate()([outputs[:, 0], patches]) if pool == TOKENS else patches
