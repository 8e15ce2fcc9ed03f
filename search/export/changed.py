"""Other images than those of a search: how they differ, and what trains its recipes on them, unscored."""

import dataclasses
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from search.analysis.ensemble import Ensemble
from search.analysis.judgement import Judgement
from search.analysis.outlook import promise
from search.data.dataset import Dataset
from search.data.finding import listed
from search.data.images import THUMBNAIL, Decoded
from search.data.loading import Inputs, read_inputs
from search.data.synthetic import SyntheticPool
from search.options import Options, name_of, overridden
from search.record import IMAGES, About, Record, images_table, read_table
from search.repertoire.heads import kind_of
from search.repertoire.recipe import Recipe
from search.report.words import amount, limits
from search.space import SpaceFile
from search.study import Study
from search.system.commands import command, command_of
from search.system.errors import UserError
from search.system.progress import Progress, Say
from search.training.materials import Materials

CHANGES = "changes.csv"
ADDED, REMOVED, RELABELLED, REPLACED, RENAMED = KINDS = "added", "removed", "relabelled", "replaced", "renamed"
WORDS = {
    ADDED: "added",
    REMOVED: "removed",
    RELABELLED: "of another class",
    REPLACED: "with another content under the same name",
    RENAMED: "under another name",
}
UNSCORED = "Not scored by this search"


@dataclass(frozen=True)
class Image:
    """An image as tables name it: its id, the name of its class, and the SHA-256 of its content."""

    id: str
    label: str
    content: str


KEYS: tuple[Callable[[Image], tuple[str, ...]], ...] = (  # what makes two images the same one, the surest first
    lambda image: (image.content, image.label, image.id),
    lambda image: (image.content, image.label),
    lambda image: (image.content,),
    lambda image: ("", image.id),
)


def pairs_of(was: Sequence[Image], now: Sequence[Image]) -> list[tuple[int, int]]:
    """Return which image of a search is which one now, as pairs of rows: by content and class, by content, by id."""
    left, right, pairs = dict(enumerate(was)), dict(enumerate(now)), []
    for key in KEYS:
        waiting: defaultdict[tuple[str, ...], deque[int]] = defaultdict(deque)
        for row, image in left.items():
            waiting[key(image)].append(row)
        for row, image in list(right.items()):
            if same := waiting[key(image)]:
                pairs.append((same.popleft(), row))
                del left[pairs[-1][0]], right[row]
    return sorted(pairs)


def _kind(was: Image, now: Image) -> str:
    if was.content != now.content:
        return REPLACED
    if was.label != now.label:
        return RELABELLED
    return RENAMED if was.id != now.id else ""


@dataclass(frozen=True)
class Changes:
    """How the images that train a model differ from those of its search.

    ``was`` and ``now`` are the images of both, ``dataset`` the latter as they are read, with the classes in the order
    of the search. ``lines`` are what reading them said. ``lost`` counts the synthetic images that came from images
    which are not there any more, or in another class.
    """

    was: tuple[Image, ...]
    now: tuple[Image, ...]
    dataset: Dataset
    lines: tuple[str, ...] = ()
    lost: int = 0

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Rows of ``was`` and ``now`` that are the same image."""
        return pairs_of(self.was, self.now)

    @cached_property
    def table(self) -> pd.DataFrame:
        """Each change in a row: its kind, and id and class of the image now and as they were, "" where it has none."""
        old, new = {row for row, _ in self.pairs}, {row for _, row in self.pairs}
        nothing = Image("", "", "")
        rows = [
            *((ADDED, nothing, image) for row, image in enumerate(self.now) if row not in new),
            *((REMOVED, image, nothing) for row, image in enumerate(self.was) if row not in old),
            *((_kind(self.was[row], self.now[other]), self.was[row], self.now[other]) for row, other in self.pairs),
        ]
        kept = sorted((each for each in rows if each[0]), key=lambda each: KINDS.index(each[0]))
        return pd.DataFrame(
            [(kind, now.id, now.label, was.id, was.label) for kind, was, now in kept],
            columns=["change", "id", "class", "was_id", "was_class"],
        )

    @property
    def unchanged(self) -> int:
        """The number of images that are what they were, whatever their names."""
        return len(self.now) - sum(count for kind, count in self.counts.items() if kind not in {REMOVED, RENAMED})

    @property
    def counts(self) -> dict[str, int]:
        """The number of changes of each kind that there is."""
        counted = Counter(self.table["change"])
        return {kind: counted[kind] for kind in KINDS if counted[kind]}

    @property
    def still_there(self) -> dict[int, int]:
        """The rows of the images that kept content and class: those of the search, and where they are now."""
        same = ((row, other) for row, other in self.pairs if _kind(self.was[row], self.now[other]) in {"", RENAMED})
        return dict(same)

    def by_class(self, kind: str) -> dict[str, int]:
        """Return the number of changes of a kind by class; by both classes, as "cat to dog", where it has changed."""
        rows = self.table[self.table["change"] == kind]
        both = zip(rows["was_class"], rows["class"], strict=True)
        return dict(Counter(f"{was} to {now}" if was and now and was != now else was or now for was, now in both))

    @property
    def summary(self) -> str:
        """The changes in a line: "24 images are as they were, 3 added (across 2, down 1), 1 removed (down 1)"."""
        parts = [
            f"{count} {WORDS[kind]} ({', '.join(f'{name} {number}' for name, number in self.by_class(kind).items())})"
            for kind, count in self.counts.items()
        ]
        same = f"{amount(self.unchanged, 'image')} {'is as it was' if self.unchanged == 1 else 'are as they were'}"
        return ", ".join([same, *(parts or ["but in other groups, or read otherwise"])])

    def to_dict(self) -> dict[str, Any]:
        """Return what recipe.json says of them, as JSON types."""
        return {
            "scored": False,
            "data": name_of(self.dataset.source),
            "digest": self.dataset.digest,
            "images": len(self.now),
            "images_of_search": len(self.was),
            "unchanged": self.unchanged,
            **{kind: self.by_class(kind) for kind in KINDS},
            "unreadable": len(self.dataset.unreadable),
            "synthetic_left_out": self.lost,
            "list": CHANGES,
        }


def changes_since(
    record: Record, chosen: str | Ensemble, reopened: Mapping[str, Any], progress: Progress
) -> Changes | None:
    """Return how the images where ``reopened`` finds them differ from those of a search; None where they do not.

    ``reopened`` are the options of ``reopening``. Near-duplicates are looked for only where a head of ``chosen`` keeps
    them together, as one does that is fitted all at once. Raises UserError for images that cannot be read, for classes
    that the search does not know, and for one that has no images any more.
    """
    images, about = read_table(record.folder, IMAGES), record.about
    if images is None or not {"id", "label", "content"} <= set(images):  # an older search does not say it
        return None
    study, options = _as_reopened(reopened, about)
    study = study.replace(image_size=about.study["image_size"])  # what is typical of other images does not matter
    lines: list[str] = []
    recipes = [record.history.trials[name].recipe for name in weights_of(chosen)]
    copies = any(isinstance(recipe, Recipe) and kind_of(recipe.head).layers is None for recipe in recipes)
    dataset = read_inputs(study, options, lines.append, progress, images, about.ranges, copies=copies).dataset
    if dataset.digest == about.identity["data"]:
        return None
    _check_classes(record, dataset)
    order = {name: number for number, name in enumerate(about.classes)}
    labels = np.array([order[dataset.classes[label]] for label in dataset.labels], np.int64)
    dataset = dataclasses.replace(dataset, table=dataset.table.assign(label=labels), classes=tuple(order))
    return Changes(_images(images), _images(images_table(dataset)), dataset, tuple(lines))


def _as_reopened(reopened: Mapping[str, Any], about: About) -> tuple[Study, Options]:
    options = Options(**{name: value for name, value in reopened.items() if name != "study"})
    study = overridden(reopened["study"], options)
    return (study.with_recorded(about.study["groups"]) if study.groups == about.study["groups"] else study), options


def _images(table: pd.DataFrame) -> tuple[Image, ...]:
    return tuple(map(Image, table["id"], table["label"], table["content"]))


def _check_classes(record: Record, dataset: Dataset) -> None:
    """Raise UserError where the classes are not those of the search."""
    known, counts, source = record.about.classes, dataset.counts, dataset.source
    anew = command("run", record.about.space_file, data=source) if record.about.space_file else "the verb run"
    problems = []
    if new := [f"{name!r} ({amount(count, 'image')})" for name, count in counts.items() if name not in known]:
        problems.append(
            f"{source} has classes that {record.name} does not know: {listed(new)}. Its recipes were chosen for "
            f"{', '.join(known)}, and its models can answer nothing else. Take the images of other classes away."
        )
    if gone := [name for name in known if name not in counts]:
        problems.append(
            f"{source} has no image of {listed([repr(name) for name in gone])}. A model of {record.name} answers with "
            "each of its classes, and cannot learn one without images. Put some there."
        )
    if problems:
        renamed = " A class under another name counts as another one." if len(problems) > 1 else ""
        raise UserError(" ".join([*problems, f"Or search these images anew: {anew}{renamed}"]))


def refused(record: Record, changes: Changes, typed: Mapping[str, Any]) -> UserError:
    """Return the error that says what changed where the images of a search are, with the ways out."""
    again = command_of(record.folder, "export", **{**typed, "data": changes.dataset.source})
    return UserError(
        f"{record.name}: the images, their labels or groups changed since its search began: {changes.summary}. Undo "
        "the change to export a model of the images that its scores are about. Or train the recipe on the images as "
        f"they are now, which this search has not scored: {again}"
    )


def weights_of(chosen: str | Ensemble) -> dict[str, float]:
    """Return the trials that are trained for a model, by id, with how much each counts."""
    return {chosen: 1.0} if isinstance(chosen, str) else dict(chosen.members)


def expectation(judgement: Judgement, chosen: str | Ensemble, changes: Changes) -> str:
    """Return in words what a score on the images of the search says of a model that others train."""
    objective = judgement.metric.title
    if isinstance(chosen, str):
        told = promise(judgement, judgement.record.history.trials[chosen])
        expected, whose = told.expected if told else None, "its recipe"
    else:
        expected, whose = chosen.combined.score, "the ensemble"
    own = f"the search's own {amount(len(changes.was), 'image')}"
    if expected is None:
        return f"This trial was stopped, so it has no score on {own} either."
    more = "Expect at least that of new images like these, as more images seldom make a model worse."
    fewer = "This model has fewer images to learn from, so expect rather less."
    return (
        f"On {own}, {whose} is expected to have a {objective} of {expected.mean:.3f} "
        f"({limits(expected)}). {more if len(changes.now) >= len(changes.was) else fewer}"
    )


def said(changes: Changes) -> Iterator[str]:
    """Yield what people must know before the training."""
    yield from changes.lines
    yield f"{UNSCORED}: other images train this model. {changes.summary}"
    if not changes.still_there:
        yield "Warning: none of these images is one of the search. Is this the right place?"
    if changes.lost:
        yield (
            f"{amount(changes.lost, 'synthetic image')} left out, as real images that they came from are not there any "
            "more, or in another class"
        )


def materials_on(
    record: Record,
    changes: Changes,
    chosen: str | Ensemble,
    space: SpaceFile,
    reopened: Mapping[str, Any],
    say: Say,
    progress: Progress,
) -> tuple[Materials, Changes]:
    """Return what trains on the changed images, once all else of its search is what it was.

    The search is set up from its tables, as if its images were there: so space, code, weights, synthetic images and
    versions are compared as ever. Raises UserError where they differ, and where no synthetic image is left of those
    that the recipe wants.
    """
    from search.prepare import complete

    about = record.about
    study, options = _as_reopened({**reopened, "synthetic": _synthetic(record)}, about)
    file = dataclasses.replace(space, study=study, written=space.study)
    inputs = _as_recorded(record, study, reopened)
    setup = complete(file, inputs, record.folder, options, about.findings or [], about, say, progress)
    pool, lost = _synthetic_left(setup.pool, record, changes, chosen)
    materials = dataclasses.replace(
        setup.materials,
        paths=tuple(path.resolve() for path in changes.dataset.paths),
        contents=tuple(changes.dataset.contents),
        labels=changes.dataset.labels,
        groups=np.unique(changes.dataset.groups, return_inverse=True)[1],
        ranges=changes.dataset.ranges,
        pool=pool,
        folds={},
    )
    return materials, dataclasses.replace(changes, lost=lost)


def _synthetic_left(
    pool: SyntheticPool | None, record: Record, changes: Changes, chosen: str | Ensemble
) -> tuple[SyntheticPool | None, int]:
    """Return the synthetic images that may train, None where none are wanted, and how many are left out."""
    wanting = [name for name in weights_of(chosen) if record.history.trials[name].recipe.synthetic]
    if pool is None or not wanting:
        return None, 0
    left = pool.carried(changes.still_there)
    if not len(left):
        raise UserError(
            f"Trial {wanting[0]} trains on synthetic images, and each of those in {pool.root} came from images that "
            f"are not in {changes.dataset.source}, or in another class there. Export a trial without them with --trial."
        )
    return left, len(pool) - len(left)


def _synthetic(record: Record) -> str | None:
    """Return where the synthetic images are. Raises UserError where a search had some, and they are gone."""
    folder = record.about.synthetic
    if folder is not None and not Path(folder).is_dir():
        raise UserError(
            f"The synthetic images of {record.name} were in {folder}, where there is nothing now. Put them back there."
        )
    return folder


def _as_recorded(record: Record, study: Study, reopened: Mapping[str, Any]) -> Inputs:
    """Return the images of a search as its tables have them; their files need not be there, so they have no pixels."""
    from search.system.places import cache_folder

    about, table = record.about, read_table(record.folder, IMAGES)
    assert table is not None, "it was compared"
    number = {name: at for at, name in enumerate(about.classes)}
    dataset = Dataset(
        root=Path(about.root),
        table=table.assign(label=np.array([number[name] for name in table["label"]], np.int64)),
        classes=tuple(number),
        unreadable=tuple((id_, reason) for id_, reason in about.unreadable),
        source=Path(about.data),
        ranges=about.ranges,
    )
    empty = partial(_no_pixels, len(dataset))
    near = np.arange(len(dataset))
    cache = cache_folder(reopened.get("cache"), Path(about.data))
    size = about.study["image_size"]
    return Inputs(study, dataset, empty(size), empty(THUMBNAIL), (), near, cache, about.ranges)


def _no_pixels(images: int, size: int) -> Decoded:
    return Decoded(np.empty((0, size, size, 3), np.uint8), tuple(range(images)), {}, (), "")
