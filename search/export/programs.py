"""The programs in the card of an exported model: one for Keras, and one for each other runtime that has a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.data.decoding import DRAFT
from search.export.forms.form import Form, Program
from search.export.opened import MODEL


class Code(str):
    """Lines of a program, which stand in a card as they are."""

    __slots__ = ()


@dataclass(frozen=True)
class Listing:
    """A program in a card: which runtime it is for, what has to be installed, and its own lines.

    ``others`` are files that it runs too, with their names in place of that of its own.
    """

    title: str
    file: str
    packages: Code
    imports: Code
    opening: Code
    call: Code
    others: tuple[str, ...] = ()


def _call(inputs: Mapping[str, str]) -> str:
    images = ", ".join(inputs.values())
    return f"probabilities = model.predict({f'[{images}]' if len(inputs) > 1 else images}, verbose=0)[0]"


KERAS = Program("import keras", f'model = keras.models.load_model("{MODEL}")', _call)


def listings(sizes: Sequence[int], forms: Sequence[Form], versions: Mapping[str, str]) -> list[Listing]:
    """Return the programs for a model whose inputs have these sizes; forms of the same runtime share one."""
    pixels = {f"pixels_{size}": f"pixels(path, {size}, {draft(size)})[None]" for size in sizes}
    if len(sizes) == 1:
        pixels = {"pixels": "pixels(path)[None]"}
    packages = f"keras=={versions['keras']} tensorflow=={versions['tensorflow']} pillow"
    found = [_listing("Keras", MODEL, packages, KERAS, pixels)]
    by_tag: dict[str, list[Form]] = {}
    for form in forms:
        by_tag.setdefault(form.tag, []).append(form)
    for first, *others in by_tag.values():
        names = tuple(form.file for form in others)
        found.append(_listing(first.title, first.file, first.packages, first.program, pixels, names))
    return found


def draft(size: int) -> int:
    """Return the size that a JPEG has at least once it is scaled down while it is decoded, in pixels."""
    return DRAFT if size <= DRAFT else 2 * DRAFT


def _listing(
    title: str, file: str, packages: str, program: Program, pixels: Any, others: tuple[str, ...] = ()
) -> Listing:
    imports, opening, call = map(Code, (program.imports, program.opening, program.call(pixels)))
    return Listing(title, file, Code(packages), imports, opening, call, others)
