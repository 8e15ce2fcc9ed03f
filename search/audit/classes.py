"""Checks of classes: how many images they have, and whether files give them away."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

import pandas as pd

from search.audit.inspection import Inspection, count
from search.audit.shortcuts import shortcut_of_files
from search.data.finding import NOTE, WARNING, Finding

IMBALANCE = 3.0  # times as many images in the largest class as in the smallest
CLASSES_NAMED = 5
FEWEST = 5  # images of a class in a part, below which a score is mostly luck
SHORTCUT = 0.15  # balanced accuracy above chance


def alike_classes(inspection: Inspection) -> Iterator[Finding]:
    """Find classes whose names differ in capitals, spaces, marks, Unicode form or plural: they are probably one."""
    dataset = inspection.dataset
    table = dataset.table.assign(name=[dataset.classes[label] for label in dataset.labels])
    splits = table.groupby("name")["split"].agg(set)
    alike: dict[str, list[str]] = {}
    for name in dataset.classes:
        alike.setdefault(plain_name(name), []).append(name)
    for names in alike.values():
        together = set.intersection(*(splits[name] for name in names))
        if len(names) < 2 or (together and all(len(name.strip()) == 1 for name in names)):  # A and a, as letters are
            continue
        counted = ", ".join(f"{_unmistakable(name, names)} {_where(table[table['name'] == name])}" for name in names)
        few = [name for name in names if name != max(names, key=lambda name: dataset.counts[name])]
        yield Finding(
            WARNING,
            "classes alike",
            f"{len(names)} classes are probably one, as their names hardly differ: {counted}",
            "Give them one name; if they are different classes, give them names that differ more.",
            tuple(table["id"][table["name"].isin(few)]),
        )


def plain_name(name: str) -> str:
    """Return what remains of a name without capitals, accents' form, spaces, marks and the ending of a plural."""
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", name).casefold())
    text = "".join(unicodedata.normalize("NFKC", word) for word in words) or name
    for ending, stem in (("ies", "y"), ("ches", "ch"), ("shes", "sh"), ("sses", "ss"), ("xes", "x"), ("s", "")):
        if text.endswith(ending) and len(text) > len(ending) + 2 and not text.endswith(("ss", "us", "is")):
            return text.removesuffix(ending) + stem
    return text


def _unmistakable(name: str, names: Sequence[str]) -> str:
    """Return a name in quotes, with escapes where another looks the same."""
    same = [other for other in names if unicodedata.normalize("NFC", other) == unicodedata.normalize("NFC", name)]
    return ascii(name) if len(same) > 1 else repr(name)


def _where(rows: pd.DataFrame) -> str:
    splits = ", ".join(f"{split} {number}" for split, number in rows["split"].value_counts().items() if split)
    return f"({splits or len(rows)})"


def imbalance(inspection: Inspection) -> Iterator[Finding]:
    """Find classes of very different sizes."""
    counts = inspection.dataset.counts
    small, large = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
    if counts[large] >= IMBALANCE * counts[small]:
        yield Finding(
            NOTE,
            "imbalance",
            f"class {large!r} has {counts[large] / counts[small]:.1f} times as many images as class {small!r} "
            f"({counts[large]} and {counts[small]})",
            'Judge by objective="balanced_accuracy" or "macro_f1", and search over class_weight.',
        )


def too_few(inspection: Inspection) -> Iterator[Finding]:
    """Find classes that a part of the plan would hold hardly any images of."""
    study = inspection.study
    validation = 1 / study.folds if study.splits == "kfold" else study.val
    smallest = min(study.train_fractions) * (1 - validation)
    labels = inspection.dataset.labels[inspection.in_folds]
    counts = {name: int((labels == label).sum()) for label, name in enumerate(inspection.dataset.classes)}
    validating = "Add images, or use fewer folds: such scores are mostly luck; repeats=… makes them steadier."
    training = "Add images, or use larger train_fractions."
    for part, share, way_out in (
        ("validation part", validation, validating),
        ("smallest training part", smallest, training),
    ):
        few = {name: count * share for name, count in counts.items() if count * share < FEWEST}
        if few:
            counted = ", ".join(f"{name}: {number:.2g}" for name, number in list(few.items())[:CLASSES_NAMED])
            counted += f", and {len(few) - CLASSES_NAMED} more" * (len(few) > CLASSES_NAMED)
            yield Finding(
                WARNING,
                "too few images",
                f"the {part} of a fold holds fewer than {FEWEST} images of {count(len(few), 'class')} ({counted})",
                way_out,
            )


def shortcut(inspection: Inspection) -> Iterator[Finding]:
    """Find a class that can be told by the kind of its files: format, mode, width, height."""
    dataset = inspection.dataset
    files = shortcut_of_files(dataset, inspection.joint_groups)
    chance = 1 / len(dataset.classes)
    luck = (chance * (1 - chance) / len(dataset)) ** 0.5
    if files and files.score >= chance + SHORTCUT + luck:
        yield Finding(
            WARNING,
            "shortcut",
            f"classes can be told by the kind of their files alone, without looking at a picture: {files.score:.0%} "
            f"balanced accuracy where guessing gives {chance:.0%}. {files.by_class}",
            "A network may learn that instead. Save all images in one format, mode and size, from like sources.",
        )
