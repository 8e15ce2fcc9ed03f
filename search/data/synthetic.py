"""Synthetic images: which of them may train which fold, and the draw of a number of them."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from search.data.depth import OF_8_BITS, Ranges
from search.data.folds import Fold
from search.data.images import Decoded
from search.data.readers.manifest import MANIFEST
from search.repertoire.synthetic import Synthetic
from search.system.digests import digest, seed_from
from search.system.errors import UserError
from search.system.validation import one_of

METHOD, TRAINED_ON, MADE_FOR = "method", "trained_on", "made_for"  # further columns, which a manifest may have


@dataclass(frozen=True)
class SyntheticPool:
    """Generated images, each with the real images that it came from.

    ``labels`` are class numbers, shape (m,), and ``classes`` their names; ``sources`` the rows of
    the data set behind each image, ``paths`` and ``contents`` where each lies and its SHA-256.
    ``methods`` say how each was made, "" where that is not known. ``trained_on`` names for each what its generator was
    fitted on, "" for nothing, and ``fitted`` are the rows of the data set behind these names. ``made_for`` names the
    fold from whose training part each was made, "" where it was made for none: a fold takes its own first.
    ``alike`` are further rows that an image resembles: they count like sources, but are no
    part of the digest, as they were found and not named. ``unsourced`` says of each image whether it came,
    wholly or in part, from who knows where: its ``sources`` may then be empty, and scores
    flattered. ``left_out`` counts the images of the manifest that cannot be used: a source, or the
    image itself, is unreadable. ``ranges`` say what is white in deep images.
    """

    root: Path
    paths: tuple[Path, ...]
    contents: tuple[str, ...]
    labels: np.ndarray
    sources: tuple[tuple[int, ...], ...]
    classes: tuple[str, ...]
    unsourced: tuple[bool, ...]
    left_out: int = 0
    alike: tuple[tuple[int, ...], ...] = ()
    ranges: Ranges = OF_8_BITS
    methods: tuple[str, ...] = ()
    trained_on: tuple[str, ...] = ()
    fitted: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    made_for: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    @property
    def known_methods(self) -> tuple[str, ...]:
        """The methods that the manifest names, sorted."""
        return tuple(sorted(set(filter(None, self.methods))))

    @property
    def digest(self) -> str:
        """A name for contents, labels and origins."""
        further = [list(texts) for texts in self._further.values()]
        fitted = sorted((name, list(rows)) for name, rows in self.fitted.items())
        origins = [[list(rows) for rows in self.sources], *([further, fitted] if any(further) else [])]
        return digest([list(self.contents), self.labels.tolist(), *origins])

    def readable(self, decoded: Decoded) -> "SyntheticPool":
        """Return the pool without the images that could not be decoded."""
        pool = self._only(decoded.readable)
        return dataclasses.replace(pool, left_out=self.left_out + len(decoded.unreadable))

    def _only(self, rows: Sequence[int]) -> "SyntheticPool":
        return dataclasses.replace(
            self,
            paths=tuple(self.paths[row] for row in rows),
            contents=tuple(self.contents[row] for row in rows),
            labels=self.labels[list(rows)],
            sources=tuple(self.sources[row] for row in rows),
            alike=tuple(self.alike[row] for row in rows if self.alike),
            unsourced=tuple(self.unsourced[row] for row in rows),
            methods=tuple(self.methods[row] for row in rows if self.methods),
            trained_on=tuple(self.trained_on[row] for row in rows if self.trained_on),
            made_for=tuple(self.made_for[row] for row in rows if self.made_for),
        )

    def carried(self, rows: Mapping[int, int]) -> "SyntheticPool":
        """Return the pool for another data set, without the images of which a source is not in it.

        ``rows`` maps rows of the present data set to those of the other one. What images resemble is forgotten, and so
        are those rows that generators were fitted on and that the other one lacks.
        """
        kept = self._only([at for at, sources in enumerate(self.sources) if all(row in rows for row in sources)])
        return dataclasses.replace(
            kept,
            sources=tuple(tuple(sorted(rows[row] for row in sources)) for sources in kept.sources),
            alike=(),
            fitted={
                name: tuple(sorted(rows[row] for row in some if row in rows)) for name, some in self.fitted.items()
            },
        )

    def linked(self, pairs: Iterable[tuple[int, int]]) -> "SyntheticPool":
        """Return the pool knowing what its images resemble: pairs of (row of the pool, row of the data set).

        An image stays ``unsourced``: that it resembles a real one does not tell all that it came from.
        """
        alike: list[set[int]] = [set() for _ in self.paths]
        for row, source in pairs:
            alike[row].add(int(source))
        further = (rows - set(sources) for rows, sources in zip(alike, self.sources, strict=True))
        return dataclasses.replace(self, alike=tuple(tuple(sorted(rows)) for rows in further))

    def table(self, ids: Sequence[str]) -> pd.DataFrame:
        """Return the images with the ids of their sources and of what they resemble, separated by ``;``."""
        alike = self.alike or ((),) * len(self)
        return pd.DataFrame(
            {
                "image": [path.relative_to(self.root).as_posix() for path in self.paths],
                "label": [self.classes[label] for label in self.labels],
                "content": list(self.contents),
                "sources": [";".join(ids[row] for row in rows) for rows in self.sources],
                "alike": [";".join(ids[row] for row in rows) for rows in alike],
                **{name: list(texts) for name, texts in self._further.items() if texts},
            }
        )

    def as_recorded(self, columns: Iterable[str]) -> "SyntheticPool":
        """Return the pool as a search that recorded these columns began with it: without the method or fold it lacks.

        What generators were fitted on stays, as it admits and refuses images.
        """
        known = set(columns)
        return dataclasses.replace(
            self,
            methods=self.methods if METHOD in known else (),
            made_for=self.made_for if MADE_FOR in known else (),
        )

    # DECISIONS: What is made for a fold is not compared with pictures
    @property
    def of_doubtful_origin(self) -> np.ndarray:
        """The images that may have more behind them than they name: those that name no fold that they were made for."""
        is_known = np.array([bool(fold) for fold in self.made_for] or [False] * len(self), bool)
        return np.flatnonzero(~is_known | np.array(self.unsourced, bool))

    @property
    def linked_rows(self) -> list[tuple[int, ...]]:
        """The rows of the data set behind each image, and after them those that it resembles."""
        return [(*own, *alike) for own, alike in zip(self.sources, self.alike or ((),) * len(self), strict=True)]

    @property
    def _further(self) -> dict[str, tuple[str, ...]]:
        """What further columns of the manifest say of each image; () where they say nothing of any."""
        columns = {METHOD: self.methods, TRAINED_ON: self.trained_on, MADE_FOR: self.made_for}
        return {name: texts if any(texts) else () for name, texts in columns.items()}

    @cached_property
    def _links(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the pool and of the data set: one pair for each source of each image, and for what it resembles."""
        sources = self.linked_rows
        owners = np.repeat(np.arange(len(self)), [len(rows) for rows in sources])
        return owners, np.array([source for rows in sources for source in rows], dtype=np.int64)

    def admissible(self, fold: Fold) -> np.ndarray:
        """Return the images of which everything behind them is in the fold's training part.

        That is all their sources, all that they resemble, and all that their generators were fitted on.
        """
        owners, sources = self._links
        leaking = [name for name, rows in self.fitted.items() if not np.isin(rows, fold.train).all()]
        refused = [owners[~np.isin(sources, fold.train)], np.flatnonzero(np.isin(self.trained_on, leaking))]
        return np.setdiff1d(np.arange(len(self)), np.concatenate(refused))

    def _of_method(self, fold: Fold, method: str | None) -> np.ndarray:
        """Return the admissible images, those of one method if it is named."""
        rows = self.admissible(fold)
        return rows if method is None else rows[np.array(self.methods, dtype=object)[rows] == method]

    def counts(self, fold: Fold, method: str | None = None) -> dict[str, int]:
        """Return how many images of each class are admissible, those of one method if it is named."""
        return self._by_class(self.labels[self._of_method(fold, method)])

    def asked(self, amount: Synthetic, fold: Fold, labels: np.ndarray) -> dict[str, int]:
        """Return how many images of each class a recipe's amount asks for; ``labels`` are the real images' (n,)."""
        return amount.wanted(self._by_class(labels[fold.train]))

    def _by_class(self, labels: np.ndarray) -> dict[str, int]:
        counted = np.bincount(labels, minlength=len(self.classes))
        return dict(zip(self.classes, counted.tolist(), strict=True))

    def draw(self, fold: Fold, numbers: Mapping[str, int], seed: int, method: str | None = None) -> np.ndarray:
        """Return admissible images, up to ``numbers`` of each class; a larger number holds every smaller one.

        All are of one method if it is named, and those that were made for this fold come before others.
        """
        admissible = self._of_method(fold, method)
        is_other = np.array(self.made_for, dtype=object) != fold.id if self.made_for else np.zeros(len(self), bool)
        rows = [np.empty(0, np.int64)]
        for label, name in enumerate(self.classes):
            members = admissible[self.labels[admissible] == label]
            order = np.random.default_rng(seed_from(seed, "synthetic", fold.id, label)).permutation(len(members))
            order = order[np.argsort(is_other[members[order]], kind="stable")]
            rows.append(members[order[: numbers.get(name, 0)]])
        return np.sort(np.concatenate(rows))


def tally(numbers: Mapping[str, int], admissible: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return what was asked for, what was admissible and what is drawn, by class, of the classes asked for."""
    return {
        "asked": dict(numbers),
        "admissible": {name: admissible[name] for name in numbers},
        "drawn": {name: min(number, admissible[name]) for name, number in numbers.items()},
    }


def check_amounts(
    amount: Synthetic, classes: tuple[str, ...], pool: SyntheticPool | None, source: Path, method: str | None = None
) -> None:
    """Raise UserError where a recipe asks for synthetic images of an unknown class or method, or there are none."""
    for name in amount.classes:
        one_of(f"{source}: a class in synthetic_per_class", name, classes)
    if amount and pool is None:
        raise UserError(
            f"{source} asks for synthetic images where the study has none. Take the amounts from "
            "amounts_at_hand([0, …]), whose first one is none, or give the images with Study(synthetic=…)."
        )
    if amount and pool is not None and method is not None and method not in pool.methods:
        if not any(pool.methods):
            raise UserError(
                f"{source}: synthetic_method={method!r}, and {pool.root / MANIFEST} names no methods. Add the column "
                f"{METHOD}, or leave synthetic_method out."
            )
        one_of(f"{source}: synthetic_method", method, pool.known_methods)
