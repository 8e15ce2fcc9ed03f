"""Lists of images to look at: in a terminal, as CSV, as contact sheets, and as class folders.

Each list says what it is good for, and what it is not good for.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.text import Text

from search.analysis.hard import check_evidence, disputed_images, doubtful_labels, hard_images
from search.analysis.judgement import Judgement
from search.data.materialise import class_files, put
from search.record import Record
from search.report.comparison import plain_table
from search.report.sheets import Group, Tile, contact_sheets, write_sheets
from search.report.thumbnails import known_files, pictures
from search.report.words import amount, number
from search.system.cache import is_cache
from search.system.digests import file_sha256
from search.system.files import write_text
from search.system.texts import csv_text

ROWS = 10  # of a list, in a terminal
PICTURES = 200  # of a list, on its sheets
SIDE = 144  # px of a picture
TAKEN_FOR = 3  # classes

Row = dict[str, Any]


@dataclass(frozen=True)
class ImageList:
    """Images to look at: the name of their files, a title, the columns of their rows, and what they are good for.

    Each row has an ``id`` and a ``label``. ``caption`` says in lines what is known of one, and ``cells`` what a
    terminal shows below ``heads``. Those that are ``framed`` have a frame on the sheets, which are ``by_class`` or in
    the order of the list.
    """

    name: str
    title: str
    use: str
    columns: tuple[str, ...]
    rows: Sequence[Row]
    heads: tuple[str, ...]
    cells: Callable[[Row], tuple[str, ...]]
    caption: Callable[[Row], str]
    framed: Callable[[Row], bool] = lambda _row: False
    by_class: bool = True

    @property
    def ids(self) -> list[str]:
        """The ids of the images, in order."""
        return [row["id"] for row in self.rows]


@dataclass(frozen=True)
class Failures:
    """The lists of a search, and how often what is hard in each class was taken for what, in sentences and a table."""

    record: Record
    sentence: str
    by_class: Sequence[tuple[str, ...]]
    lists: tuple[ImageList, ...]


@dataclass(frozen=True)
class Written:
    """What was written: the names of the contact sheets; the ids of images without a picture, of so many ``shown``."""

    sheets: tuple[str, ...]
    absent: tuple[str, ...]
    shown: int


def failures_of(record: Record, share: float, most_next: int) -> Failures:
    """Return the lists of a search: images hard to at least a ``share`` of the recipes, and so many to label next.

    Raises UserError where too few trials are complete.
    """
    judgement = Judgement.of(record)
    evidence = check_evidence(judgement)
    hard = _hard(judgement, share)
    by_all = sum(row["wrong"] == row["recipes"] for row in hard.rows)
    recipes = len(evidence.trials)
    best = f" (the best of {evidence.complete})" if recipes < evidence.complete else ""
    sentence = (
        f"All {recipes} recipes{best} are wrong on {by_all} of {amount(len(evidence.ids), 'image')}, and at least "
        f"{100 * share:g} % of them on {len(hard.rows) - by_all} more. No network had trained on the image in question."
    )
    counts = Counter(judgement.classes[label] for label in evidence.labels.tolist())
    by_class = [_of_class(name, counts[name], hard.rows) for name in judgement.classes]
    return Failures(record, sentence, by_class, (hard, _next(judgement, recipes, most_next), _errors(judgement)))


def show(failures: Failures, console: Console) -> None:
    """Print the lists, the beginning of each."""
    console.print(Text(failures.sentence), soft_wrap=True)
    heads = ("class", "images", "hard", "wrong by all", "hard ones taken for")
    console.print(plain_table(heads, failures.by_class))
    for each in failures.lists:
        console.print()
        console.print(Text(f"{each.title}: {amount(len(each.rows), 'image')}", style="bold"), soft_wrap=True)
        console.print(Text(each.use, style="dim"), soft_wrap=True)
        if each.rows:
            cells = [(row["id"], row["label"], *each.cells(row)) for row in each.rows[:ROWS]]
            console.print(plain_table(("image", "labelled", *each.heads), cells))
        if len(each.rows) > ROWS:
            console.print(Text(f"{len(each.rows) - ROWS} more are in {each.name}.csv."), soft_wrap=True)


def write(failures: Failures, folder: Path, root: Path) -> Written:
    """Write each list as CSV and as contact sheets into ``folder``, which exists.

    ``root`` is the folder below which the images lie now. An image that is gone, or changed since the search began, has
    no picture; where none has one, there are no sheets.
    """
    shown = sorted({id_ for each in failures.lists for id_ in each.ids[:PICTURES]})
    pixels = dict(pictures(failures.record, shown, SIDE, root))
    sheets: list[Path] = []
    for each in failures.lists:
        write_text(folder / f"{each.name}.csv", csv_text(pd.DataFrame(list(each.rows), columns=list(each.columns))))
        drawn = contact_sheets(list(_groups(each, pixels)), title=_title(each), side=SIDE) if pixels else []
        sheets += write_sheets(drawn, folder, each.name)
    absent = tuple(id_ for id_ in shown if id_ not in pixels)
    return Written(tuple(path.name for path in sheets), absent, len(shown))


def write_folders(failures: Failures, folder: Path, root: Path, *, copy: bool) -> int:
    """Write the images of each list as ``<list>/<class>/<image>`` below ``folder``; return how many there are.

    They are links to the images, with absolute targets, or copies. An image that is gone, or changed since the search
    began, is left out.
    """
    record, classes, place = failures.record, list(failures.record.about.classes), root.resolve()
    filed = 0
    for each in failures.lists:
        files = [file for file in known_files(record, each.ids, place) if _is_as_it_was(*file[1:])]
        labels = {row["id"]: row["label"] for row in each.rows}
        ids, paths, _ = zip(*files, strict=True) if files else ((), (), ())
        for path, target in zip(paths, class_files(ids, [labels[id_] for id_ in ids], paths, classes), strict=True):
            put(path, folder / each.name / target, copy)
        filed += len(files)
    return filed


def must_copy(root: Path) -> bool:
    """Return whether images lie in a cache, which may be deleted at will, so that links to them would break."""
    return any(map(is_cache, (root.resolve(), *root.resolve().parents)))


def _is_as_it_was(path: Path, content: str) -> bool:
    try:
        return file_sha256(path) == content
    except OSError:
        return False


def _hard(judgement: Judgement, share: float) -> ImageList:
    rows = [
        {
            "id": image.id,
            "label": image.label,
            "predicted": image.taken_for,
            "wrong": image.wrong,
            "recipes": image.recipes,
            "share": image.share,
            "probability": image.probability,
        }
        for image in hard_images(judgement, share)
    ]
    return ImageList(
        "hard",
        "Hard images",
        "Good for seeing what no network learns, and as sources of synthetic images. Not good for cleaning: an image "
        "is not wrong for being hard, and scores without the hard ones promise too much.",
        ("id", "label", "predicted", "wrong", "recipes", "share", "probability"),
        rows,
        ("most often taken for", "recipes wrong", "winner's probability of the label"),
        lambda row: (row["predicted"], f"{row['wrong']} of {row['recipes']}", number(row["probability"], 2)),
        lambda row: f"→ {row['predicted']} ({row['wrong']} of {row['recipes']})",
        framed=lambda row: row["wrong"] == row["recipes"],
    )


def _next(judgement: Judgement, recipes: int, most: int) -> ImageList:
    rows = [
        {
            "id": image.id,
            "label": image.label,
            "vote_entropy": image.entropy,
            "votes": ", ".join(f"{name} {votes}" for name, votes in image.votes.items()),
        }
        for image in disputed_images(judgement)[:most]
    ]
    return ImageList(
        "label_next",
        "Label these next",
        f"The {recipes} recipes disagree most on these (vote entropy of out-of-fold predictions, from 0 to 1; query by "
        "committee, Dagan & Engelson 1995). Good for choosing what to collect and label next: more images like these. "
        "Not good for finding wrong labels, on which recipes can agree, nor for estimating a score.",
        ("id", "label", "vote_entropy", "votes"),
        rows,
        ("vote entropy", "votes"),
        lambda row: (number(row["vote_entropy"], 2), row["votes"]),
        lambda row: f"labelled {row['label']}\n{row['votes']}",
        by_class=False,
    )


def _errors(judgement: Judgement) -> ImageList:
    rows = [asdict(image) for image in doubtful_labels(judgement)]
    return ImageList(
        "label_errors",
        "Labels to check",
        "The recipes together are surer of another class than they usually are of it where it is right (confident "
        "learning, Northcutt et al. 2021). Good for finding wrong labels by looking at each. Not good for relabelling "
        "unseen: some of these are right, and hard.",
        ("id", "label", "suggested", "confidence", "own"),
        rows,
        ("suggested", "probability of the suggested", "of the label"),
        lambda row: (row["suggested"], number(row["confidence"], 2), number(row["own"], 2)),
        lambda row: f"→ {row['suggested']} {number(row['confidence'], 2)}, own {number(row['own'], 2)}",
    )


def _of_class(name: str, images: int, rows: Sequence[Row]) -> tuple[str, ...]:
    own = [row for row in rows if row["label"] == name]
    by_all = sum(row["wrong"] == row["recipes"] for row in own)
    taken_for = Counter(row["predicted"] for row in own).most_common(TAKEN_FOR)
    return name, str(images), str(len(own)), str(by_all), ", ".join(f"{other} {times}" for other, times in taken_for)


def _title(each: ImageList) -> str:
    rows = f"the first {PICTURES} of {len(each.rows)}" if len(each.rows) > PICTURES else str(len(each.rows))
    framed = "; framed: wrong by all" if any(map(each.framed, each.rows)) else ""
    return f"{each.title} ({rows}{framed})"


def _groups(each: ImageList, pixels: dict[str, np.ndarray]) -> Iterator[Group]:
    rows = each.rows[:PICTURES]
    if not each.by_class:
        yield Group("", [_tile(each, row, pixels) for row in rows])
        return
    for label, own in groupby(sorted(rows, key=lambda row: str(row["label"])), key=lambda row: str(row["label"])):
        yield Group(label, [_tile(each, row, pixels) for row in own])


def _tile(each: ImageList, row: Row, pixels: dict[str, np.ndarray]) -> Tile:
    caption = f"{each.caption(row)}\n{PurePosixPath(row['id']).name}"
    return Tile(pixels.get(row["id"]), caption, "wrong" if each.framed(row) else "")
