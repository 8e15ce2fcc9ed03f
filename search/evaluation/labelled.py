"""Labelled images for a model: read as a search reads them, decoded as the model needs them, labels by its classes."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from search.data.dataset import Dataset
from search.data.depth import Ranges
from search.data.duplicates import grouped
from search.data.groups import regrouped
from search.data.images import THUMBNAIL, Decoded, decode_sizes
from search.data.loading import DECODING, described, find_near_duplicates
from search.data.readers.dispatch import read_dataset
from search.data.readers.paths import check_outside
from search.data.reading import Reading
from search.options import Options, overridden
from search.study import Study
from search.system.cache import sweep
from search.system.errors import UserError
from search.system.places import cache_folder, check_cache, check_space
from search.system.progress import Progress, Say
from search.system.texts import visible

NAMED = 8  # classes, in an error


@dataclass(frozen=True)
class Needs:
    """What a model needs of images: its classes in order, the sides in px that it takes, and what is white."""

    classes: tuple[str, ...]
    sizes: tuple[int, ...]
    ranges: Ranges


@dataclass(frozen=True)
class Labelled:
    """Labelled images that a model can be asked about.

    ``dataset`` has the classes of the model, whose numbers are the labels; groups are as ``regrouped`` makes them.
    ``decoded`` are its images by size, and ``near`` (n,) numbers the groups of near-duplicates. ``unknown`` counts the
    images that were left out for their class, by class.
    """

    dataset: Dataset
    decoded: dict[int, Decoded]
    near: np.ndarray
    unknown: dict[str, int]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.dataset)

    @property
    def groups(self) -> np.ndarray:
        """The number of each image's group, shape (n,)."""
        return np.unique(self.dataset.groups, return_inverse=True)[1]

    def lines(self, size: int) -> list[str]:
        """Return what the images are, and what was left out, in lines; the model takes them at ``size`` px."""
        return [*described(_with_images(self.dataset), size), *_in_words(self)]

    @property
    def absent(self) -> list[str]:
        """The classes of the model of which there are no images."""
        return [name for name, count in self.dataset.counts.items() if not count]


def read_labelled(
    needs: Needs, options: Options, say: Say, progress: Progress, split: str | None = None, *, skip_unknown: bool
) -> Labelled:
    """Return the labelled images that the options name, saying what they are.

    ``split`` takes those of a given split alone. Raises UserError for data that cannot be read, none of which can be
    used, and for classes that the model does not know, unless ``skip_unknown`` leaves their images out.
    """
    assert options.data is not None
    study = overridden(Study(data=options.data), options)
    source = study.data_folder()
    cache = cache_folder(options.cache, source)
    check_outside(cache, source, "Give another folder with --cache")
    check_cache(cache)
    sweep(cache)
    dataset = read_dataset(source, cache, dataclasses.replace(Reading.of(study), single=True))
    dataset = dataset if split is None else _of_split(dataset, split)
    dataset, unknown = _by_classes(dataset, needs.classes, skip_unknown=skip_unknown)
    sizes = [*needs.sizes, THUMBNAIL]
    check_space(cache, len(dataset) * sum(size**2 for size in sizes) * 3)
    decoded = decode_sizes(dataset.paths, dataset.contents, sizes, cache, partial(progress, DECODING), needs.ranges)
    dataset = _readable(dataclasses.replace(dataset, ranges=needs.ranges), decoded[THUMBNAIL])
    pixels = decoded[THUMBNAIL].pixels
    near = grouped(len(dataset), find_near_duplicates(pixels, dataset.contents, cache, progress, ranges=needs.ranges))
    labelled = Labelled(regrouped(dataset, study, near), decoded, near, unknown)
    for line in labelled.lines(max(needs.sizes)):
        say(line)
    return labelled


def _of_split(dataset: Dataset, split: str) -> Dataset:
    if split not in dataset.splits:
        there = f"the splits {', '.join(dataset.splits)}" if dataset.splits else "no given split"
        raise UserError(
            f"There is no split {split!r}: {dataset.source} has {there}. Name one of them, or leave it out."
        )
    return dataclasses.replace(dataset, table=_rows(dataset, (dataset.table["split"] == split).to_numpy()))


def _rows(dataset: Dataset, which: np.ndarray) -> pd.DataFrame:
    return dataset.table[which].reset_index(drop=True)


def _by_classes(dataset: Dataset, classes: Sequence[str], *, skip_unknown: bool) -> tuple[Dataset, dict[str, int]]:
    """Return the images of the classes that a model knows, with its labels, and the number of the others by class."""
    unknown = {name: count for name, count in dataset.counts.items() if count and name not in classes}
    if unknown and not (skip_unknown and set(unknown) < {name for name, count in dataset.counts.items() if count}):
        raise UserError(_unknown_in_words(dataset.source, unknown, classes, skipped=skip_unknown))
    names = np.array(dataset.classes, dtype=object)[dataset.labels]
    number = {name: at for at, name in enumerate(classes)}
    table = _rows(dataset, ~np.isin(names, list(unknown)))
    labels = [number[name] for name in names if name in number]
    table = table.assign(label=np.array(labels, dtype=np.int64))
    return dataclasses.replace(dataset, table=table, classes=tuple(classes)), unknown


def _unknown_in_words(source: Path, unknown: dict[str, int], classes: Sequence[str], *, skipped: bool) -> str:
    listed = ", ".join(f"{name!r} ({count})" for name, count in list(unknown.items())[:NAMED])
    more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
    known = f"{', '.join(classes[:NAMED])}{' …' if len(classes) > NAMED else ''}"
    plural = "class" if len(unknown) == 1 else "classes"
    text = f"{source} has images of the {plural} {listed}{more}, which the model does not know. It knows {known}."
    if skipped:
        return f"{text} Nothing would be left: name the classes as the model does."
    spelt = {name.casefold().strip(): name for name in classes}
    hints = [f"{name!r} as {own!r}" for name in unknown if (own := spelt.get(name.casefold().strip()))]
    rename = f"Name {', '.join(hints)}" if hints else "If it is one of these by another name, rename it"
    return f"{text} {rename}; or leave its images out with --skip-unknown."


def _readable(dataset: Dataset, decoded: Decoded) -> Dataset:
    """Return the data set without the images that could not be decoded. Raises UserError where none is left."""
    unreadable = tuple((dataset.ids[row], reason) for row, reason in decoded.unreadable.items())
    if not decoded.readable:
        reasons = "\n".join(f"  {id_}: {reason}" for id_, reason in unreadable[:5])
        raise UserError(f"No image of {dataset.source} can be read:\n{reasons}\nMend the files, or name others.")
    table = dataset.table.iloc[list(decoded.readable)].reset_index(drop=True)
    every = (*dataset.unreadable, *unreadable)
    return dataclasses.replace(dataset, table=table, unreadable=every, facts=decoded.facts)


def _with_images(dataset: Dataset) -> Dataset:
    """Return a data set with those of its classes alone that have images."""
    there = np.unique(dataset.labels)
    classes = tuple(dataset.classes[label] for label in there)
    table = dataset.table.assign(label=np.searchsorted(there, dataset.labels))
    return dataclasses.replace(dataset, table=table, classes=classes)


def _in_words(labelled: Labelled) -> Iterator[str]:
    """Yield what a reader must know of the images beside what they are."""
    dataset = labelled.dataset
    if labelled.unknown:
        listed = ", ".join(f"{name} {count}" for name, count in labelled.unknown.items())
        images = sum(labelled.unknown.values())
        yield f"Left out: {images} image{'s' * (images > 1)} of classes that the model does not know: {listed}"
    if labelled.absent:
        names = ", ".join(labelled.absent[:NAMED]) + (" …" if len(labelled.absent) > NAMED else "")
        yield f"There are no images of {len(labelled.absent)} of the model's {len(dataset.classes)} classes: {names}"
    if dataset.repeated:
        times = Counter(dataset.repeated)
        yield f"Listed more than once, and counted once: {len(times)} images, such as {visible(next(iter(times)))}"
    if (groups := dataset.table["group"].nunique()) < len(dataset):
        yield f"Groups: {groups}; intervals are by group, as images of one group, such as copies, tell less"
