"""Folders that are splits (train, validation, test), by the common ways of writing them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from search.data.dataset import SPLIT_WORDS, canonical_split
from search.data.readers.names import IMAGES, tokens

TRAIN, VALIDATION, TEST, PREDICTION = "train", "validation", "test", "prediction"
WORDS = {
    **dict.fromkeys(("train", "training", "trn", "tr", "labeled", "labelled"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "validate", "validating", "dev", "va"), VALIDATION),
    **dict.fromkeys(("test", "testing", "tst", "te", "ts"), TEST),
    **dict.fromkeys(("eval", "evaluation", "holdout", "heldout"), "evaluation"),
    **dict.fromkeys(("pred", "predict", "prediction", "predictions", "inference", "submission"), PREDICTION),
    **dict.fromkeys(("unlabeled", "unlabelled", "unlabel", "nolabel", "nolabels"), "unlabelled"),
}
_ENDINGS = ("set", "data", "dir", "images", "imgs", "split", "folder")  # written onto a word, as in "trainset"


def word_of(name: str) -> str:
    """Return the split that a folder's name speaks of, "" for none: train of seg_train, Training_Set, trainA."""
    if (exact := canonical_split(name)) in SPLIT_WORDS.values():
        return exact
    found = {WORDS[word] for word in map(_stem, tokens(name)) if word in WORDS}
    return found.pop() if len(found) == 1 else ""


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if (rest := word.removesuffix(ending)) in WORDS:
            return rest
    return word


def _is_own(word: str) -> bool:
    """Return whether a word of a folder's name speaks neither of a split nor of images, and is no letter or number."""
    return len(word) > 1 and not word.isdigit() and _stem(word) not in WORDS and word not in IMAGES | {*_ENDINGS}


@dataclass(frozen=True)
class Tops:
    """Folders that lie beside each other, as splits: by name, the names within each (empty: images only).

    ``others`` are further folders with images beside them.
    """

    inner: Mapping[str, frozenset[str]]
    others: tuple[str, ...]

    @property
    def words(self) -> dict[str, str]:
        """The split of each."""
        return {name: word_of(name) for name in self.inner}

    @property
    def labelled(self) -> list[str]:
        """Those that hold folders, but for one that shares none with the training part."""
        return [name for name in self.inner if name not in self.unlabelled]

    @property
    def unlabelled(self) -> list[str]:
        """Those without class folders of their own: loose images, or one folder that training lacks."""
        train = [inner for name, inner in self.inner.items() if word_of(name) == TRAIN]
        known = frozenset().union(*train)
        return [
            name
            for name, inner in self.inner.items()
            if not inner or (len(inner) == 1 and len(known) > 1 and not inner & known and word_of(name) != TRAIN)
        ]

    @property
    def is_exact(self) -> bool:
        """Whether all names are the plain words."""
        return all(name.strip().lower() in SPLIT_WORDS for name in self.inner)

    def are_splits(self) -> bool:
        """Return whether these are splits and not classes; plain words always are, others if what is in them says so.

        Names such as freight_train and test_tube can be classes: then they hold images, or lie beside classes.
        """
        if len(set(self.words.values())) < 2:
            return False
        if self.is_exact:
            return True
        if self._are_things():
            return False
        holding = [self.inner[name] for name in self.labelled]
        common = any(one & other for at, one in enumerate(holding) for other in holding[:at])
        return common or not self.others

    def _are_things(self) -> bool:
        """Return whether these hold images alone, none is for training, and each has a word of its own: test_strip."""
        own = {name: frozenset(filter(_is_own, tokens(name))) for name in self.inner}
        differ = all(own.values()) and len(set(own.values())) == len(own)
        return differ and not any(self.inner.values()) and TRAIN not in self.words.values()

    def problem(self) -> str:
        """Return why these splits cannot be used, "" if they can."""
        words = self.words
        if self.others:
            return f"{self.others[0]} lies beside them"
        if len(set(words.values())) < len(words):
            return self._same_twice()
        if not self.labelled:
            return f"{self.unlabelled[0]} holds no class folders"
        trains = [name for name in self.unlabelled if words[name] == TRAIN]
        return f"{trains[0]} holds no class folders" if trains else ""

    def _same_twice(self) -> str:
        """Return which two mean the same split, and how classes in such names can be folders: A of trainA."""
        words = self.words
        one, other = next(
            (one, other) for one in words for other in words if one < other and words[one] == words[other]
        )
        rests = [" ".join(word for word in tokens(name) if _stem(word) not in WORDS) for name in (one, other)]
        way_out = ""
        if all(rests) and rests[0] != rests[1]:
            names = [rest.upper() if len(rest) == 1 else rest for rest in rests]
            folders = " and ".join(f"{words[one]}/{name}" for name in names)
            way_out = f" (if {' and '.join(names)} are classes, name the folders {folders})"
        return f"{one} and {other} both mean {words[one]}{way_out}"


def is_wrapper(name: str, inner: str) -> bool:
    """Return whether a folder that lies alone in a split is the split once more, or a name for images."""
    return inner.strip().lower() in IMAGES or _plain(inner) == _plain(name) or "" != word_of(inner) == word_of(name)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()
