"""The card of a pool: how many images there are, what they cost, and whether they are copies or of another class."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression

from search.data.folds import Fold
from search.data.loading import Inputs
from search.report.markdown import inert, table_blocks
from search.report.sheets import Group, Tile, contact_sheets, write_sheets
from search.report.table import Cell, Table, count, score, table, text
from search.synthesis.extractor import Extractor
from search.synthesis.pool import Made, Wanted, WrittenPool
from search.system.files import write_text
from search.system.progress import Progress

CARD, README, SHEET = "card.json", "README.md", "sheet"
COPY = 0.05  # of the distances between real images: what lies nearer is called a near copy
EXAMPLES = 6  # of each class on a sheet
SOURCES_SHOWN = 3
FRAME = "best"  # the colour around a synthetic image
C = 100.0  # of logistic regression on features of length 1


@dataclass(frozen=True)
class Measured:
    """What was measured of the images that a method made for the folds with whole training parts, as parts of one.

    ``agreement`` is how often logistic regression on frozen features gives an image its label. It is fitted on the
    validation part of the fold, with which the image has nothing in common. ``agreement_real`` is the same for the real
    images of the training part. ``distance`` is the median distance from an image to the nearest real one of the
    training part, one less the cosine of their features, and ``distance_real`` that from a real image to the nearest
    other one. ``near_copies`` is the part of the images that are nearer to a real one than 95 in 100 real images are
    to theirs.
    """

    agreement: float
    agreement_real: float
    distance: float
    distance_real: float
    near_copies: float


@dataclass(frozen=True)
class MethodCard:
    """What a card says of one method: counts by class, the sources asked for, seconds an image, and measurements."""

    words: str
    strength: float
    origin: str
    counts: Mapping[str, int]
    lacking: int
    seconds_an_image: float
    backbone: str
    measured: Measured


def write_card(
    pool: WrittenPool, inputs: Inputs, wanted: Wanted, extractor: Extractor, progress: Progress
) -> MethodCard:
    """Measure what a method has made, write card.json, README.md and a sheet into the pool, and return the card."""
    card = MethodCard(
        wanted.method.words,
        wanted.strength,
        wanted.origin,
        dict(sorted(Counter(each.label for each in pool.made).items())),
        sum(pool.lacking.values()),
        pool.seconds_an_image,
        extractor.backbone.name,
        measured(pool, inputs, extractor, progress),
    )
    file = pool.folder / CARD
    cards = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    cards[wanted.method.name] = asdict(card)
    write_text(file, json.dumps(cards, indent=2) + "\n")
    write_text(pool.folder / README, _in_markdown(pool.folder.resolve().name, cards, inputs))
    write_sheets(sheets_of(pool, inputs, wanted), pool.folder, f"{SHEET}-{wanted.method.name}")
    return card


ORIGIN = """They were made of the images in {data}. `manifest.csv` names each image, its class, the real images that it
was made of (`sources`) or the fold on which its generator was fitted (`trained_on`), and the fold that it was made for
(`made_for`). `folds.csv` lists these folds. An image trains a fold only if everything behind it is in the training part
of the fold."""
READING = """The measurements are of the folds with whole training parts. The classifier is logistic regression on the
features of a frozen {backbone}. It is fitted on the validation part of each fold, which has nothing in common with the
synthetic images for that fold. A distance is one less the cosine of two features. A near copy is nearer to a real image
than 95 in 100 real images are to their nearest neighbour."""

USE = """How to train with them: `Recipe(synthetic_per_class=…, synthetic_method=…)`, with `Study(synthetic=…)` or
`--synthetic` for this folder."""


def _in_markdown(name: str, cards: Mapping[str, Any], inputs: Inputs) -> str:
    """Return README.md of a pool, from what card.json holds."""
    backbone = next(iter(cards.values()))["backbone"]
    blocks = [
        f"# Synthetic images: {inert(name)}",
        ORIGIN.format(data=inert(str(inputs.dataset.source))),
        *table_blocks(_counts(cards, inputs.dataset.classes), len(inputs.dataset.classes)),
        *table_blocks(_measurements(cards)),
        READING.format(backbone=backbone),
        USE,
    ]
    return "\n\n".join(blocks) + "\n"


def _counts(cards: Mapping[str, Any], classes: Sequence[str]) -> Table:
    rows = [[text(name), *(count(card["counts"].get(name, 0)) for card in cards.values())] for name in classes]
    return table(
        "Images by class, for all folds together.", " | ".join(["class", *(f"# {name}" for name in cards)]), rows
    )


def _measurements(cards: Mapping[str, Any]) -> Table:
    """Return what each method did and how its images are, a method a row."""
    titles = (
        "method | what it does | # strength | first sources | # not made, for want of sources | # seconds an image | "
        "# classifier gives their label | # real images' | # distance to nearest real image | # between real images | "
        "# near copies"
    )
    measures = ("agreement", "agreement_real", "distance", "distance_real", "near_copies")
    rows: list[list[Cell]] = [
        [
            text(name),
            text(card["words"]),
            score(card["strength"]),
            text(card["origin"]),
            count(card["lacking"]),
            score(card["seconds_an_image"]),
            *(score(card["measured"][measure]) for measure in measures),
        ]
        for name, card in cards.items()
    ]
    return table("What the methods did, and how their images are.", titles, rows)


def measured(pool: WrittenPool, inputs: Inputs, extractor: Extractor, progress: Progress) -> Measured:
    """Return what the images are like, measured on the folds with whole training parts."""
    labels = inputs.dataset.labels
    real, folds = extractor.real, _whole_folds(inputs)
    right, right_real, near, near_real = ([] for _ in range(4))
    for number, fold in enumerate(folds):
        progress("Measuring the pool", number, len(folds))
        made = [each for each in pool.made if each.fold == fold.id]
        model = LogisticRegression(C=C, max_iter=1000).fit(real[fold.validation], labels[fold.validation])
        right_real.append(model.predict(real[fold.train]) == labels[fold.train])
        near_real.append(_nearest(real[fold.train], real[fold.train], itself=True))
        if made:
            features = extractor(np.stack([_pixels(pool.folder / each.image, inputs.image_size) for each in made]))
            own = np.array([inputs.dataset.classes.index(each.label) for each in made])
            right.append(model.predict(features) == own)
            near.append(_nearest(features, real[fold.train]))
    progress("Measuring the pool", len(folds), len(folds))
    distances, distances_real = _joined(near), _joined(near_real)
    limit = np.quantile(distances_real, COPY)
    return Measured(
        agreement=_mean(_joined(right)),
        agreement_real=_mean(_joined(right_real)),
        distance=float(np.median(distances)) if len(distances) else float("nan"),
        distance_real=float(np.median(distances_real)),
        near_copies=_mean(distances < limit),
    )


def _whole_folds(inputs: Inputs) -> list[Fold]:
    return [fold for fold in inputs.plan.folds if fold.fraction == 1]


def _nearest(features: np.ndarray, others: np.ndarray, *, itself: bool = False) -> np.ndarray:
    """Return the distance from each row (n, D) to the nearest of the others (m, D), of which one may be itself."""
    cosines = features @ others.T
    if itself:
        np.fill_diagonal(cosines, -1)
    return np.asarray(1 - cosines.max(axis=1))


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _pixels(path: Path, side: int) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR))


def sheets_of(pool: WrittenPool, inputs: Inputs, wanted: Wanted) -> list[Image.Image]:
    """Return contact sheets: some images of each class, each followed by its sources."""
    first = _whole_folds(inputs)[0]
    groups = [group for label in inputs.dataset.classes for group in _examples(label, first, pool, inputs)]
    return contact_sheets(groups, title=f"{wanted.method.name}: each image and its sources", columns=EXAMPLES)


def _examples(label: str, fold: Fold, pool: WrittenPool, inputs: Inputs) -> Iterator[Group]:
    made = [each for each in pool.made if (each.label, each.fold) == (label, fold.id)][:EXAMPLES]
    if not any(each.sources for each in made):
        tiles = [Tile(_pixels(pool.folder / each.image, inputs.image_size), "synthetic") for each in made]
        if tiles:
            yield Group(f"{label}, for fold {fold.id}", tiles)
        return
    for number, each in enumerate(made):
        heading = "" if number else f"{label}, for fold {fold.id}"
        yield Group(heading, list(_with_sources(each, pool, inputs)))


def _with_sources(each: Made, pool: WrittenPool, inputs: Inputs) -> Iterator[Tile]:
    row_of = {id_: row for row, id_ in enumerate(inputs.dataset.ids)}
    yield Tile(_pixels(pool.folder / each.image, inputs.image_size), "synthetic", FRAME)
    for source in each.sources[:SOURCES_SHOWN]:
        yield Tile(np.asarray(inputs.images.pixels[row_of[source]]), source)
