"""Pretrained weights: which are on this machine, which can be fetched, and whether they are whole."""

import http.client
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from search.repertoire.backbones.backbone import Backbone
from search.system.commands import command
from search.system.digests import file_sha256
from search.system.errors import UserError
from search.system.files import new_file

PROBE_SECONDS = 5.0
PACKAGED = Path(__file__).parent / "backbones"


def weights_folder() -> Path:
    """Return the folder where Keras caches weights: ``$KERAS_HOME/models``, or ``~/.keras/models``."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser() / "models"


# DECISIONS: Weights are loaded by path
def weights_file(backbone: Backbone) -> Path | None:
    """Return where the weights of a backbone are, or would be; None for one that has none."""
    if backbone.weights is None:
        return None
    return (PACKAGED if backbone.weights.packaged else weights_folder()) / backbone.weights.file


def is_cached(backbone: Backbone) -> bool:
    """Return whether the backbone needs no weights, or has a file of them here."""
    file = weights_file(backbone)
    return file is None or file.is_file()


def check_packaged(backbone: Backbone) -> Path | None:
    """Return the file of weights that come with this package, None for others.

    Raises UserError where it is gone or is not the file that its checksum was taken of.
    """
    file = weights_file(backbone)
    if file is None or backbone.weights is None or not backbone.weights.packaged:
        return None
    if not file.is_file() or file_sha256(file) != backbone.weights.sha256:
        what = "damaged" if file.is_file() else "gone"
        raise UserError(
            f"The weights of {backbone.name}, which come with this package, are {what}: {file}. Install it again."
        )
    return file


def check_weights(backbone: Backbone, sha256: str = "") -> None:
    """Raise UserError unless the backbone's weights are there, and equal ``sha256`` if given; ours must be whole."""
    packaged = check_packaged(backbone)
    file = packaged or weights_file(backbone)
    if file is None or not file.is_file():
        raise UserError(
            f"The weights of {backbone.name} are gone: {file} is not there. Put it back, or set KERAS_HOME."
        )
    if sha256 and weights_sha256(backbone) != sha256:
        if packaged:
            raise UserError(
                f"This search began with other weights of {backbone.name}, of another version of this package: go on "
                "with that version, or begin anew with --fresh or under another --name."
            )
        raise UserError(f"The weights of {backbone.name} changed: {file} is another file than the search began with.")


def damage(file: Path) -> str:
    """Return why a file can be no weights, "" if it may be: it must open as HDF5, whole."""
    import h5py

    try:
        h5py.File(file, "r").close()
    except OSError as error:
        return f"the file there is damaged, delete it: {str(error).split('(')[-1].rstrip(')')}"
    return ""


@dataclass(frozen=True)
class Missing:
    """A backbone left out: the file that was not found, where, its address, and why it was not fetched."""

    backbone: str
    file: str
    folder: Path
    url: str
    reason: str

    def __str__(self) -> str:
        """Say what is missing, why, and where it comes from, on two lines."""
        return f"  {self.backbone} ({self.reason}): {self.file}\n    from {self.url}"


def missing_in_a_line(missing: list[Missing]) -> str:
    """Return what is left out, why, and where to read more."""
    names: dict[str, list[str]] = {}
    for entry in missing:
        names.setdefault(entry.reason, []).append(entry.backbone)
    listed = "; ".join(f"{', '.join(some)} ({reason})" for reason, some in names.items())
    return f"Left out, as their ImageNet weights are not here: {listed}. How to have them: {command('weights')}"


def missing_in_words(missing: list[Missing]) -> str:
    """Return what is left out, where each file was looked for, and the way to get it."""
    listed = "\n".join(str(entry) for entry in missing)
    return (
        f"Left out, as their ImageNet weights are not in {missing[0].folder}:\n{listed}\n"
        "  To have one, put its file into that folder, or begin a search where there is a network."
    )


def resolve(
    backbones: Iterable[Backbone], *, offline: bool, announce: Callable[[str], None]
) -> tuple[dict[str, str], list[Missing]]:
    """Return the digests of the weights that can be had, and what is missing of ImageNet's.

    What is not cached is downloaded into the weights folder, after ``announce`` was called with its
    size, unless ``offline``. Raises UserError where weights that come with this package are not whole.
    """
    weights: dict[str, str] = {}
    missing: list[Missing] = []
    obstacle = "--offline" if offline else ""
    for backbone in backbones:
        file = weights_file(backbone)
        if file is None or check_packaged(backbone):
            reason = ""
        elif not file.is_file():
            reason = obstacle or _download(backbone, announce)
            obstacle = obstacle or (reason if reason.startswith("no network") else "")
        else:
            reason = damage(file)
        if not reason:
            weights[backbone.name] = weights_sha256(backbone)
        elif backbone.weights is not None:
            missing.append(
                Missing(backbone.name, backbone.weights.file, weights_folder(), backbone.weights.url, reason)
            )
    return weights, missing


def weights_sha256(backbone: Backbone) -> str:
    """Return the SHA-256 of the weights as they are here; "" for a backbone that has none."""
    file = weights_file(backbone)
    return file_sha256(file) if file else ""


def _download(backbone: Backbone, announce: Callable[[str], None]) -> str:
    """Fetch the weights of a backbone; return "" or why that was not possible."""
    assert backbone.weights is not None
    try:
        with urllib.request.urlopen(backbone.weights.url, timeout=PROBE_SECONDS) as answer:
            size = int(answer.headers.get("Content-Length") or 0)
            announce(f"Downloading the weights of {backbone.name} ({size / 1e6:.1f} MB) to {weights_folder()}")
            _save(answer, size, weights_folder() / backbone.weights.file)
    except urllib.error.HTTPError as error:
        return f"its address answers {error.code}"
    except urllib.error.URLError as error:
        return f"no network: {getattr(error.reason, 'strerror', None) or error.reason}"
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"the download failed: {error}"
    return ""


def _save(answer: BinaryIO, size: int, target: Path) -> None:
    """Copy a download to ``target`` with a progress bar; a half one leaves no file."""
    from rich.progress import wrap_file

    target.parent.mkdir(parents=True, exist_ok=True)
    with new_file(target) as file:
        with wrap_file(answer, size, description=target.name, transient=True) as source:
            shutil.copyfileobj(source, file)
        file.flush()
        if size and file.tell() != size:
            raise OSError(f"{file.tell()} of {size} bytes arrived")
        if damage(Path(file.name)):
            raise OSError("what arrived is no HDF5 file; does a proxy answer in its place?")
