"""Whether synthetic images help: complete trials beside the same recipe without them, on the same folds."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from search.analysis.predictions import Evidence, Size
from search.analysis.stats.comparing import Difference, difference, holm
from search.analysis.stats.hard import wrong_share
from search.journal.history import Trial
from search.repertoire.recipe import Recipe
from search.repertoire.synthetic import ANY, Synthetic

if TYPE_CHECKING:
    from search.analysis.judgement import Judgement  # which has the gains

NONE, COPIES = "none", "copies"  # what a trial is compared with
FEWEST_OTHERS = 2  # other recipes that say which images are hard
HARD = 0.5  # of the other recipes have an image wrong
HARD_IMAGES = "hard images"


@dataclass(frozen=True)
class Pair:
    """A complete trial with synthetic images and its reference: the same recipe without them, or with mere copies.

    ``against`` is "none" or "copies".
    """

    trial: Trial
    reference: Trial
    against: str

    @property
    def recipe(self) -> Recipe:
        """The recipe with synthetic images."""
        assert isinstance(self.trial.recipe, Recipe), "networks of a space take none"
        return self.trial.recipe

    @property
    def method(self) -> str:
        """How its synthetic images were made."""
        return self.recipe.synthetic_method or ANY

    @property
    def words(self) -> str:
        """Its synthetic images, as in "480 synthetic (gan)"."""
        amount = self.recipe.fields["synthetic_per_class"].words_of(self.recipe)
        return amount.removeprefix("+")


@dataclass(frozen=True)
class Gain:
    """How much better a pair's trial is than its reference: at one training size, or over all of them.

    ``fraction`` is None for the mean over sizes; ``images`` are the real training images. ``difference`` is that of the
    objective, with limits of 95 % and a two-sided ``p``; ``p_holm`` is it after Holm's adjustment.
    """

    pair: Pair
    fraction: float | None
    images: float
    difference: Difference
    p: float
    p_holm: float


@dataclass(frozen=True)
class PartGain:
    """The accuracy on some images at the largest size, of a pair's reference and of its trial.

    ``part`` is a class, or ``HARD_IMAGES``: those that at least half of the other recipes get wrong. Neither side of
    the pair says which these are, so that neither is better or worse on them by the choice.
    """

    pair: Pair
    part: str
    images: int
    reference: float
    trial: float


def pairs(judgement: "Judgement") -> list[Pair]:
    """Return the complete trials with synthetic images whose references are complete too, best first."""
    by_digest = {trial.recipe.digest: trial for trial in judgement.complete if isinstance(trial.recipe, Recipe)}
    found = []
    for trial in judgement.complete:
        recipe = trial.recipe
        if not isinstance(recipe, Recipe) or not recipe.synthetic:
            continue
        references = {NONE: _without(recipe)}
        if recipe.synthetic_method != COPIES:
            references[COPIES] = dataclasses.replace(recipe, synthetic_method=COPIES)
        for against, reference in references.items():
            if reference.digest in by_digest:
                found.append(Pair(trial, by_digest[reference.digest], against))
    return found


def _without(recipe: Recipe) -> Recipe:
    return dataclasses.replace(recipe, synthetic_per_class=Synthetic(), synthetic_method=None, synthetic_replacing=0.0)


def gains(judgement: "Judgement") -> list[Gain]:
    """Return the gain of each pair at each training size, and over all sizes where there are several.

    Holm's adjustment is over the recipes that are compared with the same kind of reference at the same size.
    """
    rules, every = judgement.rules, judgement.complete
    sizes: list[tuple[float | None, slice, float]] = [
        (fraction, slice(at, at + 1), judgement.images[at]) for at, fraction in enumerate(rules.fractions)
    ]
    if len(sizes) > 1:
        sizes.append((None, slice(None), math.nan))
    found = []
    for pair in pairs(judgement):
        own, other = every.index(pair.trial), every.index(pair.reference)
        for fraction, cells, images in sizes:
            gap = difference(judgement.cells[:, cells], own, other, rules.parts)
            found.append(Gain(pair, fraction, images, gap, 2 * min(gap.p, 1 - gap.p), math.nan))
    families: dict[tuple[str, float | None], list[int]] = {}
    for at, gain in enumerate(found):
        families.setdefault((gain.pair.against, gain.fraction), []).append(at)
    for places in families.values():
        for at, p_holm in zip(places, holm([found[at].p for at in places]), strict=True):
            found[at] = dataclasses.replace(found[at], p_holm=p_holm)
    return found


def part_gains(judgement: "Judgement") -> Iterator[PartGain]:
    """Yield how each pair does on each class and on hard images, at the largest training size."""
    evidence = judgement.evidence_of_images
    if evidence is None:
        return
    size = evidence.sizes[-1]
    for pair in pairs(judgement):
        if pair.trial.id not in evidence.trials or pair.reference.id not in evidence.trials:
            continue
        own, other = (evidence.trials.index(one.id) for one in (pair.trial, pair.reference))
        right = size.predictions[[other, own]] == size.labels
        for label, name in enumerate(judgement.classes):
            yield from _on(pair, name, right, size.labels == label, size)
        yield from _on(pair, HARD_IMAGES, right, _is_hard(evidence, size, (own, other)), size)


def _on(pair: Pair, part: str, right: np.ndarray, rows: np.ndarray, size: Size) -> Iterator[PartGain]:
    """Yield the accuracies of a reference and its trial (2, R) on some rows, if there are any."""
    if rows.any():
        reference, trial = right[:, rows].mean(axis=1)
        yield PartGain(pair, part, len(np.unique(size.image[rows])), float(reference), float(trial))


def _is_hard(evidence: Evidence, size: Size, of_pair: tuple[int, int]) -> np.ndarray:
    """Return which predictions (R,) are of images that at least half of the recipes outside of a pair get wrong."""
    others = [at for at in range(len(evidence.trials)) if at not in of_pair]
    if len(others) < FEWEST_OTHERS:
        return np.zeros(len(size.labels), bool)
    wrong, of = wrong_share(size.predictions[others], size.labels, size.image)
    return np.asarray((wrong >= HARD * np.maximum(of, 1))[size.image])


def worth(gain: float, images: Sequence[float], scores: Sequence[float]) -> float:
    """Return how many more real images a gain is worth, read off a learning curve between its two largest sizes.

    ``images`` and ``scores`` are those of the recipe without synthetic images, by ascending size. Each doubling is
    taken to gain as much as the last one. NaN where the curve does not rise, or has one size. It is below 0 for a loss.
    """
    if len(images) < 2 or not scores[-1] > scores[-2] or math.isnan(images[-1]):
        return math.nan
    doublings = math.log2(images[-1] / images[-2])
    exponent = gain * doublings / (scores[-1] - scores[-2])
    return images[-1] * (2 ** min(exponent, 60.0) - 1)
