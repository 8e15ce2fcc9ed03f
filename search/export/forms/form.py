"""Form: a file of an exported model for a runtime of its own, with all that the program needs to know of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from search.system.tf import keras

Pixels = Sequence[np.ndarray]  # of the same n images at each size of a model, (n, side, side, 3), uint8
Calibration = Callable[[], Iterator[list[np.ndarray]]]  # gives single images at each size, (1, side, side, 3), float32


def names_of(pixels: Pixels) -> list[str]:
    """Return the names of the inputs of a model, as ``search.export.plain`` gives them."""
    return [f"pixels_{each.shape[1]}" if len(pixels) > 1 else "pixels" for each in pixels]


@dataclass(frozen=True)
class Program:
    """The lines of Python that differ from form to form: what is imported, and what opens the model.

    ``call`` gives the line that sets ``probabilities`` for one image, from the inputs by name: expressions for their
    pixels, (1, side, side, 3).
    """

    imports: str
    opening: str
    call: Callable[[Mapping[str, str]], str]


@dataclass(frozen=True)
class Form:
    """A form of an exported model: ``file`` is its name in the folder of the export, ``title`` that of its runtime.

    ``needs`` are the packages that write and run it, as pip takes them, all of them in the extra ``extra``; both are
    empty where it needs no more than an export itself. ``write`` takes a plain model from pixels of 0 to 255 to
    probabilities, a path and images to calibrate by; ``run`` returns the probabilities (n, classes) that the file at a
    path gives images. They may differ from the model's by ``tolerance`` at most; None says that they differ by design,
    and that the loss is measured on images that did not train the network. ``packages`` is what a person installs to
    use the file, and ``tag`` what the Hugging Face Hub calls its library.
    """

    name: str
    title: str
    file: str
    write: Callable[["keras.Model", Path, Calibration], None]
    run: Callable[[Path, Pixels], np.ndarray]
    program: Program
    packages: str
    tag: str
    tolerance: float | None = 1e-4
    needs: tuple[str, ...] = ()
    extra: str = ""


def described(form: Form, entry: dict[str, Any]) -> Iterator[str]:
    """Yield what is known of a form that was written, in sentences."""
    from search.report.words import amount  # which loads pandas, and the command line lists the forms

    size = f"{entry['bytes'] / 1e6:.1f} MB" if entry["bytes"] >= 1e5 else f"{entry['bytes'] / 1e3:.1f} kB"
    same = entry["same_answers"]
    of = f"{amount(entry['images'], 'image')} that trained it"
    within = "" if form.tolerance is None else f" (at most {form.tolerance:g} are allowed)"
    yield (
        f"{form.file} ({form.title}): {size}. Its probabilities differ from those of model.keras by up to "
        f"{entry['largest_difference']:.2g}{within} on {of}; the answer is the same for {same}."
    )
    if unseen := entry.get("unseen"):
        yield (
            f"What {form.title} loses: the recipe was trained once more on {amount(unseen['trained_on'], 'image')}. "
            f"Of {unseen['images']} others, that network has {unseen['right']} right in this form and "
            f"{unseen['right_in_float32']} in float32; the answer is the same for {unseen['same_answers']}."
        )
