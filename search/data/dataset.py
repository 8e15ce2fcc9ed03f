"""Dataset: labelled images as one table, whatever they were read from."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from search.data.decoding import Facts
from search.data.depth import OF_8_BITS, Ranges
from search.data.images import Decoded
from search.data.reading import AS_IT_IS, Reading
from search.system.digests import digest
from search.system.errors import UserError

MANIFEST_COLUMN = "given_"  # begins the names of a manifest's own columns, so that none is taken for one of ours

SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def canonical_split(name: str) -> str:
    """Return train, validation or test for their usual spellings, any other name as it is."""
    return SPLIT_WORDS.get(name.strip().lower(), name.strip())


@dataclass(frozen=True)
class Dataset:
    """Labelled images as a table, sorted by id.

    ``table`` has the columns ``id`` (path within ``root``, with slashes), ``label`` (class
    number), ``group`` (images that must share a fold carry the same text; equal files always do),
    ``split`` (train, validation, test, or what someone called it; "" where none was given) and
    ``content`` (SHA-256 of the file); beside them ``given_group`` and the like from a manifest.
    ``classes`` are the names, in the order of the labels. ``source`` is what the user named: the
    folder or file that the images were read from. ``unreadable`` lists the (id, reason) of files
    that were left out; ``ignored`` the files that are no images; ``repeated`` the ids that a
    manifest lists once more. ``omitted`` lists the (id, reason) of images that are no examples: masks,
    previews, images without a label; ``doubtful`` the ids of examples that may be such. ``notes`` say in
    words how the data was understood, and ``reading`` what a person said of it. ``facts`` are what the files say
    of themselves, in the order of the rows, once they have been decoded. ``ranges`` say what is white in deep images.
    """

    root: Path
    table: pd.DataFrame
    classes: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    omitted: tuple[tuple[str, str], ...] = ()
    doubtful: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reading: Reading = AS_IT_IS
    source: Path = Path()
    facts: tuple[Facts, ...] = ()
    ranges: Ranges = OF_8_BITS

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.table)

    @property
    def labels(self) -> np.ndarray:
        """Class numbers, shape (n,)."""
        return self.table["label"].to_numpy()

    @property
    def ids(self) -> list[str]:
        """Ids, in the order of the rows."""
        return self.table["id"].tolist()

    @property
    def contents(self) -> list[str]:
        """SHA-256 of each file."""
        return self.table["content"].tolist()

    @property
    def groups(self) -> np.ndarray:
        """Names of the groups, shape (n,)."""
        return self.table["group"].to_numpy()

    @property
    def splits(self) -> dict[str, int]:
        """Images of each given split, if any was given."""
        splits = self.table["split"][self.table["split"] != ""]
        return {str(name): int(count) for name, count in splits.value_counts(sort=False).sort_index().items()}

    @property
    def paths(self) -> list[Path]:
        """Where each image lies."""
        return [self.root / id_ for id_ in self.table["id"]]

    @property
    def counts(self) -> dict[str, int]:
        """Images of each class."""
        numbers = np.bincount(self.labels, minlength=len(self.classes))
        return dict(zip(self.classes, numbers.tolist(), strict=True))

    def columns(self) -> tuple[list[str], list[Path], list[str], list[str], dict[str, list[str]]]:
        """Return ids, paths, class names, given splits, and by name all columns that a manifest gave beside these."""
        names = [self.classes[label] for label in self.labels]
        more = {
            name.removeprefix(MANIFEST_COLUMN): self.table[name].tolist()
            for name in self.table.columns
            if name.startswith(MANIFEST_COLUMN)
        }
        return self.ids, self.paths, names, self.table["split"].tolist(), more

    @property
    def copies(self) -> int:
        """How many images are byte-identical copies of another one."""
        return len(self) - self.table["content"].nunique()

    @property
    def digest(self) -> str:
        """A name for ids, labels, groups and contents: what a fold plan and a score depend on."""
        return digest([list(self.classes), self.table[["id", "label", "group", "content"]].to_numpy().tolist()])

    def readable(self, decoded: Decoded) -> "Dataset":
        """Return the data set without the images that could not be decoded. Raises UserError if a class is lost."""
        unreadable = tuple((self.ids[row], reason) for row, reason in decoded.unreadable.items())
        table = self.table.iloc[list(decoded.readable)].reset_index(drop=True)
        left = dataclasses.replace(self, table=table, unreadable=(*self.unreadable, *unreadable), facts=decoded.facts)
        for name, count in left.counts.items():
            if not count:
                reasons = "\n".join(f"  {id_}: {reason}" for id_, reason in left.unreadable[:5])
                raise UserError(f"No image of class {name!r} of {self.source} can be read:\n{reasons}\nMend the files.")
        return left


def as_dataset(
    source: Path,
    root: Path,
    rows: Sequence[dict[str, str]],
    classes: Sequence[str],
    unreadable: Sequence[tuple[str, str]] = (),
    ignored: Sequence[str] = (),
    masks: int = 0,
    *,
    single: bool = False,
) -> Dataset:
    """Return the data set of ``rows``: ``id``, class name as ``label``, ``content``, and perhaps a ``split`` and more.

    Groups are the equal files only; ``masks`` counts the masks and previews that were left out. Raises UserError for
    a class without images, and for fewer than two classes, or with ``single`` for none.
    """
    table = pd.DataFrame(rows, columns=None if rows else ["id", "label", "content"])
    if "split" not in table:
        table["split"] = ""
    number = {name: at for at, name in enumerate(classes)}
    table["label"] = np.array([number[name] for name in table["label"]], dtype=np.int64)
    table = table.sort_values("id", ignore_index=True)
    table["group"] = table.groupby("content")["id"].transform("first") if rows else ""
    ours = ["id", "label", "group", "split", "content"]
    table = table[[*ours, *(name for name in table.columns if name not in ours)]]
    dataset = Dataset(root, table, tuple(classes), tuple(unreadable), tuple(ignored), source=source)
    _check_classes(dataset, masks, 1 if single else 2)
    return dataset


def masks_hint(masks: int) -> str:
    """Return what a data set of one class may lack, where so many images were left out; "" for none."""
    if not masks:
        return ""
    was = "1 image was" if masks == 1 else f"{masks} images were"
    return (
        f" {was} left out as masks or previews of others; --keep-masks (in a space file Study(keep_masks=True)) takes "
        "them for pictures."
    )


def _check_classes(dataset: Dataset, masks: int, fewest: int) -> None:
    empty = [name for name, count in dataset.counts.items() if not count]
    if empty:
        reasons = "".join(f"\n  {id_}: {reason}" for id_, reason in dataset.unreadable[:5])
        raise UserError(
            f"Class {empty[0]!r} of {dataset.source} holds no images that can be read. "
            "Add images (JPEG, PNG, BMP, GIF, WebP, TIFF, PPM, AVIF), or "
            f"{'move the folder away: every folder is a class' if dataset.source.is_dir() else 'leave the class out'}."
            f"{reasons}"
        )
    if len(dataset.classes) < fewest:
        raise UserError(
            f"{dataset.source} holds one class only ({', '.join(dataset.classes)}). "
            f"A classifier needs two or more classes.{masks_hint(masks)}"
        )
