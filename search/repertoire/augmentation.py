"""Augmentation policies: view ``v`` of an image is one fixed version of it.

A draw depends on (seed, policy, strength, content of the image, view) and on nothing else, so a
view is the same in every fold, trial, worker and session, whether stored or drawn again.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from search.repertoire.fields import INTEGER, NUMBER, TEXT, Subfield, declare, describe
from search.system.digests import seed_from
from search.system.errors import UserError
from search.system.machine import cores
from search.system.validation import named_fields, one_of, real, whole

if TYPE_CHECKING:
    from search.repertoire.recipe import Recipe

SMALLEST_CROP = 0.6  # of the area
OPERATIONS_PER_IMAGE = 2
BATCHES_IN_ADVANCE = 2
THREADS = 4  # draw faster than a network computes
GREY = (128, 128, 128)
DEFAULT_STRENGTH = 0.5

Draw = Callable[[Image.Image, float, np.random.Generator], Image.Image]


def flip_crop(image: Image.Image, _strength: float, rng: np.random.Generator) -> Image.Image:
    """Mirror half of the images; take a random part of 60 to 100 % of the area (Szegedy et al. 2015)."""
    if rng.random() < 0.5:
        image = ImageOps.mirror(image)
    side = image.width
    area, stretch = rng.uniform(SMALLEST_CROP, 1), np.exp(rng.uniform(-0.15, 0.15))
    width, height = (min(side, side * np.sqrt(area) * factor) for factor in (stretch, 1 / stretch))
    left, top = rng.uniform(0, side - width), rng.uniform(0, side - height)
    return image.resize((side, side), Image.Resampling.BILINEAR, (left, top, left + width, top + height))


def color(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """``flip_crop``, then brightness, contrast and saturation changed by up to ``strength`` / 2."""
    image = flip_crop(image, strength, rng)
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhancer(image).enhance(1 + rng.uniform(-0.5, 0.5) * strength)
    return image


def randaugment(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """``flip_crop``, then two random operations at ``strength`` (RandAugment, Cubuk et al. 2020)."""
    image = flip_crop(image, strength, rng)
    for operation in rng.choice(len(OPERATIONS), OPERATIONS_PER_IMAGE):
        sign = 1 if rng.random() < 0.5 else -1
        image = OPERATIONS[operation](image, sign * strength)
    return image


def _affine(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR, fillcolor=GREY
    )


OPERATIONS: tuple[Callable[[Image.Image, float], Image.Image], ...] = (  # of a signed strength in [-1, 1]
    lambda image, s: image.rotate(30 * s, Image.Resampling.BILINEAR, fillcolor=GREY),
    lambda image, s: _affine(image, (1, 0.3 * s, -0.15 * s * image.width, 0, 1, 0)),
    lambda image, s: _affine(image, (1, 0, 0, 0.3 * s, 1, -0.15 * s * image.height)),
    lambda image, s: _affine(image, (1, 0, 0.3 * s * image.width, 0, 1, 0)),
    lambda image, s: _affine(image, (1, 0, 0, 0, 1, 0.3 * s * image.height)),
    lambda image, s: ImageEnhance.Brightness(image).enhance(1 + 0.8 * s),
    lambda image, s: ImageEnhance.Contrast(image).enhance(1 + 0.8 * s),
    lambda image, s: ImageEnhance.Color(image).enhance(1 + 0.8 * s),
    lambda image, s: ImageEnhance.Sharpness(image).enhance(1 + 0.8 * s),
    lambda image, _: ImageOps.autocontrast(image),
    lambda image, _: ImageOps.equalize(image),
    lambda image, s: ImageOps.posterize(image, 8 - round(4 * abs(s))),
    lambda image, s: ImageOps.solarize(image, round(256 - 128 * abs(s))),
)


@dataclass(frozen=True)
class Policy:
    """One way to make other versions of an image: a row of the table of policies.

    ``draw`` returns a version of a square image, of the same size and mode, from a strength (0 where
    the policy takes none) and a generator; None shows the image as it is. ``words`` is what the line
    of a recipe calls it.
    """

    name: str
    draw: Draw | None
    takes_strength: bool
    words: str


POLICIES: dict[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy("none", None, takes_strength=False, words="no augmentation"),
        Policy("flip_crop", flip_crop, takes_strength=False, words="flip_crop"),
        Policy("color", color, takes_strength=True, words="color"),
        Policy("randaugment", randaugment, takes_strength=True, words="randaugment"),
    )
}


@named_fields
@dataclass(frozen=True)
class Augment:
    """An augmentation policy and its strength in (0, 1].

    ``strength`` is None for the policies that take none; for those that do, None means 0.5.
    """

    policy: str = "none"
    strength: float | None = None

    def __post_init__(self) -> None:
        """Validate, and fill in the default strength."""
        one_of("Augment policy", self.policy, POLICIES)
        if not POLICIES[self.policy].takes_strength:
            if self.strength is not None:
                raise UserError(
                    f"Augment({self.policy!r}, strength={self.strength!r}): this policy has no strength. Leave "
                    'it out; in a space, put it under hp.conditional_scope("augment", [the policies that take one]).'
                )
            return
        strength = DEFAULT_STRENGTH if self.strength is None else self.strength
        object.__setattr__(self, "strength", real("Augment strength", strength, 0, 1, open_low=True))

    @property
    def is_plain(self) -> bool:
        """Whether it shows each image as it is."""
        return POLICIES[self.policy].draw is None

    @property
    def level(self) -> str:
        """The policy and its strength: "none", "flip_crop", "color 0.3"."""
        return self._with_strength(self.policy)

    @property
    def words(self) -> str:
        """The same in the line of a recipe: "no augmentation", "flip_crop", "color 0.3"."""
        return self._with_strength(POLICIES[self.policy].words)

    def _with_strength(self, name: str) -> str:
        return name if self.strength is None else f"{name} {self.strength:g}"


def batches_of(
    pixels: np.ndarray, contents: Sequence[str], augment: Augment, view: int, seed: int, rows: np.ndarray, size: int
) -> Iterator[np.ndarray]:
    """Yield view ``view`` of these rows of ``pixels`` (n, side, side, 3), uint8, ``size`` at a time.

    ``contents`` are the digests of the images. Threads draw the next batches meanwhile.
    """
    parts = [rows[at : at + size] for at in range(0, len(rows), size)]
    draw = POLICIES[augment.policy].draw
    if draw is None:
        yield from (pixels[part] for part in parts)
        return

    def view_of(row: int) -> np.ndarray:
        rng = np.random.default_rng(seed_from(seed, augment.policy, augment.strength, contents[row], view))
        return np.asarray(draw(Image.fromarray(pixels[row]), augment.strength or 0.0, rng))

    queue: deque[list[Future[np.ndarray]]] = deque()
    with ThreadPoolExecutor(min(THREADS, cores())) as pool:
        for part in parts:
            queue.append([pool.submit(view_of, row) for row in part.tolist()])
            if len(queue) > BATCHES_IN_ADVANCE:
                yield np.stack([image.result() for image in queue.popleft()])
        for batch in queue:
            yield np.stack([image.result() for image in batch])


def _settle_augment(name: str, value: Any, _recipe: "Recipe") -> Augment:
    if not isinstance(value, Augment):
        raise UserError(f"{name}={value!r} must be an Augment, as in Augment('flip_crop').")
    return value


def _augments(recipe: "Recipe") -> bool:
    return not recipe.augment.is_plain


def _views_in_words(recipe: "Recipe") -> str:
    if not _augments(recipe):
        return ""
    return "1 view" if recipe.views == 1 else f"{recipe.views} views"


AUGMENT = declare(
    "augmentation",
    _settle_augment,
    describe(TEXT, "Augmentation policy."),
    words=lambda recipe: recipe.augment.words,
    level=lambda recipe: recipe.augment.level,
    to_json=asdict,
    from_json=lambda fields: Augment(**fields),
    cell=lambda augment: augment.policy,
    brief=lambda augment: augment.level,
    subfields={
        "strength": Subfield(
            "strength",
            describe(NUMBER, "Its strength, null where it has none."),
            lambda augment: augment.strength,
        )
    },
)
VIEWS = declare(
    "views",
    lambda name, value, recipe: whole(name, value, 1) if _augments(recipe) else 1,
    describe(INTEGER, "Fixed augmented versions of each image."),
    words=_views_in_words,
    aside=True,
    is_choice=_augments,
)
