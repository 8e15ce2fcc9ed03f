"""Recipe: one complete, validated way to fine-tune, with a digest; its fields are declared here, and only here."""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from search.repertoire.architecture import (
    Size,
    Value,
    backbone_from_json,
    backbone_to_json,
    name_of,
    settle_backbone,
    settle_depth,
    settle_head,
    settle_image_size,
    sizes_of,
    together,
)
from search.repertoire.augmentation import Augment
from search.repertoire.backbones.backbone import Backbone
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.fields import ROW, Field, Schema, Subfield, declare, integer, member, number
from search.repertoire.optimizers import OPTIMIZERS
from search.repertoire.rates import FITTED, ZERO, Times, has_body, settle_body_rate, settle_rate, settle_start
from search.repertoire.schedules import SCHEDULES
from search.repertoire.synthetic import Synthetic, amount_of
from search.repertoire.weighting import WEIGHTINGS
from search.system.digests import digest
from search.system.errors import UserError
from search.system.validation import named_fields, whole

HEAD_ONLY, ALL = "head only", "all"  # levels of depth beside numbers of blocks
SECOND = 2  # format of recipes that brought head, optimizer and schedule
THIRD = 3  # likewise, the start of the head and the rate of the body

TEXT, INTEGER = {"type": "string"}, {"type": "integer"}
NUMBER = {"type": ["number", "null"]}  # as null stands for what is no number at all


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


def _depth_in_words(recipe: "Recipe") -> str:
    if recipe.whole:
        return "all blocks"
    if recipe.head_only:
        return HEAD_ONLY
    return "1 block" if recipe.unfrozen_blocks == 1 else f"{recipe.unfrozen_blocks} blocks"


def depth(recipe: "Recipe") -> str:
    """Return how deep a recipe unfreezes, as a level: "head only", a number of blocks, or "all"."""
    if recipe.head_only:
        return HEAD_ONLY
    return ALL if recipe.whole else str(recipe.unfrozen_blocks)


def _describe(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


@named_fields
@dataclass(frozen=True)
class Recipe:
    """One complete way to fine-tune.

    ``backbone`` is the name of a row of the table, or somebody's own ``Backbone``; or a tuple of
    such, and ``image_size`` a tuple of sizes: a head then trains on the features of all pairs. ``unfrozen_blocks``
    counts from the top: 0 trains the head alone, None trains everything. ``image_size`` is the side
    in px (None: the study's, or the only one that the backbone takes). ``epochs`` passes over the
    training part, of which the last one counts; epoch ``e`` shows view ``e mod views`` of each
    image, and ``views`` is how many fixed versions an augmentation policy makes.
    ``learning_rate`` is the peak of a cosine decay after a short warm-up, or ``Times`` for a factor of
    the base of its depth, of which the rate is kept; ``weight_decay`` is AdamW's (Loshchilov & Hutter
    2019). ``synthetic_per_class`` is how many synthetic images of each class join the training part, where
    that many are admissible: a ``Synthetic``; or an int for a count, a float for a ratio of the class's
    real images, or a dict of these by class.
    ``head``, ``optimizer`` and ``schedule`` are names in their tables. Where blocks of a pretrained backbone
    train, ``head_start`` says whether the head starts at "zero" or "fitted" on the backbone as it was, and
    ``body_rate`` is the learning rate of the blocks as a factor of the head's, above 0 and at most 1;
    elsewhere both have their defaults.

    Raises UserError for a value out of range or a contradiction, naming the field.
    """

    backbone: Value = field(
        metadata=declare(
            "backbone",
            settle_backbone,
            _describe(TEXT, "Recipe."),
            words=lambda recipe: recipe.architecture.name,
            level=lambda recipe: recipe.architecture.name,
            to_json=backbone_to_json,
            from_json=backbone_from_json,
            cell=name_of,
            brief=name_of,
            tuples=True,
        )
    )
    unfrozen_blocks: int | None = field(
        default=0,
        metadata=declare(
            "unfrozen blocks",
            settle_depth,
            _describe(INTEGER, "Blocks that train, from the top; 0 is the head alone."),
            words=_depth_in_words,
            level=depth,
        ),
    )
    dropout: float = field(
        default=0.2,
        metadata=declare(
            "dropout",
            number(0, 0.95),
            _describe(NUMBER, "Rate."),
            words=lambda recipe: f"dropout {recipe.dropout:.2g}",
        ),
    )
    augment: Augment = field(
        default=Augment(),
        metadata=declare(
            "augmentation",
            _settle_augment,
            _describe(TEXT, "Augmentation policy."),
            words=lambda recipe: recipe.augment.words,
            level=lambda recipe: recipe.augment.level,
            to_json=dataclasses.asdict,
            from_json=lambda fields: Augment(**fields),
            cell=lambda augment: augment.policy,
            brief=lambda augment: augment.level,
            subfields={
                "strength": Subfield(
                    "strength",
                    _describe(NUMBER, "Its strength, null where it has none."),
                    lambda augment: augment.strength,
                )
            },
        ),
    )
    class_weight: str = field(
        default="none",
        metadata=declare(
            "class weights",
            member(WEIGHTINGS),
            _describe(TEXT, f"{' or '.join(WEIGHTINGS)}."),
            words=lambda recipe: WEIGHTINGS[recipe.class_weight].words,
            level=lambda recipe: recipe.class_weight,
        ),
    )
    synthetic_per_class: Synthetic | float | Mapping[str, Any] = field(
        default=Synthetic(),
        metadata=declare(
            "synthetic a class",
            lambda name, value, _recipe: amount_of(name, value),
            _describe({}, "Synthetic images asked for: a number, a ratio, or these by class."),
            words=lambda recipe: f"+{recipe.synthetic.words}" if recipe.synthetic else "",
            level=lambda recipe: recipe.synthetic.words or "0",
            to_json=lambda amount: amount.to_json(),
            brief=lambda amount: amount.words if amount.ratio or amount.by_class else amount.count,
            exact=True,
        ),
    )
    learning_rate: float | Times = field(
        default=1e-3,
        metadata=declare(
            "learning rate",
            settle_rate,
            _describe(NUMBER, "Peak of the schedule."),
            words=lambda recipe: f"lr {recipe.rate:.2g}",
        ),
    )
    weight_decay: float = field(
        default=1e-4,
        metadata=declare(
            "weight decay",
            number(0, 10),
            _describe(NUMBER, "AdamW's."),
            words=lambda recipe: f"weight decay {recipe.weight_decay:.2g}",
            aside=True,
        ),
    )
    batch_size: int = field(
        default=32,
        metadata=declare(
            "batch size",
            integer(1),
            INTEGER,
            words=lambda recipe: f"batches of {recipe.batch_size}",
            aside=True,
        ),
    )
    epochs: int = field(
        default=15,
        metadata=declare(
            "epochs",
            integer(1),
            INTEGER,
            words=lambda recipe: "1 epoch" if recipe.epochs == 1 else f"{recipe.epochs} epochs",
            aside=True,
        ),
    )
    views: int = field(
        default=8,
        metadata=declare(
            "views",
            lambda name, value, recipe: whole(name, value, 1) if _augments(recipe) else 1,
            _describe(INTEGER, "Fixed augmented versions of each image."),
            words=_views_in_words,
            aside=True,
            is_choice=_augments,
        ),
    )
    image_size: Size = field(
        default=None,
        metadata=declare(
            "image size",
            settle_image_size,
            _describe(INTEGER, "Side in px; the largest of several."),
            words=lambda recipe: f"{recipe.sizes[0]} px" if len(recipe.sizes) == 1 else "",
            aside=True,
            to_json=lambda size: list(size) if isinstance(size, tuple) else size,
            from_json=lambda size: tuple(size) if isinstance(size, list) else size,
            cell=lambda size: max(sizes_of(size), default=None),
            brief=lambda size: max(sizes_of(size), default=None),
            tuples=True,
        ),
    )
    head: str = field(
        default="linear",
        metadata=declare(
            "head",
            settle_head,
            _describe(TEXT, "What classifies the features."),
            words=lambda recipe: f"{recipe.head} head",
            level=lambda recipe: recipe.head,
            since=SECOND,
        ),
    )
    optimizer: str = field(
        default="adamw",
        metadata=declare(
            "optimizer",
            member(OPTIMIZERS),
            _describe(TEXT, "What takes the steps of training."),
            words=lambda recipe: recipe.optimizer,
            level=lambda recipe: recipe.optimizer,
            since=SECOND,
        ),
    )
    schedule: str = field(
        default="cosine",
        metadata=declare(
            "schedule",
            member(SCHEDULES),
            _describe(TEXT, "How the learning rate runs over the steps."),
            words=lambda recipe: f"{recipe.schedule} schedule",
            level=lambda recipe: recipe.schedule,
            since=SECOND,
        ),
    )
    head_start: str = field(
        default=ZERO,
        metadata=declare(
            "head's start",
            settle_start,
            _describe(TEXT, f"{ZERO} or {FITTED}: how the head of an unfrozen body starts."),
            words=lambda recipe: f"{recipe.head_start} start",
            level=lambda recipe: recipe.head_start,
            is_choice=has_body,
            since=THIRD,
        ),
    )
    body_rate: float = field(
        default=1.0,
        metadata=declare(
            "body's rate",
            settle_body_rate,
            _describe(NUMBER, "Learning rate of the unfrozen blocks, as a factor of the head's."),
            words=lambda recipe: f"body at {recipe.body_rate:.2g} of the rate",
            is_choice=has_body,
            since=THIRD,
        ),
    )

    def __post_init__(self) -> None:
        """Settle every field, in order."""
        for name, row in FIELDS.items():
            if isinstance(values := getattr(self, name), list if row.tuples else (list, tuple)):
                raise UserError(
                    f"{name}={values!r} has several values, and a recipe has one. To search among them, write "
                    f"{name}=hp.Choice({name!r}, {list(values)!r})."
                )
        for name, row in FIELDS.items():
            object.__setattr__(self, name, row.settle(name, getattr(self, name), self))

    @property
    def backbones(self) -> tuple[Backbone, ...]:
        """The backbones themselves: one, as a rule."""
        values = self.backbone if isinstance(self.backbone, tuple) else (self.backbone,)
        return tuple(value if isinstance(value, Backbone) else BACKBONES[value] for value in values)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The image sizes in px: one, as a rule; none before a study has been asked."""
        return sizes_of(self.image_size)

    @property
    def is_joint(self) -> bool:
        """Whether a head trains on the features of several backbones, or of several sizes, side by side."""
        return len(self.backbones) > 1 or len(self.sizes) > 1

    @property
    def architecture(self) -> Backbone:
        """The backbone itself, or what stands for several together."""
        return together(self.backbones, self.sizes) if self.is_joint else self.backbones[0]

    @property
    def synthetic(self) -> Synthetic:
        """The amount of synthetic images, however it was written."""
        assert isinstance(self.synthetic_per_class, Synthetic)
        return self.synthetic_per_class

    @property
    def settled(self) -> tuple[int, int]:
        """The image size, the largest of several, and the number of unfrozen blocks, known once a study was asked."""
        assert self.image_size is not None
        assert self.unfrozen_blocks is not None
        return max(self.sizes), self.unfrozen_blocks

    @property
    def rate(self) -> float:
        """The learning rate itself, however it was written."""
        assert isinstance(self.learning_rate, float)
        return self.learning_rate

    @property
    def side(self) -> int:
        """The image size, known once a study has been asked."""
        return self.settled[0]

    @property
    def fields(self) -> Mapping[str, Field]:
        """The rows of its fields, by name."""
        return FIELDS

    @property
    def head_only(self) -> bool:
        """Whether the whole backbone stays frozen."""
        return self.unfrozen_blocks == 0

    @property
    def whole(self) -> bool:
        """Whether everything trains."""
        return self.unfrozen_blocks == self.architecture.blocks

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types, without those later fields that have their default."""
        return {
            name: row.to_json(value) for name, row in FIELDS.items() if row.is_written(value := getattr(self, name))
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Recipe":
        """Return the recipe that ``to_dict`` wrote."""
        known = {name: row.from_json(fields[name]) for name, row in FIELDS.items() if name in fields}
        return cls(**{**fields, **known})

    @property
    def digest(self) -> str:
        """16 hexadecimal digits, equal for equal recipes."""
        return digest(self.to_dict())

    def summary(self, varied: Collection[str] = ()) -> str:
        """Return the recipe in one line, what matters first; some fields are in it only if ``varied`` names them."""
        rows = (row for row in FIELDS.values() if not row.aside or row.name in varied)
        return ", ".join(words for row in rows if (words := row.words_of(self)))


FIELDS: dict[str, Field] = {  # the table of fields, by name, in their order
    declaration.name: dataclasses.replace(declaration.metadata[ROW], name=declaration.name, default=declaration.default)
    for declaration in dataclasses.fields(Recipe)
}
