"""Companions: files that belong to other images: masks, label maps and annotations of them, and previews.

They are recognised by names, by what lies beside them, and by their content. A mask has few colours where its
picture has many; a preview shows its picture, smaller. What is certain is left out, what is not is only named.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from search.data.decoding import FORMATS, MAX_PIXELS
from search.data.readers.names import IMAGES
from search.system.machine import cores

MASKS = frozenset(
    (
        *("mask", "masks", "label", "labels", "labelmap", "labelmaps", "annotation", "annotations", "annot"),
        *("gt", "groundtruth", "groundtruths", "seg", "segs", "segm", "segmentation", "segmentations"),
        *("segmentationclass", "segmentationobject", "segmap", "segmaps", "trimap", "trimaps", "contour"),
        *("contours", "matte", "mattes", "alpha", "alphas", "binary", "roi", "rois", "target", "targets"),
        *("labelids", "labeltrainids", "instanceids", "masque", "masques", "maske", "masken"),
    )
)
PREVIEWS = frozenset(
    (
        *("thumb", "thumbs", "thumbnail", "thumbnails", "tn", "preview", "previews", "small", "smaller"),
        *("lowres", "resized", "icon", "icons", "tiny", "mini", "th", "lq"),
    )
)
DRAWN = frozenset(
    (  # over a picture, or of it
        *("overlay", "overlays", "depth", "heatmap", "heatmaps", "annotated", "bbox", "boxes"),
    )
)
MASK, PREVIEW, UNSURE = "masks or label maps of other images", "previews of other images", "unsure"  # reasons, too
COLOURS = 32  # a label map has at most so many
SIDE = 128  # px of the longer side at which colours are counted
FLAT = 0.93  # of the pixels in two far shades: a mask that was saved as JPEG
SAMPLE = 16  # files of a folder that decide whether the others are looked at
ALIKE = 0.9  # correlation of a preview with its picture
_WORD = re.compile(r"[^\W_\d]+")
_SIZE = re.compile(r"\d{2,4}x\d{2,4}|scaled")  # at the end of names of previews: photo-150x150.jpg, as WordPress has it
_SCALE = re.compile(r"(.+?)(?:@(\d(?:\.\d)?)x)?\.\w+", re.IGNORECASE)  # photo@2x.jpg is photo.jpg, larger
_FUSED = re.compile(  # where a mark is written onto a word: 7mask, 7Mask, colormask
    r"(?<=[a-z\d])(?=(?:Colou?r)?(?:Mask|Label|Thumb))|(?<=\d)(?=(?:colou?r)?(?:mask|thumb))"
    r"|(?:(?<=[Cc]olor)|(?<=[Cc]olour))(?=[Mm]ask)"
)


@dataclass(frozen=True)
class Companions:
    """The companions among some images: (id, reason) of those to leave out, ids of those that only may be some."""

    certain: Mapping[str, str] = field(default_factory=dict)
    doubtful: tuple[str, ...] = ()

    def __or__(self, other: "Companions") -> "Companions":
        """Return those of both; what one of them is certain of is not doubtful."""
        certain = {**self.certain, **other.certain}
        doubtful = dict.fromkeys((*self.doubtful, *other.doubtful))
        return Companions(certain, tuple(id_ for id_ in doubtful if id_ not in certain))


@dataclass(frozen=True)
class Pair:
    """An image whose name speaks of a mask or preview, or that shares a name, and the image that it may belong to."""

    id: str
    picture: str
    kind: str  # MASK or PREVIEW; UNSURE where no name says
    bucket: str  # what is alike in such names: a folder, a mark


def companions(root: Path, ids: Sequence[str]) -> Companions:
    """Return the companions whose names say so: in masks/ beside images/, x_mask.png beside x.png, thumbs/x.jpg.

    Those in masks/ beside images/, and those called masks, that fit no picture by name are doubtful if they look
    like masks.
    """
    pairs = [*named_pairs(ids), *scaled_pairs(ids)]
    paired = {pair.id for pair in pairs}
    called = dict.fromkeys((*_beside_images(ids), *filter(_is_called_mask, ids)))
    single = [id_ for id_ in called if id_ not in paired]
    with ThreadPoolExecutor(cores()) as pool:
        small = pool.map(lambda id_: _small(root / id_), single)
    flat = tuple(id_ for id_, image in zip(single, small, strict=True) if image and is_flat(image.pixels))
    return _judged(root, pairs) | Companions(doubtful=flat)


def same_stems(root: Path, labels: Mapping[str, str]) -> Companions:
    """Return those that only share a name with another image of their class: x.png beside x.jpg; ``labels`` by id."""
    return _judged(root, list(stem_pairs(labels)))


def classes_of_masks(certain: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the images by class where leaving out ``certain`` masks takes a whole class from two or more others.

    ``labels`` are those of all images by id. Such a class is rather one more class (``label/`` beside ``photo/`` and
    ``sketch/``), unless each of the others has masks of its own: ``cat_mask/`` and ``dog_mask/`` of ``cat/`` and
    ``dog/``.
    """
    left = {label for id_, label in labels.items() if id_ not in certain}
    gone: dict[str, list[str]] = defaultdict(list)
    for id_, reason in certain.items():
        if reason == MASK and labels[id_] not in left:
            gone[labels[id_]].append(id_)
    owners = {_kind_of_folder(name)[1].lower() for name in gone}
    return {} if len(left) < 2 or owners >= {name.lower() for name in left} else dict(gone)


def spared(found: Companions, classes: Mapping[str, Sequence[str]]) -> tuple[Companions, list[str]]:
    """Return companions without those that are ``classes`` of their own, and in words what may be amiss."""
    kept = {id_ for ids in classes.values() for id_ in ids}
    certain = {id_: reason for id_, reason in found.certain.items() if id_ not in kept}
    notes = [
        f"Class {name!r} is kept, though its {len(ids)} images look like masks of images in other classes; if they "
        "are masks, move them away"
        for name, ids in sorted(classes.items())
    ]
    return Companions(certain, (*found.doubtful, *sorted(kept))), notes


def named_pairs(ids: Iterable[str]) -> Iterator[Pair]:
    """Yield the images whose names speak of a mask or preview and that have a picture of the same key.

    Where there is none, the picture may be that of a shorter name: i0.jpg for i0_color_mask.png and i0-150x150.jpg.
    """
    pictures: dict[str, list[str]] = defaultdict(list)
    marked: list[tuple[str, str, str, str]] = []
    ids = list(ids)
    paired: set[str] = set()
    for id_ in ids:
        key, kind, bucket = _key(id_)
        if kind:
            marked.append((id_, key, kind, bucket))
        else:
            pictures[key].append(id_)
    for id_, key, kind, bucket in marked:
        if key in pictures:
            paired.add(id_)
            yield Pair(id_, pictures[key][0], kind, bucket)
    for id_ in ids:
        further = () if id_ in paired else _further_keys(id_)
        if found := next(((key, *of) for key, *of in further if key in pictures and pictures[key] != [id_]), None):
            yield Pair(id_, pictures[found[0]][0], *found[1:])


def scaled_pairs(ids: Iterable[str]) -> Iterator[Pair]:
    """Yield the images that have a larger copy by its name, with the largest: x.png and x@2x.png of x@3x.png."""
    sizes: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for id_ in ids:
        if match := _SCALE.fullmatch(id_):
            sizes[match[1].lower()].append((float(match[2] or 1), id_))
    for each in sizes.values():
        largest, picture = max(each)
        yield from (Pair(id_, picture, PREVIEW, "@") for scale, id_ in each if scale < largest)


def _beside_images(ids: Sequence[str]) -> list[str]:
    """Return the images in folders called after masks, beside a folder called after images."""
    folders = {PurePosixPath(id_).parent for id_ in ids}
    beside = {folder.parent for folder in folders if folder.name.strip().lower() in IMAGES}
    masks = {str(folder) for folder in folders if folder.parent in beside and _kind_of_folder(folder.name)[0] == MASK}
    return [id_ for id_ in ids if masks and str(PurePosixPath(id_).parent) in masks]


def _key(id_: str) -> tuple[str, str, str]:
    """Return what an image shares with its companions, which kind its name speaks of ("" for none), and the mark."""
    *folders, name = id_.split("/")
    kind, bucket, kept = "", "", []
    for folder in folders:
        of_folder, rest = _kind_of_folder(folder)
        if of_folder:
            kind, bucket = of_folder, f"{folder}/"
        if rest.lower() not in IMAGES:
            kept.append(rest.lower())
    stem, of_file, mark = _kind_of_stem(PurePosixPath(name).stem)
    return "/".join([*filter(None, kept), stem.lower()]), of_file or kind, mark or bucket


def _further_keys(id_: str) -> Iterator[tuple[str, str, str]]:
    """Yield what an image may share with a picture of a shorter name, with the kind and the mark.

    Words between the mark and the picture's name are left out, but no numbers; and so are words of a folder of masks.
    """
    *folders, name = id_.split("/")
    stem = PurePosixPath(name).stem
    of_folders = [(*_kind_of_folder(folder), folder) for folder in folders]
    plain = [rest.lower() for kind, rest, _ in of_folders if not kind and rest.lower() not in IMAGES]
    kept = [rest.lower() for _, rest, _ in of_folders if rest and rest.lower() not in IMAGES]
    marked = next(((kind, f"{folder}/") for kind, _, folder in of_folders if kind), None)
    if marked and plain != kept:
        yield "/".join([*plain, _kind_of_stem(stem)[0].lower()]), *marked
    words = re.findall(r"[^\W_]+", _FUSED.sub("_", stem))
    for at, word in enumerate(words):
        is_last = at == len(words) - 1
        kind = PREVIEW if is_last and at and _SIZE.fullmatch(word.lower()) else _kind_of_word(word.lower())
        if kind:
            for rest in _shorter(words, at):
                yield "/".join([*kept, _bare(rest).lower()]), kind, word if kind != PREVIEW else "preview"


def _shorter(words: Sequence[str], at: int) -> Iterator[Sequence[str]]:
    """Yield the words before a mark at ``at``, then ever fewer, as long as no number is lost; and those after it."""
    numbered = [any(character.isdigit() for character in word) for word in words]
    for end in range(at, 0, -1):
        if any(numbered[end:at]) or any(numbered[at + 1 :]):
            break
        yield words[:end]
    for begin in range(at + 1, len(words)):
        if any(numbered[:at]) or any(numbered[at + 1 : begin]):
            break
        yield words[begin:]


def _is_called_mask(id_: str) -> bool:
    """Return whether a file is called a mask, and no folder above it has the same word, as that of a class may."""
    *folders, name = id_.split("/")
    _, kind, mark = _kind_of_stem(_FUSED.sub("_", PurePosixPath(name).stem))
    word = mark.strip("^").lower().removesuffix("s")
    return kind == MASK and not any(word in folder.lower() for folder in folders)


def _kind_of_folder(name: str) -> tuple[str, str]:
    """Return the kind of companions that a folder's name speaks of, "" for none, and the rest of the name."""
    words = _WORD.findall(name)
    if kind := _kind_of_word("".join(words).lower()):
        return kind, ""
    for at in (-1, 0):
        if len(words) > 1 and (kind := _kind_of_word(words[at].lower())):
            rest = name.removesuffix(words[at]) if at else name.removeprefix(words[at])
            return kind, rest.strip(" _-.")
    return "", name.strip()


def is_called_mask(folder: str) -> bool:
    """Return whether a folder is called after masks or previews."""
    return _kind_of_folder(folder)[0] != ""


def _kind_of_stem(stem: str) -> tuple[str, str, str]:
    """Return a stem without the word that makes it a companion, the kind, and that word with its place.

    Marks between words are all alike, and a word for images before or after them is left out: 7 of img_7 and 7_rgb.
    """
    words = re.findall(r"[^\W_]+", stem)
    tail = len(words) - 1 - (len(words) > 2 and words[-1].isdigit())  # as in x_mask_1
    for at, rest in ((tail, words[:tail]), (0, words[1:])):
        if rest and (kind := _kind_of_word(words[at].lower())):
            return _bare(rest), kind, f"{'' if at else '^'}{words[at]}"
    return _bare(words) or stem, "", ""


def _bare(words: Sequence[str]) -> str:
    if len(words) > 1 and words[0].lower() in IMAGES:
        words = words[1:]
    if len(words) > 1 and words[-1].lower() in IMAGES:
        words = words[:-1]
    return "_".join(words)


def _kind_of_word(word: str) -> str:
    for kind, known in ((MASK, MASKS), (PREVIEW, PREVIEWS), (UNSURE, DRAWN)):
        if word in known:
            return kind
    return ""


def stem_pairs(labels: Mapping[str, str]) -> Iterator[Pair]:
    """Yield, both ways, images of one class with one stem: in one folder, in two beside or in each other."""
    alike: dict[tuple[str, ...], list[PurePosixPath]] = defaultdict(list)
    for id_, label in labels.items():
        path = PurePosixPath(id_)
        stem = path.stem.lower()
        alike[label, str(path.parent), stem, "here"].append(path)
        alike[label, str(path.parent.parent), stem, "beside"].append(path)
        for folder in (path.parent, path.parent.parent):
            alike[label, str(folder), stem, "within"].append(path)
    for (_, _, _, where), paths in alike.items():
        if len(paths) == 2 and where == _relation(*paths):
            for one, other in (paths, paths[::-1]):
                bucket = f"{one.parent} {one.suffix} {other.parent} {other.suffix}"
                yield Pair(str(one), str(other), UNSURE, bucket)


def _relation(one: PurePosixPath, other: PurePosixPath) -> str:
    """Return how the folders of two images lie to each other."""
    if one.parent == other.parent:
        return "here"
    return "beside" if one.parent.parent == other.parent.parent else "within"


def _judged(root: Path, pairs: Sequence[Pair]) -> Companions:
    """Return the pairs by what is in the files; where no file of a sample is a companion, the others are not read."""
    buckets: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        buckets[pair.bucket].append(pair)
    certain: dict[str, str] = {}
    doubtful: list[str] = []
    with ThreadPoolExecutor(cores()) as pool:
        for some in buckets.values():
            sample = some[:: max(1, len(some) // SAMPLE)]
            verdicts = dict(zip(sample, pool.map(lambda pair: _verdict(root, pair), sample), strict=True))
            if any(verdicts.values()):
                rest = [pair for pair in some if pair not in verdicts]
                verdicts |= zip(rest, pool.map(lambda pair: _verdict(root, pair), rest), strict=True)
            certain |= {pair.id: verdict for pair, verdict in verdicts.items() if verdict}
            named = [pair for pair in some if pair.kind != UNSURE or pair.bucket.strip("/^").lower() in DRAWN]
            doubtful += [pair.id for pair in named if not verdicts.get(pair)]
    return Companions(certain, tuple(doubtful))


# DECISIONS: Masks are left out where name and content agree
def _verdict(root: Path, pair: Pair) -> str:
    """Return why an image is a companion of its picture, "" if it is not certain."""
    own, picture = _small(root / pair.id), _small(root / pair.picture)
    if own is None or picture is None:
        return ""
    same_shape = abs(np.log(own.aspect / picture.aspect)) < 0.1
    smaller = own.size[0] < 0.9 * picture.size[0] and own.size[1] < 0.9 * picture.size[1]
    if pair.kind == PREVIEW:
        return PREVIEW if smaller and _alike(own.pixels, _middle(picture.pixels, own.aspect)) else ""
    few = is_flat(own.pixels) and not is_flat(picture.pixels)
    sized = own.size == picture.size if pair.kind == UNSURE else same_shape
    return MASK if few and sized else ""


@dataclass(frozen=True)
class _Small:
    """An image at a reduced size: its pixels (h, w, 3) uint8, and its size (width, height) in the file."""

    pixels: np.ndarray
    size: tuple[int, int]

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.size[0] / self.size[1]


def _small(path: Path) -> _Small | None:
    """Return an image with pixels left out, never mixed, or None if it cannot be read: decoding says why."""
    try:
        if not os.path.isfile(path):  # to read a pipe would wait for ever
            return None
        with Image.open(path, formats=FORMATS) as image:
            size = image.size
            if size[0] * size[1] > MAX_PIXELS:
                return None
            sides = [max(1, round(side * min(1, SIDE / max(size)))) for side in size]
            small = _in_bytes(image).resize((sides[0], sides[1]), Image.Resampling.NEAREST).convert("RGB")
            return _Small(np.asarray(small), size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _in_bytes(image: Image.Image) -> Image.Image:
    """Return an image of whole numbers or fractions, in whatever range, as one of bytes."""
    if image.mode[0] not in "IF":
        return image
    values = np.asarray(image, float)
    return Image.fromarray(np.uint8(255 * (values - values.min()) / max(np.ptp(values), 1e-9)))


def is_flat(pixels: np.ndarray) -> bool:
    """Return whether an image (h, w, 3) has the few colours of a mask, or, saved as JPEG, noise around two shades."""
    colours = pixels.reshape(-1, 3).astype(np.int64)
    names = colours[:, 0] << 16 | colours[:, 1] << 8 | colours[:, 2]
    if len(np.unique(names)) <= min(COLOURS, len(names) // 8):
        return True
    shades = np.bincount(colours.mean(axis=1).astype(np.int64) >> 5, minlength=8) / len(names)
    return bool(shades[0] + shades[7] >= FLAT and shades[7] > 0.005 and np.ptp(colours, axis=1).mean() < 16)


def _middle(pixels: np.ndarray, aspect: float) -> np.ndarray:
    """Return the middle of a picture (h, w, 3) at an aspect, width over height, as square previews show it."""
    height, width = pixels.shape[:2]
    across, down = min(width, max(1, round(height * aspect))), min(height, max(1, round(width / aspect)))
    left, top = (width - across) // 2, (height - down) // 2
    return pixels[top : top + down, left : left + across]


def _alike(preview: np.ndarray, picture: np.ndarray) -> bool:
    """Return whether two pictures show the same, at 16 px."""
    small = [
        np.asarray(Image.fromarray(pixels).convert("L").resize((16, 16), Image.Resampling.BOX), float).ravel()
        for pixels in (preview, picture)
    ]
    flat = [values.std() < 1 for values in small]
    if any(flat):
        return all(flat)
    return bool(np.corrcoef(small[0], small[1])[0, 1] >= ALIKE)
