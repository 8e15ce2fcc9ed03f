"""Which columns of a table name images and labels: by their names, by what is in them, or one column for each class."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from search.data.dataset import canonical_split
from search.data.readers.names import some
from search.data.readers.splits import word_of
from search.system.errors import UserError

IMAGE, LABEL, SPLIT, GROUP = "image", "label", "split", "group"
IMAGES = (  # without marks and capitals; the first that is there counts
    *("image", "filename", "file", "filepath", "path", "imagepath", "imagename", "imagefile", "imagefilename"),
    *("imgpath", "imgname", "imgfile", "img", "images", "imageid", "imgid", "imageindex", "isicid", "idcode", "fname"),
    *("photo", "picture", "photoid", "uuid", "uid", "id", "name", "x"),
)
LABELS = (
    *("label", "labels", "class", "classes", "classname", "labelname", "category", "categories", "categoryname"),
    *("target", "targets", "dx", "diagnosis", "findinglabels", "species", "breed", "variety", "tag", "tags", "genre"),
    *("emotion", "labelid", "classid", "categoryid", "y", "type", "level", "answer", "groundtruth", "gt"),
)
FLAGS = {  # what 1 says of the split, and what 0 does
    **dict.fromkeys(("istest", "istesting", "istestset", "istestimage"), ("test", "train")),
    **dict.fromkeys(("istrain", "istraining", "istrainset", "istrainingimage"), ("train", "test")),
    **dict.fromkeys(("isval", "isvalid", "isvalidation"), ("validation", "train")),
}
SPLITS = ("split", "set", "subset", "partition", "usage", "phase", "dataset")
CERTAIN = frozenset({"label", "labels", "class"})  # against columns of 0 and 1 beside them
YES, NO = frozenset({"1", "1.0", "true", "yes"}), frozenset({"0", "0.0", "false", "no", ""})
FEWEST_PIXELS = 60  # columns of numbers
SEPARATORS = ("|", ";", ",", "/", "+", "&", None)  # between labels; None is a space
CLEAR = frozenset({"|", ";", ","})  # in no name of one class that shares its parts with others


@dataclass(frozen=True)
class Columns:
    """The columns that name image and label, and perhaps split; ``hot`` are those of 0 and 1, one for each class.

    ``unused`` says in words which columns might have been meant and are not used.
    """

    image: str
    label: str = ""
    split: str = ""
    hot: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    def in_words(self) -> str:
        """Return what is taken for what, and what is not used; "" where the names of the columns say so themselves."""
        return "; ".join(filter(None, [self._used(), *self.unused]))

    def _used(self) -> str:
        if (self.image, self.label, self.split) in {(IMAGE, LABEL, ""), (IMAGE, LABEL, SPLIT)}:
            return ""
        labels = f"{len(self.hot)} columns of 0 and 1 are the labels" if self.hot else f"{self.label!r} the labels"
        split = f", and {self.split!r} the given split" if self.split not in {"", SPLIT} else ""
        if flag := FLAGS.get(plain(self.split)):
            split += f" (1 is {flag[0]}, 0 is {flag[1]})"
        return f"column {self.image!r} names the images, {labels}{split}"

    def split_of(self, value: str) -> str:
        """Return the split that a value in the column of the split stands for."""
        flag = FLAGS.get(plain(self.split))
        return canonical_split(value) if flag is None else flag[value.strip().lower() in NO]


def plain(name: str) -> str:
    """Return a name of a column without marks and capitals."""
    return re.sub(r"[\W_]", "", name.lower())


def knows(names: Sequence[str]) -> bool:
    """Return whether a first line has the name of a column that is known, or that of a pixel."""
    known = {*IMAGES, *LABELS, *SPLITS, GROUP}
    return any(plain(name) in known for name in names) or _pixels(names)


def columns_of(table: pd.DataFrame, path: Path, is_there: Callable[[Sequence[str]], bool]) -> Columns:
    """Return the columns of a table of texts; ``is_there`` tells whether any of some values is an image that exists.

    Raises UserError, beginning with ``path``, for a table of pixels, and where image or label is in no column or in
    several.
    """
    names = [str(name) for name in table.columns]
    _check_pixels(table, path)
    split, unused = _split_column(table, names)
    image = _image_column(table, names, is_there)
    taken = {image, split, *_flags(names)}
    others = [name for name in names if name not in taken and not re.match(r"Unnamed: \d+$", name)]
    if not image:
        raise UserError(
            f"{path} lacks the column 'image'; it needs image, label, and has {some(names, 8)}. Name its columns so in "
            "the first line."
        )
    hot = [name for name in others if set(table[name].str.strip().str.lower()) <= YES | NO]
    named = sorted((name for name in others if plain(name) in LABELS), key=lambda name: LABELS.index(plain(name)))
    if len(hot) > 1 and not any(plain(name) in CERTAIN for name in named):
        sums = _marks(table, hot).sum(axis=1)
        if not named or (sums == 1).all():
            _check_hot(table, hot, path)
            return Columns(image, split=split, hot=tuple(hot), unused=unused)
    rest = [name for name in others if plain(name) != GROUP]
    label = named[0] if named else rest[0] if len(rest) == 1 else ""
    if not label:
        raise UserError(
            f"{path} lacks the column 'label'; it needs image, label, and has {some(names, 8)}. Name the column with "
            "the classes so in the first line."
        )
    _check_classes(table[label].str.strip(), label, path, sure=bool(named))
    return Columns(image, label, split, unused=(*_rivals(table, label, named), *unused))


def _split_column(table: pd.DataFrame, names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return the column of the given split, "" for none, and in words which one that is called so is not used."""
    splits = [name for name in names if name == SPLIT or (plain(name) in SPLITS and _is_split(table[name]))]
    flags = _flags(names)
    if not splits and len(flags) == 1 and set(table[flags[0]].str.strip().str.lower()) <= (YES | NO) - {""}:
        return flags[0], ()
    why = "another column is the split" if splits else "a single column of 0 and 1 would be"
    unused = tuple(f"column {name!r} is not used as the split: {why}" for name in flags)
    return SPLIT if SPLIT in splits else next(iter(splits), ""), unused


def _flags(names: Sequence[str]) -> list[str]:
    """Return the columns that say of a split whether an image is in it; beside an image alone one is the label."""
    return [name for name in names if plain(name) in FLAGS] if len(names) > 2 else []


def _rivals(table: pd.DataFrame, label: str, named: Sequence[str]) -> list[str]:
    """Return in words the columns that could be the labels, too, and sort the images otherwise."""
    own = table[label].str.strip()
    rivals = []
    for name in named:
        values = table[name].str.strip()
        if not own.nunique() == values.nunique() == len(set(zip(own, values, strict=True))):
            rivals.append(f"column {name!r} says otherwise than the labels in {label!r} and is not used")
    return rivals


def _image_column(table: pd.DataFrame, names: Sequence[str], is_there: Callable[[Sequence[str]], bool]) -> str:
    known = sorted((name for name in names if plain(name) in IMAGES), key=lambda name: IMAGES.index(plain(name)))
    if known and (len(known) == 1 or plain(known[0]) == IMAGE):
        return known[0]
    rest = [name for name in names if name not in known]
    there = next((name for name in (*known, *rest) if is_there(table[name].str.strip().tolist())), "")
    return there or (known[0] if known else "")


def _is_split(values: pd.Series) -> bool:
    return all(word_of(value) for value in set(values.str.strip()) - {""})


def _pixels(names: Sequence[str]) -> bool:
    return sum(re.fullmatch(r"(pixel|px|p|x)?\d+(x\d+)?", plain(name)) is not None for name in names) >= FEWEST_PIXELS


def _check_pixels(table: pd.DataFrame, path: Path) -> None:
    first = table.head(5)
    numbers = [name for name in table.columns if first[name].str.fullmatch(r"\s*\d+(\.\d+)?\s*").all()]
    in_one = [name for name in table.columns if plain(str(name)) in {"pixels", "pixel", "image", "img"}]
    lists = first[in_one].apply(lambda values: values.str.fullmatch(r"\s*(\d+[\s,;]+)+\d+\s*")).any(axis=None)
    longest = max((len(value.split()) for name in in_one for value in first[name]), default=0) if lists else 0
    is_hot = (first[numbers].astype(float).sum(axis=1) == 1).all() and len(table) > 0
    found = longest or (len(numbers) - (len(numbers) == len(table.columns)) if not is_hot else 0)
    if found >= FEWEST_PIXELS:
        raise UserError(
            f"{path} is a table of pixels ({found} numbers in a line), not of image files. Save them "
            "as arrays, np.savez('data.npz', x=pixels.reshape(-1, height, width), y=labels), and give that file."
        )


def _marks(table: pd.DataFrame, hot: Sequence[str]) -> pd.DataFrame:
    return table[list(hot)].apply(lambda values: values.str.strip().str.lower().isin(YES))


def _check_hot(table: pd.DataFrame, hot: Sequence[str], path: Path) -> None:
    marks = _marks(table, hot)
    sums = marks.sum(axis=1)
    for line in sums.index[sums != 1][:1]:
        labels = [name for name in hot if marks.loc[line, name]]
        if labels:
            raise UserError(_several(f"{path}, line {line}", f"1 in the columns {some(labels)}"))
        raise UserError(
            f"{path}, line {line}: none of the columns {some(hot)} is 1. Give the image a label, such as a column for "
            "those without, or remove the line."
        )


def hot_labels(table: pd.DataFrame, hot: Sequence[str]) -> pd.Series:
    """Return the name of the column that is 1 in each line, for a table where exactly one is."""
    return _marks(table, hot).idxmax(axis=1)


def _check_classes(values: pd.Series, column: str, path: Path, sure: bool) -> None:
    """Raise UserError for what are no classes: several labels in a field, numbers that measure, texts all different."""
    for line, several in _lists(values):
        raise UserError(_several(f"{path}, line {line}", repr(several)))
    distinct = values.nunique()
    measured = values.str.fullmatch(r"-?\d+\.\d*[1-9]\d*").mean()
    if len(values) >= 10 and distinct > len(values) / 2 and (measured > 0.5 or not sure):
        raise UserError(
            f"{path}: the column {column!r} has {distinct} values in {len(values)} lines, and so names no classes. "
            "Give each image the name of its class in a column 'label'."
        )


def _several(where: str, what: str) -> str:
    return (
        f"{where}: several labels in one line ({what}). A classifier gives each image one class: keep one label for "
        "each image, or make one class of them, written with a dash."
    )


def _lists(values: pd.Series) -> Iterator[tuple[int, str]]:
    """Yield (line, label) where a label is a list of others: its parts are labels too, or are in other lists."""
    known = {value for value in set(values) if value.isprintable()}
    lists = {value for value in known if re.fullmatch(r"\[.*,.*\]", value)}
    for separator in SEPARATORS:
        parts = {value: [part.strip() for part in value.split(separator) if part.strip()] for value in known}
        parts = {value: several for value, several in parts.items() if len(several) > 1}
        often = Counter(part for several in parts.values() for part in set(several))
        for value, several in parts.items():
            again = separator in CLEAR and any(often[part] > 1 or part in known for part in several)
            if again or all(part in known for part in several):
                lists.add(value)
    yield from ((int(str(line)), value) for line, value in values[values.isin(lists)].items())
