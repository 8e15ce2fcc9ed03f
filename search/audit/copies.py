"""Checks of images that show the same: whether folds, splits and labels treat them as one."""

from collections.abc import Iterator

from search.audit.inspection import Inspection, count
from search.audit.names import proposed_pattern
from search.data.finding import NOTE, WARNING, Finding
from search.study import Study

LARGE_GROUP = 0.2  # of all images
CLEARLY_MORE = 1.2  # times as many images that share a group


def near_duplicates(inspection: Inspection) -> Iterator[Finding]:
    """Find images that show the same picture, resized, turned, cropped or otherwise changed."""
    groups = [group for group in inspection.duplicates if not group.equal]
    if not groups:
        return
    images = sum(len(group.rows) for group in groups)
    text = f"{images} images are copies of one another, in {count(len(groups), 'set')} of near-duplicates"
    if inspection.study.joins_copies:
        whole = "the images of a set always share a fold"
        yield Finding(NOTE, "near-duplicates", f"{text}; {whole}", "", inspection.ids(groups))
        return
    separable = inspection.separable(groups)
    if separable:
        some = f"{len(separable)} of these sets" if len(groups) > 1 else "this set"
        yield Finding(
            WARNING,
            "near-duplicates",
            f"{text}. The images of {some} can train and validate in one fold, and that makes every score too high",
            f"Keep them together: {_with_copies(inspection.study)}.",
            inspection.ids(separable),
        )


def _with_copies(study: Study) -> str:
    """Return the study that keeps near-duplicates together too, as one writes it; its column or pattern stays."""
    if study.group_pattern:
        return f'Study(groups=("auto", r"{study.group_pattern}"))'
    return f'Study(groups=("auto", "{study.group_column}"))' if study.group_column else 'Study(groups="auto")'


def conflicting_labels(inspection: Inspection) -> Iterator[Finding]:
    """Find near-duplicates and equal files of different classes: at least one label is wrong."""
    labels = inspection.dataset.labels
    noisy = [group for group in inspection.duplicates if len(set(labels[list(group.rows)])) > 1]
    if noisy:
        one = len(noisy) == 1
        yield Finding(
            WARNING,
            "conflicting labels",
            f"{count(len(noisy), 'set')} of copies {'has' if one else 'have'} images in more than one class, so at "
            f"least one label {'of it' if one else 'of each'} is wrong",
            "Look at the images, and keep one label for each picture.",
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
            f"{count(len(astride), 'set')} of copies {'lies' if len(astride) == 1 else 'lie'} in more than one part of "
            f"the given split ({parts}), so scores that others report on this split are too high",
            "This search keeps copies in one fold. If you hold a part of the split out, the copies of its images do "
            "not train."
            if not inspection.separable(astride)
            else f"This search would separate them too. Keep them together: {_with_copies(inspection.study)}.",
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
            "Look whether these images belong together. If they do not, group by another column or pattern, or leave "
            'near-duplicates apart with groups=None, or with groups=(None, "…") and a column or a pattern.',
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
        f"file names seem to say which images are copies. The pattern {proposal.pattern} finds the same text in an "
        f"image and one of its copies for {proposal.explained:.0%} of the images that have copies (and for "
        f"{proposal.chance:.1%} of any two images). It makes {count(proposal.keys, 'group')}"
    )
    use = f'Study(groups=r"{proposal.pattern}")'
    if now > CLEARLY_MORE * proposal.keys:
        way_out = f"If that part of the name stands for the original, use {use}."
        yield Finding(WARNING, "telling names", f"{text}; now there are {now}", way_out)
    else:
        way_out = (
            f"{use} would add what the names say. It is not needed if near-duplicates are all that belongs together."
        )
        yield Finding(NOTE, "telling names", f"{text}; now there are {now}", way_out)
