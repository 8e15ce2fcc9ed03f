"""Find a pattern on file names that keeps copies together, from pairs of images that look like copies."""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

FEWEST_PAIRS = 10
LEAST_EXPLAINED = 0.9
LEAST_AGREEING = 0.3  # of the pairs: sources that are copies of each other under two names pair all their copies
MOST_CHANCE = 0.2
_FEWEST_KEYS = 3  # that the pairs must lie in: many pairs of one source are one piece of evidence
_LEAST_PARTNERED = 0.3  # of the images that share a key; a key far coarser than the copies has fewer
_SLACK = 0.01  # a wrong pair that a coarser key happens to explain must not decide
_ABOUT = 1.25  # slightly smaller groups at the cost of a few pairs are but torn ones
_DEEPEST = 8  # tokens from either end
_SCREENED = 1000  # pairs
_SUFFIX = r"\.\w+$"
_COPY_MARKS = (
    *(r"_\d+", r"-\d+", r" \d+", r"\.\d+", r"[_\-. ]\d+", r"[_\- ]?\(\d+\)"),
    *(r"[_\-. ]*(?<!\d)\d+", r"[_\- ]+[^\W\d_]+\d*"),  # the guard leaves one way only to match a number
)


@dataclass(frozen=True)
class Proposal:
    """A pattern whose one group is the key that copies share.

    ``re.search(pattern, file_name)[1]`` fits every file name. ``keys`` counts the different keys,
    ``explained`` is the share of the images with a copy that share it with one of their copies,
    ``chance`` the share of all pairs of images that agree in it (of one class or of the whole
    set, whichever is larger); both in [0, 1].
    """

    pattern: str
    keys: int
    explained: float
    chance: float


# DECISIONS: A pattern on names is judged by images, not by pairs
def proposed_pattern(
    ids: Sequence[str], pairs: Sequence[tuple[int, int]], labels: Sequence[int] | np.ndarray | None = None
) -> Proposal | None:
    """Return the pattern that explains the most images with copies by the smallest groups, or None.

    ``ids`` are paths with slashes; ``labels`` (n,) the classes (None: the first folders); ``pairs`` are rows
    of images that look like copies of each other: some may be missing, a few wrong. None means
    too few pairs, or that no pattern fits all names and the pairs.
    """
    names = [PurePosixPath(id_).name for id_ in ids]
    folders = [PurePosixPath(id_).parts[0] if "/" in id_ else "" for id_ in ids]
    classes = folders if labels is None else [str(label) for label in labels]
    distinct = sorted({(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]})
    if len(distinct) < FEWEST_PAIRS:
        return None
    screen = distinct[:: -(-len(distinct) // _SCREENED)]
    proposals = []
    for pattern in dict.fromkeys(_candidates(names)):
        if _may_explain(pattern, names, screen):
            proposal = _proposal(pattern, names, classes, distinct)
            if proposal:
                proposals.append(proposal)
    return _best(proposals)


def _best(proposals: Sequence[Proposal]) -> Proposal | None:
    """Return, of those that explain about the most, one with about the smallest groups; the shortest of equals."""
    most = max((one.explained for one in proposals), default=0.0)
    good = [one for one in proposals if one.explained >= most - _SLACK]
    smallest = min((one.chance for one in good), default=0.0)
    fine = [one for one in good if one.chance <= smallest * _ABOUT]
    return min(fine, key=lambda one: (-one.explained, len(one.pattern), one.pattern), default=None)


def _may_explain(pattern: str, names: Sequence[str], pairs: Sequence[tuple[int, int]]) -> bool:
    """Return whether about enough of the pairs have a key and agree in it."""
    compiled = re.compile(pattern)
    wrong = (1 - LEAST_AGREEING + _SLACK) * len(pairs)
    for one, other in pairs:
        matches = compiled.search(names[one]), compiled.search(names[other])
        if matches[0] is None or matches[1] is None:
            return False
        wrong -= matches[0][1] != matches[1][1]
        if wrong < 0:
            return False
    return True


def _proposal(
    pattern: str, names: Sequence[str], classes: Sequence[str], pairs: Sequence[tuple[int, int]]
) -> Proposal | None:
    """Return the pattern with its figures, or None if it does not fit or proves nothing."""
    compiled = re.compile(pattern)
    matches = [compiled.search(name) for name in names]
    keys = [match[1] for match in matches if match]
    if len(keys) < len(names) or any(key is None for key in keys):
        return None
    sizes = Counter(keys)
    agreeing = [pair for pair in pairs if keys[pair[0]] == keys[pair[1]]]
    explained = len(set(itertools.chain.from_iterable(agreeing))) / len(set(itertools.chain.from_iterable(pairs)))
    chance = max(_chance(keys, [""] * len(keys)), _chance(keys, classes))
    partnered = len(set(itertools.chain.from_iterable(agreeing)))
    shared = sum(size for size in sizes.values() if size > 1)
    proves = len({keys[one] for one, _ in agreeing}) >= _FEWEST_KEYS and partnered >= _LEAST_PARTNERED * shared
    if explained < LEAST_EXPLAINED or len(agreeing) < LEAST_AGREEING * len(pairs) or chance > MOST_CHANCE or not proves:
        return None
    return Proposal(pattern, len(sizes), explained, chance)


def _chance(keys: Sequence[str], classes: Sequence[str]) -> float:
    """Return the share of the pairs of one class that agree in their key."""
    alike = sum(size * (size - 1) for size in Counter(zip(classes, keys, strict=True)).values())
    return alike / max(1, sum(size * (size - 1) for size in Counter(classes).values()))


def _candidates(names: Sequence[str]) -> Iterator[str]:
    """Yield patterns that many name their files by; some may not fit all names."""
    stems = [PurePosixPath(name).stem for name in names]
    yield from (rf"^(.+?)(?:{mark}){many}{_SUFFIX}" for mark in _COPY_MARKS for many in "?*+")
    for word in _words(stems):
        yield rf"^(.+?)(?:[\W_]+{word}(?![^\W\d_]).*)?{_SUFFIX}"
        yield rf"^(?:.*(?<![^\W\d_]){word}[\W_]+)?(.+){_SUFFIX}"
    schemes = [(r"\d", r"[^\W\d_]", r"[\W_]"), (r"[^\W_]", r"[\W_]")]
    schemes += [(f"[^{mark}]", mark) for mark in ("_", r"\-", " ", r"\.") if all(mark[-1] in stem for stem in stems)]
    for kinds in schemes:
        yield from _spans(stems, kinds)


def _words(stems: Sequence[str]) -> list[str]:
    """Return words that are in some names only, as "aug" or "copy" are; the most frequent ones."""
    counts = Counter(word for stem in stems for word in set(re.findall(r"[^\W\d_]+", stem)))
    some = [(word, count) for word, count in counts.most_common(20) if len(stems) > count >= 0.02 * len(stems)]
    return [re.escape(word) for word, _ in some]


def _spans(stems: Sequence[str], kinds: Sequence[str]) -> Iterator[str]:
    """Yield patterns that cut names into runs of ``kinds`` (character classes) and keep some neighbours as the key."""
    splitter = re.compile("|".join(f"{kind}+" for kind in kinds))
    split = [splitter.findall(stem) for stem in stems]
    depth = min(_DEEPEST, *map(len, split))
    head = [_token([tokens[at] for tokens in split], kinds)[0] for at in range(depth)]
    tail = [_token([tokens[-1 - at] for tokens in split], kinds) for at in range(depth)]
    for skip in range(depth):
        start = "".join(head[:skip])
        for end in range(skip + 1, depth + 1):
            yield f"^{start}({''.join(head[skip:end])})"
        for drop in range(depth):
            stop = "".join(token for token, _ in reversed(tail[:drop]))
            guard = tail[drop - 1][1] if drop else ""
            yield f"^{start}(.+){guard}{stop}{_SUFFIX}"
    for drop, end in itertools.combinations(range(depth + 1), 2):
        key, rest = tail[drop:end], tail[:drop]
        text = ["".join(token for token, _ in reversed(part)) for part in (key, rest)]
        yield f"{key[-1][1]}({text[0]}){text[1]}{_SUFFIX}"


def _token(tokens: Sequence[str], kinds: Sequence[str]) -> tuple[str, str]:
    """Return a pattern for the tokens at one place, and what keeps it from beginning within a longer run."""
    kinds_there = {kind for kind in kinds for token in set(tokens) if re.fullmatch(f"{kind}+", token)}
    if len(kinds_there) > 1:
        # Possessive: else a long name can be cut into such tokens in very many ways.
        return f"(?:{'|'.join(f'{kind}++' for kind in kinds)})", ""
    (kind,) = kinds_there
    guard = f"(?<!{kind})"
    if len(set(tokens)) == 1 and not tokens[0].isdigit():
        return re.escape(tokens[0]), "" if kind == kinds[-1] and len(tokens[0]) == 1 else guard
    return f"{kind}+", guard
