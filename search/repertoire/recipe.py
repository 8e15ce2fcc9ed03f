"""Recipe: one complete, validated way to fine-tune, with a digest."""

import dataclasses
import difflib
import numbers
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from search.repertoire.catalog import AUGMENT_POLICIES, BACKBONES, CLASS_WEIGHTS, DEFAULT_STRENGTH
from search.repertoire.heads import HEADS
from search.repertoire.optimizers import OPTIMIZERS
from search.repertoire.schedules import SCHEDULES
from search.repertoire.synthetic import Amounts, in_words, plain, settled
from search.system.digests import digest
from search.system.errors import UserError

LATER = {"head": "linear", "optimizer": "adamw", "schedule": "cosine"}  # fields with their defaults


def one_of(field_name: str, value: object, options: Iterable[str]) -> None:
    """Raise a UserError unless ``value`` is among ``options``; it names the nearest option."""
    options = list(options)
    if value in options:
        return
    near = difflib.get_close_matches(str(value), options, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UserError(f"{field_name}={value!r} is not known.{hint} Choose one of: {', '.join(options)}.")


def whole(field_name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return ``value`` as an int in [low, high], or raise a UserError that names the field."""
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_whole or value < low or (high is not None and value > high):
        limits = f"{low} or more" if high is None else f"from {low} to {high}"
        raise UserError(f"{field_name}={value!r} must be a whole number, {limits}.")
    return int(value)


def real(field_name: str, value: Any, low: float, high: float, *, open_low: bool = False) -> float:
    """Return ``value`` as a float in [low, high], or raise a UserError that names the field."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not low <= value <= high or (open_low and value == low):
        lower = f"above {low:g}" if open_low else f"{low:g} or more"
        raise UserError(f"{field_name}={value!r} must be a number, {lower} and at most {high:g}.")
    return float(value) + 0.0  # -0.0 has another digest than 0.0


@dataclass(frozen=True)
class Augment:
    """An augmentation policy and its strength in (0, 1].

    ``strength`` is None for the policies that take none; for those that do, None means 0.5.
    """

    policy: str = "none"
    strength: float | None = None

    def __post_init__(self) -> None:
        """Validate, and fill in the default strength."""
        one_of("Augment policy", self.policy, AUGMENT_POLICIES)
        if not AUGMENT_POLICIES[self.policy]:
            if self.strength is not None:
                raise UserError(
                    f"Augment({self.policy!r}, strength={self.strength!r}): this policy has no strength. Leave "
                    'it out; in a space, put it under hp.conditional_scope("augment", [the policies that take one]).'
                )
            return
        strength = DEFAULT_STRENGTH if self.strength is None else self.strength
        object.__setattr__(self, "strength", real("Augment strength", strength, 0, 1, open_low=True))


@dataclass(frozen=True)
class Recipe:
    """One complete way to fine-tune.

    ``unfrozen_blocks`` counts from the top of the backbone: 0 trains the head alone, None trains
    everything. ``image_size`` is the side in px (None: the study's). ``epochs`` passes over the
    training part, of which the last one counts; epoch ``e`` shows view ``e mod views`` of each
    image, and ``views`` is how many fixed versions an augmentation policy makes.
    ``learning_rate`` is the peak of a cosine decay after a short warm-up; ``weight_decay`` is
    AdamW's (Loshchilov & Hutter 2019). ``synthetic_per_class`` is how many synthetic images of
    each class join the training part, where that many are admissible: an int; a float for a ratio
    of the class's real images there (0.5: one for two real ones, rounded down); or a dict of these
    by class, in which classes not named get none (kept as sorted pairs).

    Raises UserError for a value out of range or a contradiction, naming the field.
    """

    backbone: str
    unfrozen_blocks: int | None = 0
    dropout: float = 0.2
    augment: Augment = field(default_factory=Augment)
    class_weight: str = "none"
    synthetic_per_class: Amounts = 0
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    batch_size: int = 32
    epochs: int = 15
    views: int = 8
    image_size: int | None = None
    head: str = "linear"
    optimizer: str = "adamw"
    schedule: str = "cosine"

    def __post_init__(self) -> None:
        """Validate every field, and bring numbers to plain ints and floats."""
        one_of("backbone", self.backbone, BACKBONES)
        one_of("class_weight", self.class_weight, CLASS_WEIGHTS)
        one_of("head", self.head, HEADS)
        one_of("optimizer", self.optimizer, OPTIMIZERS)
        one_of("schedule", self.schedule, SCHEDULES)
        if not isinstance(self.augment, Augment):
            raise UserError(f"augment={self.augment!r} must be an Augment, as in Augment('flip_crop').")
        set_ = object.__setattr__
        set_(self, "unfrozen_blocks", self._depth())
        set_(self, "dropout", real("dropout", self.dropout, 0, 0.95))
        set_(self, "synthetic_per_class", settled("synthetic_per_class", self.synthetic_per_class))
        set_(self, "learning_rate", real("learning_rate", self.learning_rate, 0, 10, open_low=True))
        set_(self, "weight_decay", real("weight_decay", self.weight_decay, 0, 10))
        set_(self, "batch_size", whole("batch_size", self.batch_size, 1))
        set_(self, "epochs", whole("epochs", self.epochs, 1))
        set_(self, "views", 1 if self.augment.policy == "none" else whole("views", self.views, 1))
        if self.image_size is not None:
            set_(self, "image_size", whole("image_size", self.image_size, 32, 1024))

    def _depth(self) -> int:
        backbone = BACKBONES[self.backbone]
        if self.unfrozen_blocks is None:
            return backbone.blocks
        if not backbone.pretrained and self.unfrozen_blocks != backbone.blocks:
            raise UserError(
                f"unfrozen_blocks={self.unfrozen_blocks!r} with backbone={self.backbone!r}, which starts from random "
                "weights: a frozen block would stay random. Give None (train everything); in a space, put "
                'unfrozen_blocks under hp.conditional_scope("backbone", [the pretrained ones]).'
            )
        return whole("unfrozen_blocks", self.unfrozen_blocks, 0, backbone.blocks)

    @property
    def settled(self) -> tuple[int, int]:
        """The image size and the number of unfrozen blocks, both known once a study has been asked."""
        assert self.image_size is not None
        assert self.unfrozen_blocks is not None
        return self.image_size, self.unfrozen_blocks

    @property
    def head_only(self) -> bool:
        """Whether the whole backbone stays frozen."""
        return self.unfrozen_blocks == 0

    @property
    def whole(self) -> bool:
        """Whether everything trains."""
        return self.unfrozen_blocks == BACKBONES[self.backbone].blocks

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types; those that came later only where they have no default value."""
        fields = {**dataclasses.asdict(self), "synthetic_per_class": plain(self.synthetic_per_class)}
        return {name: value for name, value in fields.items() if LATER.get(name) != value}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Recipe":
        """Return the recipe that ``to_dict`` wrote."""
        return cls(**{**fields, "augment": Augment(**fields["augment"])})

    @property
    def digest(self) -> str:
        """16 hexadecimal digits, equal for equal recipes."""
        return digest(self.to_dict())

    def summary(self) -> str:
        """Return the recipe in one line, what matters first."""
        depth = "1 block" if self.unfrozen_blocks == 1 else f"{self.unfrozen_blocks} blocks"
        if self.head_only:
            depth = "head only"
        if self.whole:
            depth = "all blocks"
        strength = "" if self.augment.strength is None else f" {self.augment.strength:g}"
        parts = [
            self.backbone,
            depth,
            f"dropout {self.dropout:.2g}",
            f"{self.augment.policy}{strength}" if self.augment.policy != "none" else "no augmentation",
            "balanced weights" if self.class_weight == "balanced" else "",
            f"+{in_words(self.synthetic_per_class)}" if self.synthetic_per_class else "",
            f"lr {self.learning_rate:.2g}",
        ]
        return ", ".join(part for part in parts if part)
