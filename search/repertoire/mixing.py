"""Mixers: how the examples of a batch are mixed in pairs, inputs and targets alike. A new one is a row of ``MIXERS``.

What trains is mixed where the step takes it: of an unfrozen body the pixels, or the activations at the border where
its lower blocks are frozen; of a head on a frozen backbone the features.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from search.repertoire.fields import FOURTH, NUMBER, TEXT, Subfield, declare, describe
from search.repertoire.heads import kind_of
from search.system.errors import UserError
from search.system.validation import named_fields, one_of, real

if TYPE_CHECKING:
    from search.repertoire.recipe import Recipe

HIGHEST_ALPHA = 10
MAPS = 4  # the rank of a batch of maps or pixels
SECONDS_A_BATCH = 0.0002
SMALLEST_WEIGHT = 1e-30  # where all weights are 0, targets have no meaning

Blend = Callable[[np.ndarray, np.ndarray, float, np.random.Generator], tuple[np.ndarray, float]]


def mixup(inputs: np.ndarray, others: np.ndarray, share: float, _rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Return ``share`` of each example and the rest of its partner (mixup, Zhang et al. 2018)."""
    blend = np.float32(share) * inputs + np.float32(1 - share) * others
    return (np.rint(blend) if inputs.dtype == np.uint8 else blend).astype(inputs.dtype), share


def cutmix(inputs: np.ndarray, others: np.ndarray, share: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Return maps (n, h, w, c) with a rectangle, 1 - ``share`` of the area, of the partner (CutMix, Yun et al. 2019).

    The rectangle is the same in a batch. Where it reaches over the border, the share that is left is greater.
    """
    assert inputs.ndim == MAPS, "vectors were refused"
    spans = []
    for side in inputs.shape[1:3]:
        length, centre = side * np.sqrt(1 - share), rng.integers(side)
        ends = np.clip(np.rint([centre - length / 2, centre + length / 2]), 0, side)
        spans.append(slice(*ends.astype(int)))
    area = np.prod([span.stop - span.start for span in spans])
    blend = inputs.copy()
    blend[:, spans[0], spans[1]] = others[:, spans[0], spans[1]]
    return blend, float(1 - area / np.prod(inputs.shape[1:3]))


@dataclass(frozen=True)
class Mixer:
    """One way to mix the examples of a batch: a row of the table of mixers.

    ``blend(inputs, others, share, rng)`` returns examples (n, …) mixed with their partners, and the share that is left
    of each; None mixes nothing. The share wanted is drawn for each batch from Beta(alpha, alpha), and ``alpha`` is the
    default. ``needs_maps`` says that inputs must have places: pixels, or maps of activations. ``seconds`` is what it
    takes for a batch of features.
    """

    name: str
    blend: Blend | None
    alpha: float | None = None
    needs_maps: bool = False
    seconds: float = 0.0


MIXERS: dict[str, Mixer] = {
    mixer.name: mixer
    for mixer in (
        Mixer("none", None),
        Mixer("mixup", mixup, alpha=0.2, seconds=SECONDS_A_BATCH),
        Mixer("cutmix", cutmix, alpha=1.0, needs_maps=True, seconds=SECONDS_A_BATCH),
    )
}


@named_fields
@dataclass(frozen=True)
class Mix:
    """A mixer and its alpha, above 0 and at most 10: the greater, the more evenly two examples are mixed.

    ``alpha`` is None for the mixer that takes none; for the others, None means the default of the mixer.
    """

    mixer: str = "none"
    alpha: float | None = None

    def __post_init__(self) -> None:
        """Validate, and fill in the default alpha."""
        one_of("Mix mixer", self.mixer, MIXERS)
        default = MIXERS[self.mixer].alpha
        if default is None:
            if self.alpha is not None:
                raise UserError(
                    f"Mix({self.mixer!r}, alpha={self.alpha!r}): this mixer has no alpha. Leave it out; in a space, "
                    'put it under hp.conditional_scope("mix", [the mixers that take one]).'
                )
            return
        alpha = default if self.alpha is None else self.alpha
        object.__setattr__(self, "alpha", real("Mix alpha", alpha, 0, HIGHEST_ALPHA, open_low=True))

    @property
    def mixes(self) -> bool:
        """Whether it changes anything."""
        return MIXERS[self.mixer].blend is not None

    @property
    def level(self) -> str:
        """The mixer and its alpha: "none", "mixup 0.2"."""
        return self.mixer if self.alpha is None else f"{self.mixer} {self.alpha:g}"


def blended(
    mix: Mix, inputs: np.ndarray, targets: np.ndarray, weights: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a batch in which each example is mixed with another: inputs (n, …), targets (n, classes), weights (n,).

    Its loss is that of the two examples with their own weights, each times its share.
    """
    blend = MIXERS[mix.mixer].blend
    assert blend is not None, "it mixes"
    partners, share = rng.permutation(len(inputs)), float(rng.beta(mix.alpha or 0.0, mix.alpha or 0.0))
    inputs, share = blend(inputs, inputs[partners], share, rng)
    own, other = share * weights, (1 - share) * weights[partners]
    total = np.maximum(own + other, SMALLEST_WEIGHT)
    mixed = (own / total)[:, None] * targets + (other / total)[:, None] * targets[partners]
    return inputs, mixed.astype(targets.dtype), (own + other).astype(weights.dtype)


def mix_of(recipe: "Recipe") -> Mix:
    """Return how a recipe mixes, however it was written."""
    assert isinstance(recipe.mix, Mix), "it was settled"
    return recipe.mix


def settle_mix(name: str, value: Any, recipe: "Recipe") -> Mix:
    """Return how a recipe mixes, which it may say by the name of a mixer. Raises UserError where that means nothing."""
    if not isinstance(value, Mix):
        one_of(name, value, MIXERS)
        value = Mix(value)
    if not value.mixes:
        return value
    where = f"{name}={value.level!r}"
    if recipe.batch_size == 1:
        raise UserError(
            f"{where} with batch_size=1: there is no other example to mix with. Give batch_size=2 or more, or "
            "mix='none'."
        )
    head = kind_of(recipe.head)
    if head.layers is None:
        raise UserError(
            f"{where} with head={head.name!r}: this head is not trained in batches, and only batches are mixed. Give "
            "mix='none', or another head."
        )
    # DECISIONS: CutMix needs places
    if MIXERS[value.mixer].needs_maps and not _has_maps(recipe):
        raise UserError(
            f"{where} with unfrozen_blocks={recipe.unfrozen_blocks}: what trains there sees vectors of features, which "
            "have no places to cut. Give mix=Mix('mixup', 1.0), which averages what cutmix would paste; in a space, "
            'put mix under hp.conditional_scope("unfrozen_blocks", [the depths above 0]).'
        )
    return value


def _has_maps(recipe: "Recipe") -> bool:
    """Return whether what trains sees pixels, or maps of activations."""
    backbone, depth = recipe.architecture, recipe.unfrozen_blocks or 0
    gives_vectors = backbone.network is not None and backbone.network.vectors
    return depth > 0 and not (gives_vectors and backbone.has_frozen_part(depth))


MIX = declare(
    "mixing",
    settle_mix,
    describe(TEXT, "How the examples of a batch are mixed."),
    words=lambda recipe: mix_of(recipe).level,
    level=lambda recipe: mix_of(recipe).level,
    to_json=asdict,
    from_json=lambda fields: Mix(**fields),
    cell=lambda mix: mix.mixer,
    brief=lambda mix: mix.level,
    subfields={
        "alpha": Subfield(
            "alpha", describe(NUMBER, "How evenly two examples are mixed, null where none are."), lambda mix: mix.alpha
        )
    },
    since=FOURTH,
)
