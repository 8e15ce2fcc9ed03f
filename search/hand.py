"""What a space may choose from on this machine: backbones with weights, amounts of synthetic images.

A space asks ``at_hand([...])``; the driver first calls it to learn what is asked for, gets the
weights or says what is missing, and from then on the same names are given back, also after a
resume. Without a driver (in a notebook, say) what lies on this machine is given back.
"""

import contextlib
import http.client
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from search.catalog import BACKBONES, Backbone
from search.digests import file_sha256
from search.errors import UserError
from search.recipe import one_of
from search.study import SpaceFile, load_space_file

PROBE_SECONDS = 5.0
PACKAGED = Path(__file__).parent / "models"


@dataclass
class Hand:
    """What ``at_hand`` and ``amounts_at_hand`` answer.

    ``weights`` maps each backbone that may be used to the SHA-256 of its weights ("" for one
    that has none). While it is None, everything asked for is given and noted in ``asked``.
    ``ready`` is false while a space file is being loaded: it is too early to ask.
    """

    ready: bool = True
    weights: dict[str, str] | None = None
    synthetic: bool = True
    asked: list[str] = field(default_factory=list)

    def ask(self, *names: str) -> None:
        """Note that these backbones are wanted."""
        self.asked += [name for name in names if name not in self.asked]


_hand: ContextVar[Hand | None] = ContextVar("hand", default=None)


@contextlib.contextmanager
def holding(hand: Hand) -> Iterator[Hand]:
    """Let ``at_hand`` answer from ``hand`` inside the block."""
    token = _hand.set(hand)
    try:
        yield hand
    finally:
        _hand.reset(token)


def read_space(path: Path) -> SpaceFile:
    """Return a space file as read: too early to ask what is at hand."""
    with holding(Hand(ready=False)):
        return load_space_file(path)


def at_hand(backbones: Iterable[str]) -> list[str]:
    """Return those of ``backbones`` that can be trained here, in the same order.

    Raises UserError for an unknown name, and where none is left.
    """
    names = list(backbones)
    for name in names:
        one_of("at_hand backbone", name, BACKBONES)
    hand = _asked_in_time("at_hand")
    if hand is None:
        kept = [name for name in names if is_cached(BACKBONES[name])]
    elif hand.weights is None:
        hand.ask(*names)
        kept = names
    else:
        kept = [name for name in names if name in hand.weights]
    if not kept:
        raise UserError(f"at_hand({names}): no weights of any of them are at hand. Add 'Embedded', which comes along.")
    return kept


def amounts_at_hand(amounts: Iterable[Any]) -> list[Any]:
    """Return ``amounts`` of synthetic images, or the one that is none where the study has no pool of them.

    That is 0 among numbers and ratios. Names that a space gives to amounts (also as the keys of
    a dict) begin with the name for none, by convention; a recipe that asks for images all the
    same is refused before the first trial. Raises UserError where there are no amounts, and for
    whole numbers beside ratios, which no hp.Choice can hold; among ratios 0 becomes 0.0.
    """
    given = _of_one_type(list(amounts))
    if not given:
        raise UserError("amounts_at_hand([]) has no amounts. Give some, 0 first, as in amounts_at_hand([0, 8, 32]).")
    hand = _asked_in_time("amounts_at_hand")
    if hand is not None and hand.synthetic:
        return given
    return given[:1] if isinstance(given[0], str) else [0]


def _of_one_type(amounts: list[Any]) -> list[Any]:
    some = {type(amount) for amount in amounts if amount}
    if some == {int, float}:
        raise UserError(
            f"amounts_at_hand({amounts}) has numbers of images beside ratios, and hp.Choice can hold only one type. "
            'Give them names: AMOUNTS = {"none": 0, "few": 8, "half": 0.5}, and '
            'AMOUNTS[hp.Choice("synthetic", amounts_at_hand(AMOUNTS))].'
        )
    return [float(amount) if amount == 0 else amount for amount in amounts] if some == {float} else amounts


def _asked_in_time(function: str) -> Hand | None:
    hand = _hand.get()
    if hand is not None and not hand.ready:
        raise UserError(f"{function}(…) is called where nothing is known yet: call it inside space(hp).")
    return hand


def weights_folder() -> Path:
    """Return the folder where Keras caches weights: ``$KERAS_HOME/models``, or ``~/.keras/models``."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser() / "models"


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


def missing_in_words(missing: list[Missing]) -> str:
    """Return what is left out, where each file was looked for, and the way to get it."""
    listed = "\n".join(str(one) for one in missing)
    return (
        f"Left out, as their ImageNet weights are not in {missing[0].folder}:\n{listed}\n"
        "  To have one, put its file into that folder, or begin a search where there is a network."
    )


def resolve(
    names: Iterable[str], *, offline: bool, announce: Callable[[str], None]
) -> tuple[dict[str, str], list[Missing]]:
    """Return the digests of the weights that can be had, and what is missing of ImageNet's.

    What is not cached is downloaded into the weights folder, after ``announce`` was told its
    size, unless ``offline``. Raises UserError where weights that come with this package are not whole.
    """
    weights: dict[str, str] = {}
    missing: list[Missing] = []
    obstacle = "--offline" if offline else ""
    for backbone in (BACKBONES[name] for name in names):
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
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file, wrap_file(answer, size, description=target.name, transient=True) as source:
            shutil.copyfileobj(source, file)
        if size and partial.stat().st_size != size:
            raise OSError(f"{partial.stat().st_size} of {size} bytes arrived")
        if damage(partial):
            raise OSError("what arrived is no HDF5 file; does a proxy answer in its place?")
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
