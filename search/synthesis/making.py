"""Make a pool of synthetic images for a study: what is asked of it, read and checked, and the work in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search.analysis.hard import hard_ids
from search.data.loading import Inputs, folds_in_words, read_inputs
from search.data.readers.paths import check_outside
from search.options import Options, overridden
from search.record import Record
from search.report.thumbnails import known_files
from search.space import SpaceFile
from search.synthesis.card import MethodCard, write_card
from search.synthesis.extractor import Extractor
from search.synthesis.methods.method import Method
from search.synthesis.methods.table import METHODS
from search.synthesis.pool import PoolWriter, Wanted, WrittenPool
from search.system.errors import UserError
from search.system.progress import Progress, Say
from search.system.validation import one_of

HARD, ALL = "hard:", "all"


@dataclass(frozen=True)
class Asked:
    """What a person asks of a pool, as text has it.

    ``origin`` is "all", amounts by class as "cat=480,dog=250", or "hard:NAME", where ``search`` is the record of that
    search. ``settings`` are those that only the method has, as "name=value". ``strength`` is None for the method's.
    """

    method: str
    per_class: int | None = None
    origin: str = ALL
    settings: Sequence[str] = ()
    strength: float | None = None
    search: Record | None = None


def make_pool(
    file: SpaceFile, options: Options, asked: Asked, to: Path, say: Say, progress: Progress
) -> tuple[WrittenPool, MethodCard]:
    """Make a pool in the folder ``to`` for the folds of a study, and return it with its card.

    Raises UserError for what cannot be made, before the first image.
    """
    one_of("--method", asked.method, METHODS)
    method = METHODS[asked.method]
    settings = settings_of(method, asked.settings)
    study = overridden(file.study, options)
    check_outside(to, study.data_folder(), "Its images would be read as real ones. Name a folder elsewhere with --to")
    inputs = read_inputs(study, options, say, progress)
    say(folds_in_words(study, inputs.plan, inputs.dataset))
    wanted = Wanted(
        method=method,
        numbers=numbers_of(inputs, asked),
        strength=method.strength if asked.strength is None else asked.strength,
        seed=study.seed,
        chosen=_chosen(inputs, asked),
        origin=asked.origin,
        prompts=file.prompts,
        options=settings,
    )
    extractor = Extractor(inputs.images.pixels)
    writer = PoolWriter(to, inputs, wanted, extractor)
    say(f"Images to make: {writer.total} by {method.name} ({method.words}), for {len(writer.folds)} folds")
    cards: list[MethodCard] = []
    pool = writer.write(say, progress, lambda made: cards.append(write_card(made, inputs, wanted, extractor, progress)))
    return pool, cards[0]


def settings_of(method: Method, settings: Sequence[str]) -> dict[str, int | str]:
    """Return a method's own settings by name. Raises UserError for one that it has not."""
    given: dict[str, int | str] = {}
    for setting in settings:
        name, equals, value = (text.strip() for text in setting.partition("="))
        if not equals or not value:
            raise UserError(f"--set {setting!r} must be a name and a value, as in --set epochs=100.")
        if not method.options:
            raise UserError(f"--set {setting}: {method.name} has no settings of its own.")
        one_of(f"--set: a setting of {method.name}", name, method.options)
        given[name] = int(value) if value.isdecimal() else value
    return given


def numbers_of(inputs: Inputs, asked: Asked) -> dict[str, int]:
    """Return how many images of each class are wanted. Raises UserError for what is no amount."""
    origin, per_class = asked.origin, asked.per_class
    if "=" not in origin:
        if per_class is None:
            raise UserError("How many images? Give --per-class N, or amounts by class: --from cat=480,dog=250.")
        return dict.fromkeys(inputs.dataset.classes, per_class)
    if per_class is not None:
        raise UserError(f"--from {origin} says how many images of each class, as --per-class does. Give one of them.")
    numbers = {}
    for part in origin.split(","):
        name, _, number = (text.strip() for text in part.rpartition("="))
        one_of(f"--from {origin}: a class", name, inputs.dataset.classes)
        if not number.isdecimal() or not int(number):
            raise UserError(f"--from {origin}: {number!r} is no number of images, 1 or more, for class {name}.")
        numbers[name] = int(number)
    return numbers


def _chosen(inputs: Inputs, asked: Asked) -> tuple[int, ...] | None:
    """Return the rows of the images that are to be first sources, None for all."""
    if "=" in asked.origin or asked.origin == ALL:
        return None
    if asked.search is None:
        raise UserError(
            f"--from {asked.origin!r} must be all, hard:NAME of a search, or amounts by class, as cat=480,dog=250."
        )
    row_of = {id_: row for row, id_ in enumerate(inputs.dataset.ids)}
    ids = hard_ids(asked.search)
    if not ids:
        raise UserError(f"{asked.search.name} has no hard images: some recipes are right of each. Give --from all.")
    then = {id_: content for id_, _, content in known_files(asked.search, ids)}
    contents = dict(zip(inputs.dataset.ids, inputs.dataset.contents, strict=True))
    same = [id_ for id_ in ids if id_ in row_of and then.get(id_, contents[id_]) == contents[id_]]
    chosen = tuple(sorted(row_of[id_] for id_ in same))
    if not chosen:
        raise UserError(
            f"None of the {len(ids)} hard images of {asked.search.name} is among the images of {inputs.dataset.source}."
        )
    return chosen
