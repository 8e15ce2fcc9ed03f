"""Checks of files and folders: what cannot be read, is no image, is there twice, or lies a level too deep."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from search.audit.inspection import Inspection, count
from search.data.decoding import SUFFIXES
from search.data.finding import FILES_NAMED, NOTE, WARNING, Finding, listed
from search.data.readers.companions import MASK, PREVIEW
from search.data.readers.tree import JUNK_FOLDERS

MANY = 0.1  # of all images; where as many were left out, that is no mere note


def unreadable(inspection: Inspection) -> Iterator[Finding]:
    """Find files that were left out because they cannot be read."""
    dataset = inspection.dataset
    files = dataset.unreadable
    if files:
        total = len(dataset) + len(files)
        many = len(files) >= MANY * total
        were = "was" if len(files) == 1 else "were"
        images = f"{len(files)} of {total} images ({len(files) / total:.0%})" if many else count(len(files), "image")
        yield Finding(
            WARNING,
            "unreadable",
            f"{images} cannot be read and {were} left out ({_reasons([reason for _, reason in files])})",
            "The scores will be those of the other images alone. Mend or convert these; --strict refuses to go without."
            if many
            else "Mend or remove them.",
            tuple(id_ for id_, _ in files),
        )


def _reasons(reasons: Sequence[str]) -> str:
    """Return the most frequent reasons, each with its number where there are several."""
    counted = Counter(reasons).most_common(FILES_NAMED)
    return "; ".join(f"{number} × {why}" for why, number in counted) if len(counted) > 1 else counted[0][0]


def ignored(inspection: Inspection) -> Iterator[Finding]:
    """Find files that are no images, and images where none are looked for: beside the class folders, behind links."""
    dataset = inspection.dataset
    paths = {id_: PurePosixPath(id_) for id_ in dataset.ignored if not PurePosixPath(id_).name.startswith(".")}
    outside = tuple(id_ for id_, path in paths.items() if path.suffix.lower() in SUFFIXES and not id_.endswith("/"))
    linked = tuple(id_ for id_, path in paths.items() if id_.endswith("/") and path.name not in JUNK_FOLDERS)
    if outside:
        many = len(outside) >= MANY * (len(dataset) + len(outside))
        lie, was = ("lies", "was") if len(outside) == 1 else ("lie", "were")
        text = f"{count(len(outside), 'image')} {lie} outside of the class folders and {was} left out"
        yield Finding(WARNING if many else NOTE, "outside", text, "Move each into the folder of its class.", outside)
    if linked:
        were, them = ("was", "it") if len(linked) == 1 else ("were", "them")
        text = (
            f"{count(len(linked), 'linked folder')} below classes {were} not followed: what is in {them} was left out"
        )
        yield Finding(WARNING, "linked folders", text, "Put the folders themselves there.", linked)
    hidden = tuple(id_ for id_ in dataset.ignored if _is_hidden_folder(dataset.root, id_))
    if hidden:
        text = f"{count(len(hidden), 'hidden folder')} {'was' if len(hidden) == 1 else 'were'} passed over"
        images = sum(_images_in(dataset.root / id_) for id_ in hidden)
        text += f", with {count(images, 'image')} in {'it' if len(hidden) == 1 else 'them'}" if images else ""
        yield Finding(NOTE, "hidden folders", text, "", hidden)
    files = tuple(id_ for id_ in dataset.ignored if id_ not in {*outside, *linked, *hidden})
    if files:
        is_one = len(files) == 1
        text = f"{count(len(files), 'file')} that {'is no image was' if is_one else 'are no images were'} passed over"
        yield Finding(NOTE, "ignored", text, "", files)


def _is_hidden_folder(root: Path, id_: str) -> bool:
    """Return whether a path is a folder that is hidden, or an operating system's."""
    name = PurePosixPath(id_).name
    is_hidden = name.startswith(".") or name in JUNK_FOLDERS
    return is_hidden and os.path.isdir(root / id_)  # noqa: PTH112 that of Path fails where a folder above is closed


def _images_in(folder: Path) -> int:
    """Return the number of images below a folder, by their names."""
    return sum(PurePosixPath(name).suffix.lower() in SUFFIXES for *_, names in os.walk(folder) for name in names)


def repeated(inspection: Inspection) -> Iterator[Finding]:
    """Find images that a manifest lists twice."""
    ids = inspection.dataset.repeated
    if ids:
        repeat, were, them = ("repeats", "was", "it") if len(ids) == 1 else ("repeat", "were", "them")
        text = f"{count(len(ids), 'line')} of the manifest {repeat} an earlier one, and {were} left out"
        yield Finding(NOTE, "repeated", text, f"Remove {them}.", ids)


def equal_files(inspection: Inspection) -> Iterator[Finding]:
    """Find byte-identical files."""
    dataset = inspection.dataset
    if dataset.copies:
        table = dataset.table
        copies = table[table.duplicated("content", keep=False)].sort_values(["content", "id"])
        yield Finding(
            NOTE,
            "equal files",
            f"{count(dataset.copies, 'image')} {'is' if dataset.copies == 1 else 'are'} byte-identical to another; "
            "equal files always share a fold",
            f"Remove the {'copy: it adds' if dataset.copies == 1 else 'copies: they add'} no information.",
            tuple(copies["id"]),
        )


def folders_within(inspection: Inspection) -> Iterator[Finding]:
    """Find classes without an image of their own, but several folders each: they may be one level too high."""
    dataset = inspection.dataset
    if dataset.reading.label_level is not None or dataset.reading.labels_from is not None:
        return
    within: dict[str, set[str]] = {name: set() for name in dataset.classes}
    level = 1
    for id_, label in zip(dataset.ids, dataset.labels, strict=True):
        *_, class_name, inner, _ = ("", "", *id_.split("/"))
        within[dataset.classes[label]].add(inner if class_name == dataset.classes[label] else "")
        level = id_.count("/") - 1
    if any("" in names or len(names) < 2 for names in within.values()):
        return
    folders = "; ".join(f"{name} holds {listed(sorted(names))}" for name, names in list(within.items())[:FILES_NAMED])
    yield Finding(
        NOTE,
        "folders within classes",
        f"no class has an image of its own, but all have folders ({folders})",
        f"If those are the classes, give --label-level {level + 1}. If they are patients, days and the like, "
        f"--groups folder{level + 1} keeps the images of each in one fold.",
    )


def omitted(inspection: Inspection) -> Iterator[Finding]:
    """Find images that were left out as they are no examples: masks, previews, images without a label."""
    files = inspection.dataset.omitted
    if files:
        reasons = [f"{number} as {reason}" for reason, number in Counter(why for _, why in files).most_common()]
        companions = any(reason in {MASK, PREVIEW} for _, reason in files)
        yield Finding(
            WARNING if len(files) >= MANY * (len(files) + len(inspection.dataset)) else NOTE,
            "left out",
            f"{count(len(files), 'image')} {'was' if len(files) == 1 else 'were'} left out: {'; '.join(reasons)}",
            "If masks and previews are pictures to train with, give --keep-masks." if companions else "",
            tuple(id_ for id_, _ in files),
        )


def doubtful(inspection: Inspection) -> Iterator[Finding]:
    """Find images that may be masks or previews of others, by their names or by what they show, but not by both."""
    files = inspection.dataset.doubtful
    if files:
        yield Finding(
            WARNING,
            "masks?",
            f"{count(len(files), 'image')} may be masks, drawings or previews of other images, and train as pictures",
            "Move them away if they are; if they are pictures, --keep-masks says so.",
            files,
        )
