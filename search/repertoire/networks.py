"""Networks that a space builds and compiles itself, as recipes: the values of a trial, and how Keras fits the network.

Such a recipe stands where a ``Recipe`` may: in journals, reports and exports. Its hyperparameters are its fields.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar

from search.repertoire.architecture import SIDES
from search.repertoire.augmentation import AS_IS, Augment
from search.repertoire.fields import Field
from search.repertoire.prediction import PREDICTIONS
from search.repertoire.recipe import FIELDS, Recipe
from search.repertoire.sampling import Sampling
from search.repertoire.schedules import LAST
from search.repertoire.synthetic import Synthetic
from search.repertoire.weighting import AnyWeighting, level_of
from search.system.digests import digest
from search.system.validation import named_fields, whole

HYPERPARAMETER = "hp."  # begins the names of the fields that are hyperparameters
OF_FIT = ("augment", "class_weight", "batch_size", "epochs", "views")
NO_VALIDATION = (
    "A run validates on the images that score it: stopping early by these, or lowering the learning rate, would "
    'flatter the score. Give the epochs: Fit(epochs=hp.Int("epochs", 5, 30))'
)


@named_fields
@dataclass(frozen=True)
class Fit:
    """How a network that a space builds is fitted, by Keras' own ``fit``.

    ``epochs`` passes over the training part are made, in batches of ``batch_size``; the network after the last one
    counts. ``class_weight``, ``augment`` and ``views`` are as in a ``Recipe``. Raises UserError for a value out of
    range, naming the field, and for what would look at the validation part.
    """

    epochs: int = 15
    batch_size: int = 32
    class_weight: AnyWeighting = "none"
    augment: Augment = field(default=Augment())
    views: int = 8

    REFUSED: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            **dict.fromkeys(("validation_data", "validation_split", "callbacks"), NO_VALIDATION),
            **dict.fromkeys(("x", "y"), "The images and labels are those of Study(data=…), and each fold divides them"),
            "sample_weight": 'It has class_weight="balanced"',
            "shuffle": "Every epoch has an order of its own, drawn from the seed of the run",
            **dict.fromkeys(
                ("loss", "label_smoothing"),
                "The network is compiled with its loss: keras.losses.CategoricalCrossentropy(label_smoothing=0.1), say",
            ),
            "logit_adjustment": "The network predicts as it is built. It has class_weight for uneven classes",
            "sampling": "Each epoch shows every image once. It has class_weight for uneven classes",
            "learning_rate": "The network is compiled with its optimizer, which has the rate",
            **dict.fromkeys(
                ("synthetic_per_class", "synthetic_method", "synthetic_replacing"), "Synthetic images are for a Recipe"
            ),
        }
    )

    def __post_init__(self) -> None:
        """Settle every field, in order."""
        for name in OF_FIT:
            object.__setattr__(self, name, FIELDS[name].settle(name, getattr(self, name), self))


@dataclass(frozen=True)
class Architecture:
    """What a recipe says of its network: a digest of its layers and of what it was compiled with, and its size.

    ``parameters`` counts weights; ``mega_macs`` is millions of multiply-adds of one image.
    """

    digest: str
    parameters: int
    mega_macs: float


# DECISIONS: A network that a space builds is a recipe of its hyperparameters
@dataclass(frozen=True)
class NetworkRecipe:
    """One way to train a network that the space itself builds.

    ``values`` are those of the hyperparameters that count, as journals know them, in the order of the space.
    ``image_size`` is the side in px.
    """

    network: Architecture
    values: tuple[tuple[str, Any], ...]
    fit: Fit
    image_size: int

    head_only: ClassVar[bool] = False
    synthetic: ClassVar[Synthetic] = Synthetic()
    synthetic_method: ClassVar[None] = None
    synthetic_replacing: ClassVar[float] = 0.0
    logit_adjustment: ClassVar[float] = 0.0
    sampling: ClassVar[Sampling] = Sampling()
    epoch: ClassVar[str] = LAST

    @property
    def augment(self) -> Augment:
        """How images are augmented."""
        return self.fit.augment

    @property
    def class_weight(self) -> AnyWeighting:
        """The weighting of classes."""
        return self.fit.class_weight

    @property
    def batch_size(self) -> int:
        """Images in a step."""
        return self.fit.batch_size

    @property
    def epochs(self) -> int:
        """Passes over the training part."""
        return self.fit.epochs

    @property
    def views(self) -> int:
        """Versions of each image."""
        return self.fit.views

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return self.network.parameters

    @property
    def side(self) -> int:
        """The image size."""
        return self.image_size

    @property
    def sizes(self) -> tuple[int, ...]:
        """The image size, alone."""
        return (self.image_size,)

    @property
    def fields(self) -> Mapping[str, Field]:
        """The rows of its fields, by name: hyperparameters first."""
        hyperparameters = {f"{HYPERPARAMETER}{name}": _hyperparameter(name) for name, _ in self.values}
        return {**hyperparameters, **OWN, **{name: FIELDS[name] for name in (*OF_FIT, "image_size")}}

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {
            "network": asdict(self.network),
            "values": dict(self.values),
            **{name: FIELDS[name].to_json(getattr(self, name)) for name in (*OF_FIT, "image_size")},
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "NetworkRecipe":
        """Return the recipe that ``to_dict`` wrote. Raises KeyError, TypeError, or UserError for one that is none."""
        fit = Fit(**{name: FIELDS[name].from_json(fields[name]) for name in OF_FIT})
        values = tuple(dict(fields["values"]).items())
        return cls(Architecture(**fields["network"]), values, fit, whole("image_size", fields["image_size"], *SIDES))

    @property
    def digest(self) -> str:
        """16 hexadecimal digits, equal for equal recipes."""
        return digest(self.to_dict())

    def summary(self, _varied: Collection[str] = ()) -> str:
        """Return the recipe in one line: what the hyperparameters say, and what they do not say of the fit."""
        words = [row.words_of(self) for name, row in self.fields.items() if name not in (*OF_FIT, "image_size")]
        known = {str(value) for _, value in self.values}
        if not self.augment.is_plain and not known & {self.augment.policy, self.augment.level}:
            words.append(self.augment.words)
        if self.class_weight != "none" and level_of(self.class_weight) not in known:
            words.append(FIELDS["class_weight"].words(self))
        return ", ".join(words)


AnyRecipe = Recipe | NetworkRecipe


def recipe_from(fields: dict[str, Any]) -> AnyRecipe:
    """Return the recipe of either kind that ``to_dict`` wrote. Raises what ``from_dict`` raises."""
    return NetworkRecipe.from_dict(fields) if "network" in fields else Recipe.from_dict(fields)


def title_of(name: str) -> str:
    """Return what the field of a hyperparameter is called: the name that the space gives it."""
    return name.removeprefix(HYPERPARAMETER)


def _setting(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)


@cache
def _hyperparameter(name: str) -> Field:
    """Return the row of a hyperparameter."""

    def read(recipe: AnyRecipe) -> Any:
        return dict(recipe.values).get(name) if isinstance(recipe, NetworkRecipe) else None

    return Field(
        name,
        lambda _name, value, _recipe: value,
        {"description": "Value of a hyperparameter."},
        words=lambda recipe: f"{name.replace('_', ' ')} {_setting(read(recipe))}",
        name=f"{HYPERPARAMETER}{name}",
        read=read,
    )


OWN: Mapping[str, Field] = MappingProxyType(
    {
        "parameters": Field(
            "parameters",
            lambda _name, value, _recipe: value,
            {"type": ["integer", "null"], "description": "Weights of a network that the space builds."},
            words=lambda recipe: f"{recipe.parameters:,} parameters",
            name="parameters",
        )
    }
)


def views_scored(recipe: AnyRecipe) -> tuple[int, ...]:
    """Return the views of an image, without augmentation, over which the predictions of a recipe are averaged."""
    return PREDICTIONS[recipe.tta].views if isinstance(recipe, Recipe) else (AS_IS,)
