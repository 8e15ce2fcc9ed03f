"""The inputs of a study: its images read, decoded and grouped; its folds planned; its synthetic images."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd

from search.data.dataset import MANIFEST_COLUMN, Dataset
from search.data.decoding import typical_side
from search.data.depth import BY_FILE, OF_8_BITS, Ranges
from search.data.duplicates import DUPLICATES_VERSION, Pair, grouped, near_duplicates
from search.data.folds import Plan, make_plan
from search.data.groups import COPIES, regrouped
from search.data.images import DECODING_VERSION, THUMBNAIL, Decoded, decode_sizes, extents
from search.data.origins import read_pool
from search.data.readers.dispatch import read_dataset
from search.data.readers.paths import check_outside
from search.data.reading import Reading
from search.data.synthetic import SyntheticPool
from search.options import Options, name_of
from search.study import Study
from search.system.cache import stored, sweep
from search.system.digests import digest
from search.system.errors import UserError
from search.system.places import cache_folder, check_cache, check_space
from search.system.progress import Progress, Say, Steps, silent

CLASSES_NAMED = 12
FILES_NAMED = 20
DECODING = "Decoding images"


@dataclass(frozen=True)
class Inputs:
    """A data set as a study uses it: images decoded at the study's size and as thumbnails, groups, near-duplicates.

    ``near`` (n,) numbers the groups of near-duplicates, whatever the study makes of them,
    and ``pairs`` are the evidence. Where the groups come from a search that has begun there are no pairs, and
    the numbers are those that it recorded, if it did. ``ranges`` are those of deep images that such a search recorded.
    """

    study: Study
    dataset: Dataset
    images: Decoded
    thumbnails: Decoded
    pairs: tuple[Pair, ...]
    near: np.ndarray
    cache: Path
    ranges: Ranges = OF_8_BITS

    @property
    def image_size(self) -> int:
        """The side of the images in px, where a recipe names none."""
        return int(self.images.pixels.shape[1])

    @cached_property
    def plan(self) -> Plan:
        """The folds. Raises UserError for a plan that cannot be had."""
        return make_plan(self.dataset, self.study)


def read_inputs(
    study: Study,
    options: Options,
    say: Say,
    progress: Progress = silent,
    earlier: pd.DataFrame | None = None,
    ranges: Ranges = OF_8_BITS,
    *,
    copies: bool = True,
) -> Inputs:
    """Return the inputs of a study, saying what they are.

    ``earlier`` is the table of images of a search that has begun (images.csv): where they are the same
    images, their groups stay what they were. ``ranges`` are those of such a search; what they lack is chosen now.
    Without ``copies`` nobody needs to know of near-duplicates in other images than those of the search.
    Raises UserError for data that cannot be read, and for a cache that cannot be used.
    """
    source = study.data_folder()
    cache = _cache(options, source)
    dataset = read_dataset(source, cache, Reading.of(study), deep=not ranges.by_file)
    size = study.image_size or typical_side(dataset.paths)
    check_space(cache, len(dataset) * (size**2 + THUMBNAIL**2) * 3)
    dataset, images, thumbnails = _decoded(dataset, size, cache, ranges, partial(progress, DECODING))
    if options.strict and dataset.unreadable:
        raise UserError(f"{_unreadable(dataset)}\nMend or remove them; without --strict they are left out.")
    if (groups := _earlier_groups(dataset, earlier)) is not None:
        dataset = dataclasses.replace(dataset, table=dataset.table.assign(**groups))
        pairs, near = [], pd.factorize(np.array(_names_of_copies(dataset), dtype=object))[0]
    else:
        found = thumbnails.pixels, dataset.contents, cache, progress, dataset.ranges
        pairs = find_near_duplicates(*found) if copies else []
        near = grouped(len(dataset), pairs)
        # Images that a search began without need not fit its pattern: what changed is said once all is compared.
        dataset = regrouped(dataset, study, near, strict=earlier is None)
    for line in described(dataset, size):
        say(line)
    return Inputs(study, dataset, images, thumbnails, tuple(pairs), near, cache, ranges)


def _cache(options: Options, source: Path) -> Path:
    """Return the cache, swept. Raises UserError for one that cannot be used."""
    cache = cache_folder(options.cache, source)
    check_outside(cache, source, "Give another folder with --cache")
    check_cache(cache)
    sweep(cache)
    return cache


def described(dataset: Dataset, size: int) -> Iterator[str]:
    """Yield what was read, and what was left out of it, in lines; the images were decoded at ``size`` px."""
    yield from (_in_words(dataset, size), *dataset.notes, *_omitted(dataset), *_ranges_in_words(dataset))
    if dataset.unreadable:
        yield f"Left out: {_unreadable(dataset)}"


def _decoded(
    dataset: Dataset, size: int, cache: Path, ranges: Ranges, progress: Steps
) -> tuple[Dataset, Decoded, Decoded]:
    """Return the readable images with their ranges, decoded at ``size`` and as thumbnails."""
    deep = extents(dataset.paths, dataset.contents, cache)
    dataset = dataclasses.replace(dataset, ranges=ranges.of(deep.values()))
    sizes = [size, THUMBNAIL]
    decoded = decode_sizes(dataset.paths, dataset.contents, sizes, cache, progress, dataset.ranges)
    return dataset.readable(decoded[size]), decoded[size], decoded[THUMBNAIL]


def _names_of_copies(dataset: Dataset) -> list[str]:
    """Return a name of each image that its copies share, as far as an earlier search has recorded them."""
    copies = dataset.table[COPIES].tolist() if COPIES in dataset.table else [""] * len(dataset)
    return [name or id_ for name, id_ in zip(copies, dataset.ids, strict=True)]


def _earlier_groups(dataset: Dataset, earlier: pd.DataFrame | None) -> dict[str, list[str]] | None:
    """Return the groups and copies of a search that has begun.

    None unless its images, and what a manifest says, are the same.
    """
    if earlier is None or "group" not in earlier:
        return None
    columns = ["id", "content", *(name for name in dataset.table if name.startswith(MANIFEST_COLUMN))]
    if any(name not in earlier or earlier[name].tolist() != dataset.table[name].tolist() for name in columns):
        return None
    return {name: earlier[name].tolist() for name in ("group", COPIES) if name in earlier}


def find_near_duplicates(
    thumbnails: np.ndarray,
    contents: Sequence[str],
    cache: Path,
    progress: Progress = silent,
    ranges: Ranges = BY_FILE,
    others: np.ndarray | None = None,
) -> list[Pair]:
    """Return the near-duplicates among readable images, from ``cache`` if they are there.

    ``thumbnails`` (n, side, side, 3) uint8, ``contents`` their SHA-256, decoded with ``ranges``; ``others`` is as in
    ``near_duplicates``.
    """
    marks = [] if others is None else others.tolist()
    key = digest(["near-duplicates", DUPLICATES_VERSION, DECODING_VERSION, list(contents), marks, *ranges.key])

    def fill(folder: Path) -> None:
        pairs = near_duplicates(thumbnails, progress, others)
        text = json.dumps([dataclasses.astuple(pair) for pair in pairs])
        (folder / "pairs.json").write_text(text, encoding="utf-8")

    def load(folder: Path) -> list[Pair]:
        return [Pair(*fields) for fields in json.loads((folder / "pairs.json").read_text(encoding="utf-8"))]

    return stored(cache / "duplicates" / key, fill, load)


def _in_words(dataset: Dataset, size: int) -> str:
    counts = ", ".join(f"{name} {count}" for name, count in list(dataset.counts.items())[:CLASSES_NAMED])
    more = f", … ({len(dataset.classes)} classes)" if len(dataset.classes) > CLASSES_NAMED else ""
    splits = ", ".join(f"{name} {count}" for name, count in dataset.splits.items())
    split = f"; given split {splits}" if len(dataset.splits) > 1 else ""
    return f"Data: {dataset.source}, {len(dataset)} image{'s' * (len(dataset) > 1)} at {size} px: {counts}{more}{split}"


def _ranges_in_words(dataset: Dataset) -> Iterator[str]:
    """Yield what is white in deep images, in a line for each kind of them."""
    if dataset.ranges.by_file:
        yield "Deep images: the range of each is guessed from its values, as when the search began"
    for kind, top in dataset.ranges.tops.items():
        count = sum(facts.deep == kind for facts in dataset.facts)
        yield f"Range of {kind} images ({count}): 0 is black and {top} is white, as no value is higher"


def _unreadable(dataset: Dataset) -> str:
    lines = "\n".join(f"  {id_}: {reason}" for id_, reason in dataset.unreadable[:FILES_NAMED])
    more = len(dataset.unreadable) - FILES_NAMED
    rest = f"\n  and {more} more" if more > 0 else ""
    plural = "s" if len(dataset.unreadable) > 1 else ""
    return f"{len(dataset.unreadable)} image{plural} cannot be read:\n{lines}{rest}"


def _omitted(dataset: Dataset) -> Iterator[str]:
    """Yield, for each reason, how many images are no examples, with the first of them."""
    for reason, count in Counter(reason for _, reason in dataset.omitted).items():
        first = next(id_ for id_, other in dataset.omitted if other == reason)
        images = "1 image is" if count == 1 else f"{count} images are"
        yield f"{images} left out, as {reason} ({first}{' …' if count > 1 else ''})"


def folds_in_words(study: Study, plan: Plan, dataset: Dataset) -> str:
    """Return the plan in a line."""
    repeats = f"{study.repeats} × " if study.repeats > 1 else ""
    sizes = ", ".join(
        f"{np.mean([len(fold.train) for fold in plan.folds if fold.fraction == fraction]):.0f}"
        for fraction in study.train_fractions
    )
    plural = "s" if study.folds > 1 else ""
    random = f" random split{plural} with {study.val:.0%} for validation" if study.splits == "shuffle" else ""
    groups = dataset.table["group"].nunique()
    whole = f", {groups} groups kept whole" if groups < len(dataset) else ""
    many = f"{len(plan.folds)} runs a trial" if len(plan.folds) > 1 else "1 run a trial"
    return f"Folds: {repeats}{study.folds}{random}, stratified{whole}; training sizes {sizes}; {many}"


def read_synthetic(
    inputs: Inputs, options: Options, say: Say, progress: Progress = silent, earlier: pd.DataFrame | None = None
) -> SyntheticPool | None:
    """Return the synthetic images of a study, None where there are none to be used, saying what they are.

    ``earlier`` is the table of those of a search that has begun (synthetic.csv): where they are the
    same, what they resemble stays what it was. Raises UserError for a folder that is not there, and, if
    the options are strict, for images that cannot be used.
    """
    study, dataset = inputs.study, inputs.dataset
    folder = Path(study.synthetic) if study.synthetic is not None else _default_folder(dataset.source)
    if not folder.is_dir():
        if study.synthetic is not None:
            raise UserError(f"There is no folder of synthetic images {folder}. Make it, or leave synthetic out.")
        say("Synthetic images: none")
        return None
    pool = read_pool(folder, dataset, trust_unsourced=study.trust_unsourced)
    if earlier is not None:  # columns that the search began without, or that were not known then
        pool = pool.as_recorded(earlier)
    if len(pool):
        sizes = [inputs.image_size, THUMBNAIL]
        deep = extents(pool.paths, pool.contents, inputs.cache)
        ranges = inputs.ranges if inputs.ranges.by_file else dataset.ranges.joined(inputs.ranges)
        pool = dataclasses.replace(pool, ranges=ranges.of(deep.values()))
        decoded = decode_sizes(pool.paths, pool.contents, sizes, inputs.cache, partial(progress, DECODING), pool.ranges)
        pool = pool.readable(decoded[inputs.image_size])
        pool = pool.linked(_alike(pool, decoded[THUMBNAIL], inputs, progress, earlier))
    for line in _of_synthetic(folder, pool):
        say(line)
    if pool.left_out and options.strict:
        raise UserError(
            f"{pool.left_out} synthetic images of {folder} cannot be used. Without --strict they are left out."
        )
    return pool if len(pool) else None


def _default_folder(source: Path) -> Path:
    name = f"{name_of(source)}-synthetic"
    return source.parent / name if source.name else source.resolve().parent / name


def _of_synthetic(folder: Path, pool: SyntheticPool) -> Iterator[str]:
    exceptions = f" ({pool.left_out} left out: unreadable, or made from an unreadable image)" if pool.left_out else ""
    yield f"Synthetic images: {folder}, {len(pool)}{exceptions}; each trains only where its sources train"
    if more := sum(bool(rows) for rows in pool.alike):
        yield f"Of these {more} look like real images that they do not name as sources, and follow their folds too"
    if unsourced := sum(pool.unsourced):
        yield f"Warning: synthetic images of unknown origin, used on trust: {unsourced}. Scores may be flattered"


def _is_of(table: pd.DataFrame, pool: SyntheticPool) -> bool:
    """Return whether a table of synthetic images is about those of the pool, and says what they resemble."""
    return {"content", "alike"} <= set(table) and table["content"].tolist() == list(pool.contents)


def _alike(
    pool: SyntheticPool, thumbnails: Decoded, inputs: Inputs, progress: Progress, earlier: pd.DataFrame | None
) -> list[tuple[int, int]]:
    """Return (row of the pool, row of the data set) of near-duplicates, shared by images that look alike.

    Inputs that are known from tables alone have no thumbnails to compare.
    """
    ids = inputs.dataset.ids
    if earlier is not None and _is_of(earlier, pool):
        row_of = {id_: row for row, id_ in enumerate(ids)}
        named = [(row, id_) for row, some in enumerate(earlier["alike"]) for id_ in some.split(";") if id_]
        if all(id_ in row_of for _, id_ in named):  # an id that holds a ; was cut in two, and is looked for anew
            return [(row, row_of[id_]) for row, id_ in named]
    rows = pool.of_doubtful_origin
    if not len(rows) or not len(inputs.thumbnails.pixels):
        return []
    both = np.concatenate([inputs.thumbnails.pixels, thumbnails.pixels[rows]])
    contents = [*inputs.dataset.contents, *(pool.contents[row] for row in rows)]
    synthetic = np.arange(len(contents)) >= len(ids)
    ranges = inputs.dataset.ranges.joined(pool.ranges)
    pairs = find_near_duplicates(both, contents, inputs.cache, progress, ranges, synthetic)
    siblings = [(pair.first - len(ids), pair.second - len(ids)) for pair in pairs if pair.first >= len(ids)]
    family = grouped(len(rows), [Pair(*ends, 1.0, "") for ends in siblings])
    sources = [set(pool.sources[row]) for row in rows]
    for pair in pairs:
        if pair.first < len(ids) <= pair.second:  # what looks like a picture looks like its near-duplicates
            sources[pair.second - len(ids)].update(np.flatnonzero(inputs.near == inputs.near[pair.first]).tolist())
    return [
        (int(row), source)
        for at, row in enumerate(rows)
        for kin in np.flatnonzero(family == family[at])
        for source in sources[kin]
    ]
