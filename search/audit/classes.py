"""Checks of classes: how many images they have, and whether files give them away."""

from collections.abc import Iterator

from search.audit.inspection import Inspection, count
from search.audit.shortcuts import shortcut_of_files
from search.data.finding import NOTE, WARNING, Finding

IMBALANCE = 3.0  # times as many images in the largest class as in the smallest
CLASSES_NAMED = 5
FEWEST = 5  # images of a class in a part, below which a score is mostly luck
SHORTCUT = 0.15  # balanced accuracy above chance


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
            counted = ", ".join(f"{name}: {number:.1f}" for name, number in list(few.items())[:CLASSES_NAMED])
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
