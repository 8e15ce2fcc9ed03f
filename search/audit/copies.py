"""Checks of images that show the same: whether folds, splits and labels treat them as one."""

from collections.abc import Iterator

from search.audit.inspection import Inspection, count
from search.audit.names import proposed_pattern
from search.data.finding import NOTE, WARNING, Finding
from search.study import AUTO

LARGE_GROUP = 0.2  # of all images
CLEARLY_MORE = 1.2  # times as many images that share a group


def near_duplicates(inspection: Inspection) -> Iterator[Finding]:
    """Find images that show the same picture, resized, turned, cropped or otherwise changed."""
    groups = [group for group in inspection.duplicates if not group.equal]
    if not groups:
        return
    images = sum(len(group.rows) for group in groups)
    text = f"{images} images form {count(len(groups), 'group')} of near-duplicates"
    if inspection.study.groups == AUTO:
        yield Finding(NOTE, "near-duplicates", f"{text}; each group shares a fold", "", inspection.ids(groups))
        return
    separable = inspection.separable(groups)
    if separable:
        yield Finding(
            WARNING,
            "near-duplicates",
            f"{text}, and {len(separable)} of these groups can be on both sides of a fold, which flatters every score",
            'Use Study(groups="auto"), or a pattern or column that keeps them together.',
            inspection.ids(separable),
        )


def conflicting_labels(inspection: Inspection) -> Iterator[Finding]:
    """Find near-duplicates and equal files of different classes: at least one label is wrong."""
    labels = inspection.dataset.labels
    noisy = [group for group in inspection.duplicates if len(set(labels[list(group.rows)])) > 1]
    if noisy:
        yield Finding(
            WARNING,
            "conflicting labels",
            f"{count(len(noisy), 'group')} of duplicates carry different labels, so some labels are wrong",
            "Look at them and keep one label for each picture.",
            inspection.ids(noisy),
        )


def across_splits(inspection: Inspection) -> Iterator[Finding]:
    """Find duplicates that lie in two parts of a given split."""
    dataset = inspection.dataset
    splits = dataset.table["split"].to_numpy()
    if len(dataset.splits) < 2:
        return
    astride = [group for group in inspection.duplicates if len(set(splits[list(group.rows)])) > 1]
    if astride:
        parts = ", ".join(f"{name} {count}" for name, count in dataset.splits.items())
        yield Finding(
            WARNING,
            "leaking split",
            f"{count(len(astride), 'group')} of duplicates lie on both sides of the given split ({parts}), so scores "
            "that others report on it are flattered",
            "The folds keep them together, and as a hold-out the split is used without the training images that its "
            "images have copies of."
            if not inspection.separable(astride)
            else 'With these groups they leak here too: use Study(groups="auto").',
            inspection.ids(astride),
        )


def large_groups(inspection: Inspection) -> Iterator[Finding]:
    """Find a group that is so large that folds cannot be balanced around it."""
    sizes = inspection.dataset.table["group"].value_counts()
    name, largest = sizes.index[0], int(sizes.iloc[0])
    if largest > LARGE_GROUP * len(inspection.dataset) and largest > 2:
        members = inspection.dataset.table["id"][inspection.dataset.table["group"] == name]
        yield Finding(
            WARNING,
            "large group",
            f"{largest} of {len(inspection.dataset)} images form one group, which must lie in one fold",
            "Look whether they really belong together; otherwise give groups as a pattern, a column, or None.",
            tuple(members),
        )


def telling_names(inspection: Inspection) -> Iterator[Finding]:
    """Find a pattern on file names that keeps more copies together than the groups do."""
    dataset, study = inspection.dataset, inspection.study
    proposal = proposed_pattern(dataset.ids, [(pair.first, pair.second) for pair in inspection.pairs], dataset.labels)
    if proposal is None or study.group_pattern == proposal.pattern:
        return
    now = dataset.table["group"].nunique()
    text = (
        f"file names tell copies: {proposal.explained:.0%} of the images that have one share with it the part that "
        f"{proposal.pattern} finds ({proposal.chance:.1%} of any two images do), which makes {proposal.keys} groups"
    )
    use = f'Study(groups=r"{proposal.pattern}")'
    if now > CLEARLY_MORE * proposal.keys:
        way_out = f"If that part names the original, use {use}."
        yield Finding(WARNING, "telling names", f"{text} where there are {now} now", way_out)
    else:
        yield Finding(NOTE, "telling names", f"{text}; there are {now} now", f"{use} would go by the names alone.")
