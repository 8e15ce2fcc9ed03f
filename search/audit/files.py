"""Checks of files and folders: what cannot be read, is no image, is there twice, or lies a level too deep."""

from collections import Counter
from collections.abc import Iterator

from search.audit.inspection import Inspection, count
from search.data.finding import FILES_NAMED, NOTE, WARNING, Finding, listed

BLANK = 2.0  # standard deviation of a thumbnail's pixels, of 255


def unreadable(inspection: Inspection) -> Iterator[Finding]:
    """Find files that were left out because they cannot be read."""
    files = inspection.dataset.unreadable
    if files:
        reasons = ", ".join(why for why, _ in Counter(reason for _, reason in files).most_common(3))
        were = "was" if len(files) == 1 else "were"
        yield Finding(
            WARNING,
            "unreadable",
            f"{count(len(files), 'image')} cannot be read and {were} left out ({reasons})",
            "Mend or remove them.",
            tuple(id_ for id_, _ in files),
        )


def ignored(inspection: Inspection) -> Iterator[Finding]:
    """Find files that are no images."""
    files = inspection.dataset.ignored
    if files:
        yield Finding(NOTE, "ignored", f"{count(len(files), 'file')} that are no images were passed over", "", files)


def repeated(inspection: Inspection) -> Iterator[Finding]:
    """Find images that a manifest lists twice."""
    ids = inspection.dataset.repeated
    if ids:
        text = f"{count(len(ids), 'line')} of the manifest repeat an earlier one, and were left out"
        yield Finding(NOTE, "repeated", text, "Remove them.", ids)


def equal_files(inspection: Inspection) -> Iterator[Finding]:
    """Find byte-identical files."""
    dataset = inspection.dataset
    if dataset.copies:
        table = dataset.table
        copies = table[table.duplicated("content", keep=False)].sort_values(["content", "id"])
        yield Finding(
            NOTE,
            "equal files",
            f"{dataset.copies} images are byte-identical to another; equal files always share a fold",
            "Remove the copies: they add no information.",
            tuple(copies["id"]),
        )


def folders_alike(inspection: Inspection) -> Iterator[Finding]:
    """Find classes without an image of their own, but several folders each: they may be one level too high."""
    dataset = inspection.dataset
    within: dict[str, set[str]] = {name: set() for name in dataset.classes}
    for id_, label in zip(dataset.ids, dataset.labels, strict=True):
        *_, class_name, inner, _ = ("", "", *id_.split("/"))
        within[dataset.classes[label]].add(inner if class_name == dataset.classes[label] else "")
    if any("" in names or len(names) < 2 for names in within.values()):
        return
    same = len({tuple(sorted(names)) for names in within.values()}) == 1
    folders = "; ".join(f"{name} holds {listed(sorted(names))}" for name, names in list(within.items())[:FILES_NAMED])
    yield Finding(
        WARNING if same else NOTE,
        "folders within classes",
        f"no class has an image of its own, but all have {'the same ' if same else ''}folders ({folders})",
        "If those are the classes, name one of the folders above them as the data, or call these train, val and test.",
    )


def blank(inspection: Inspection) -> Iterator[Finding]:
    """Find images of a single colour."""
    flat = [row for row, image in enumerate(inspection.thumbnails) if image.std(axis=(0, 1)).max() < BLANK]
    if flat:
        ids = tuple(inspection.dataset.ids[row] for row in flat)
        yield Finding(WARNING, "blank", f"{count(len(flat), 'image')} show a single colour", "Remove them.", ids)
