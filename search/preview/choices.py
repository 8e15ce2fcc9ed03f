"""What a space can draw of augmentation and mixing, found at many points of it."""

from collections import defaultdict
from dataclasses import dataclass

from search.data.loading import Inputs
from search.data.synthetic import SyntheticPool
from search.oracles import HyperParameters, register, sample_points
from search.oracles.networks import recipe_at, remembering
from search.repertoire.augmentation import Augment
from search.repertoire.backbones.hub import Downloads, allowing
from search.repertoire.mixing import Mix, mix_of
from search.repertoire.networks import AnyRecipe
from search.repertoire.recipe import Recipe
from search.report.words import amount
from search.space import Hand, SpaceFile, sizes_of
from search.system.progress import Say

# DECISIONS: A preview draws recipes from the space
POINTS = 512  # of a space; one of 50 policies with strengths is missed once in 30,000 spaces
MOST = 4  # strengths and options of a policy that are shown, and alphas of a mixer

Way = Augment | Mix


@dataclass(frozen=True)
class Drawn:
    """A way of augmenting, or of mixing, that recipes of the space have.

    ``recipes`` are all of these, ``image_size`` the side in px that most of them have. ``of`` says how many variants
    of the same policy were drawn, where these are not all shown, 0 where they are.
    """

    recipes: tuple[AnyRecipe, ...]
    of: int = 0

    @property
    def recipe(self) -> AnyRecipe:
        """The first of the recipes."""
        return self.recipes[0]

    @property
    def image_size(self) -> int:
        """The side in px that most of the recipes have; of equally many, the smallest."""
        sizes = sorted(map(side_of, self.recipes))
        return max(sizes, key=sizes.count)

    @property
    def other_sizes(self) -> list[int]:
        """The sides in px that others of the recipes have."""
        return sorted({*map(side_of, self.recipes)} - {self.image_size})

    @property
    def views(self) -> int:
        """The most views that a recipe shows of an image: one in each epoch, or all of them in each of its copies."""
        return max(one.views if one.sampling.other_views else min(one.views, one.epochs) for one in self.recipes)


@dataclass(frozen=True)
class Choices:
    """What the recipes at so many ``points`` of a space have: policies of augmentation, mixers, synthetic images."""

    points: int
    augments: tuple[Drawn, ...]
    mixes: tuple[Drawn, ...]
    synthetic: int

    @property
    def sentences(self) -> list[str]:
        """How the space was looked at, and what was found."""
        found = [amount(len(self.augments), "way") + " of augmenting"]
        if self.mixes:
            found.append(amount(len(self.mixes), "way") + " of mixing batches")
        drawn = (
            f"{amount(self.points, 'recipe')} were drawn from the space, the same each time. This is what they have: "
            f"{' and '.join(found)}. A rarer one may be missing."
        )
        made = (
            "The pictures are made by the functions that training uses, from the seed of the study, so these are views "
            "that a network is shown."
        )
        return [drawn, made]


def choices_of(
    file: SpaceFile, inputs: Inputs, pool: SyntheticPool | None, say: Say, *, offline: bool = False
) -> Choices:
    """Return what a space can draw, from the same points each time; no weights are needed.

    Raises UserError for a space that fails.
    """
    sizes = sizes_of(inputs.image_size, fixed=inputs.study.image_size is not None)
    hand = Hand(synthetic=pool is not None, sizes=sizes, backbones=inputs.study.backbones or ())

    def build(hp: HyperParameters) -> AnyRecipe:
        return recipe_at(file, hp, hand, len(inputs.dataset.classes), inputs.image_size)

    build_once = remembering(build)
    with allowing(Downloads(offline, say)):
        hyperparameters = register(build_once, complete=False)
        points = [hyperparameters.copy(), *sample_points(hyperparameters, POINTS)]
        return choices_in([build_once(point) for point in points])


def choices_in(recipes: list[AnyRecipe]) -> Choices:
    """Return what these recipes have."""
    by_augment: dict[Way, list[AnyRecipe]] = defaultdict(list)
    by_mix: dict[Way, list[AnyRecipe]] = defaultdict(list)
    for recipe in recipes:
        by_augment[recipe.augment].append(recipe)
        if isinstance(recipe, Recipe) and mix_of(recipe).mixes:
            by_mix[mix_of(recipe)].append(recipe)
    augments, mixes = _few(by_augment), _few(by_mix)
    augments.sort(key=lambda drawn: not drawn.recipe.augment.is_plain)  # the plain one first
    return Choices(len(recipes), tuple(augments), tuple(mixes), sum(bool(recipe.synthetic) for recipe in recipes))


def side_of(recipe: AnyRecipe) -> int:
    """Return the side in px of the images that a recipe shows; of several networks, those of the first."""
    size = recipe.image_size
    side = size[0] if isinstance(size, tuple) else size
    assert side is not None, "it was settled"
    return side


def _few(recipes: dict[Way, list[AnyRecipe]]) -> list[Drawn]:
    """Return the variants of each policy or mixer in order; of many, the first, the last and some between."""
    drawn: list[Drawn] = []
    for name in dict.fromkeys(map(_name, recipes)):
        every = sorted((way for way in recipes if _name(way) == name), key=_order)
        steps = range(len(every))
        few = steps if len(every) <= MOST else [round(at * (len(every) - 1) / (MOST - 1)) for at in range(MOST)]
        of = len(every) if len(every) > MOST else 0
        drawn += [Drawn(tuple(recipes[every[at]]), of) for at in few]
    return drawn


def _name(way: Way) -> str:
    return way.policy if isinstance(way, Augment) else way.mixer


def _order(way: Way) -> tuple[float, str]:
    number = way.strength if isinstance(way, Augment) else way.alpha
    return (number or 0.0, way.level)
