"""What names of folders and files say: words in them, masks, previews, cases such as patients."""

import re
from collections.abc import Sequence

IMAGES = frozenset(
    {"images", "image", "imgs", "img", "pictures", "photos", "photo", "jpegimages", "jpg", "jpeg", "png", "rgb", "data"}
)
CASES = frozenset(
    (  # with a number, these are never what a picture shows
        *("patient", "patients", "pat", "case", "fold", "folds", "visit", "slide", "slides", "session"),
        *("scan", "exam", "study", "series", "batch", "part", "chunk", "shard", "split", "house", "site"),
        *("hospital", "centre", "center", "clip", "video", "seq", "sequence", "frame", "frames", "scene"),
        *("day", "week", "month", "year", "run", "take", "round", "sample", "specimen", "wsi"),
    )
)
STAGES = frozenset(  # such cases can be what a picture shows, as the age of a fruit
    ("case", "day", "week", "month", "year", "run", "take", "round", "sample", "specimen", "scene")
)
VERSIONS = frozenset(
    ("original", "originals", "augmented", "augmentation", "aug", "raw", "processed", "cropped", "crop")
)
FURTHER_CASES = frozenset(("person", "subject", "user", "id", "s", "p", "set", "group", "trial", "view", "img", "no"))
_DATE = re.compile(r"(19|20)\d\d([-_.]?(0[1-9]|1[0-2])){1,2}([-_.]?[0-3]\d)?|[0-3]?\d[-_.][01]?\d[-_.](19|20)?\d\d")
_HEX = re.compile(r"(?=.*\d)(?=.*[a-f])[0-9a-f]{8,}(-[0-9a-f]+)*", re.IGNORECASE)


def some(names: Sequence[str], most: int = 4) -> str:
    """Return the first of some names in a line, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def tokens(name: str) -> list[str]:
    """Return the words and numbers of a name, in small letters: seg, train of seg_Train; train, a of trainA."""
    return [token.lower() for token in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_A-Za-z]+|\d+", name)]


def is_number(name: str) -> bool:
    """Return whether a name is a number."""
    return name.strip().isdigit()


def is_date(name: str) -> bool:
    """Return whether a name is a date."""
    return _DATE.fullmatch(name.strip()) is not None


def is_case(name: str) -> bool:
    """Return whether a name counts cases: patient_07, fold2, case-12."""
    words = tokens(name)
    return len(words) > 1 and words[-1].isdigit() and words[-2] in CASES


def may_be_stage(name: str) -> bool:
    """Return whether a name that counts cases can name a class all the same: day2, case 1."""
    return is_case(name) and tokens(name)[-2] in STAGES


def may_be_case(name: str) -> bool:
    """Return whether a name may count cases rather than say what a picture shows: a number, a date, person01."""
    words = tokens(name)
    counted = len(words) > 1 and words[-1].isdigit() and words[-2] in CASES | FURTHER_CASES
    return counted or is_number(name) or is_date(name) or _HEX.fullmatch(name.strip()) is not None


def says_no_class(name: str) -> bool:
    """Return whether a folder deep in a tree is called after images, versions of them, cases or a scale (40X)."""
    plain = name.strip().lower()
    enlarged = re.fullmatch(r"\d+[a-z]{0,2}", plain) is not None
    return plain in IMAGES | VERSIONS or may_be_case(name) or enlarged


def is_serial(name: str) -> bool:
    """Return whether a name is a number, or letters with a number, as ids are; WordNet's (n01440764) are classes."""
    plain = name.strip()
    if re.fullmatch(r"n\d{8}", plain):
        return False
    return re.fullmatch(r"[A-Za-z]*[\W_]*\d+", plain) is not None or may_be_case(name)
