"""Recipe: one complete, validated way to fine-tune, with a digest; its fields are declared here, and only here."""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from search.repertoire import (
    architecture,
    augmentation,
    body,
    heads,
    losses,
    mixing,
    optimizers,
    prediction,
    priors,
    rates,
    sampling,
    schedules,
    synthetic,
    weighting,
)
from search.repertoire.architecture import Size, Value, sizes_of, together
from search.repertoire.augmentation import Augment
from search.repertoire.backbones import pooling
from search.repertoire.backbones.backbone import Backbone
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.fields import ROW, Field
from search.repertoire.heads import AnyHead
from search.repertoire.losses import CROSS_ENTROPY, AnyLoss
from search.repertoire.mixing import Mix
from search.repertoire.rates import ZERO, Times
from search.repertoire.sampling import Sampling
from search.repertoire.schedules import LAST, REFUSED, Schedule
from search.repertoire.synthetic import AnyAmount, Synthetic
from search.repertoire.weighting import AnyWeighting
from search.system.digests import digest
from search.system.errors import UserError
from search.system.validation import named_fields


@named_fields
@dataclass(frozen=True)
class Recipe:
    """One complete way to fine-tune.

    ``backbone`` is the name of a row of the table, or somebody's own ``Backbone``; or a tuple of
    such, and ``image_size`` a tuple of sizes: a head then trains on the features of all pairs. ``unfrozen_blocks``
    counts from the top: 0 trains the head alone, None trains everything. ``image_size`` is the side
    in px (None: the study's, or the only one that the backbone takes). ``epochs`` passes over the
    training part, of which the last one counts, or the ``epoch`` that is "best_mean": best on average over the folds.
    Epoch ``e`` shows view ``e mod views`` of each
    image, and ``views`` is how many fixed versions an augmentation policy makes.
    ``learning_rate`` is the highest rate of the schedule, or ``Times`` for a factor of the base of its depth and
    optimizer, of which the rate is kept; ``weight_decay`` is apart from the slopes (Loshchilov & Hutter
    2019). ``synthetic_per_class`` is how many synthetic images of each class join the training part, where
    that many are admissible: a ``Synthetic``; or an int for a count, a float for a ratio of the class's
    real images, or a dict of these by class. ``synthetic_method`` takes those alone of which the manifest
    names this method. ``synthetic_replacing`` is the probability at which one of them stands in for a real image of its
    class, drawn anew in each epoch; with 0 they are added to the real images.
    ``class_weight`` is the name of a weighting, an ``EffectiveNumber``, or a dict of weights by class.
    ``head`` is a name in the table of heads, or an ``Mlp``, ``LogisticRegression`` or ``Svm``; ``optimizer`` is a name,
    and ``schedule`` one or a ``Schedule``. Where blocks of a pretrained backbone train, ``head_start`` says whether the
    head starts at "zero" (an MLP: at values drawn from the seed of the run) or "fitted" on the backbone as
    it was, and ``body_rate`` is the learning rate of the blocks as a factor of the head's, above 0 and at most 1;
    elsewhere both have their defaults. Each of these blocks learns at ``layer_decay`` times the rate of the one above
    it. ``l2_sp`` pulls them back to their pretrained weights, in place of weight decay (Li et al. 2018), and
    ``wise_ft`` is the share of these that is mixed in after training (Wortsman et al. 2022). Their ``batch_norm`` is
    "frozen" or "learning". ``ema`` is the decay of a moving average of all trained weights, which then counts; with 0
    the last weights do. ``clip_norm`` is the highest norm of the gradient of all that trains.
    ``tta`` names the views of an image over which predictions are averaged, in its table: "none" for the image as it
    is, or "mirror" for its mirror image too. ``mix`` says how the examples of a batch are mixed with each other, as a
    ``Mix`` or by the name of a mixer.
    ``loss`` is "cross_entropy", "binary_cross_entropy" or a ``Focal``; ``label_smoothing`` is the part of each
    target that is spread evenly over all classes. ``logit_adjustment`` lowers logits by so many times the logarithm
    of each class's frequency in the training part, where they are predicted from. ``sampling`` is a ``Sampling``:
    how many of the real images of each class train, and which.
    ``pooling`` is how the maps of a backbone become features: "average", "maximum", or "flatten" for all of them.

    Raises UserError for a value out of range or a contradiction, naming the field.
    """

    backbone: Value = field(metadata=architecture.BACKBONE)
    unfrozen_blocks: int | None = field(default=0, metadata=architecture.UNFROZEN_BLOCKS)
    dropout: float = field(default=0.2, metadata=heads.DROPOUT)
    augment: Augment = field(default=Augment(), metadata=augmentation.AUGMENT)
    class_weight: AnyWeighting = field(default="none", metadata=weighting.CLASS_WEIGHT)
    synthetic_per_class: AnyAmount = field(default=Synthetic(), metadata=synthetic.SYNTHETIC)
    learning_rate: float | Times = field(default=1e-3, metadata=rates.LEARNING_RATE)
    weight_decay: float = field(default=optimizers.USUAL_DECAY, metadata=optimizers.WEIGHT_DECAY)
    batch_size: int = field(default=32, metadata=schedules.BATCH_SIZE)
    epochs: int = field(default=15, metadata=schedules.EPOCHS)
    views: int = field(default=8, metadata=augmentation.VIEWS)
    image_size: Size = field(default=None, metadata=architecture.IMAGE_SIZE)
    head: AnyHead = field(default="linear", metadata=heads.HEAD)
    optimizer: str = field(default="adamw", metadata=optimizers.OPTIMIZER)
    schedule: Schedule | str = field(default=Schedule(), metadata=schedules.SCHEDULE)
    head_start: str = field(default=ZERO, metadata=rates.HEAD_START)
    body_rate: float = field(default=1.0, metadata=rates.BODY_RATE)
    clip_norm: float | None = field(default=None, metadata=optimizers.CLIP_NORM)
    layer_decay: float = field(default=1.0, metadata=body.LAYER_DECAY)
    l2_sp: float = field(default=0.0, metadata=body.L2_SP)
    wise_ft: float = field(default=0.0, metadata=body.WISE_FT)
    batch_norm: str = field(default=body.FROZEN, metadata=body.BATCH_NORM)
    ema: float = field(default=0.0, metadata=body.EMA)
    tta: str = field(default="none", metadata=prediction.TTA)
    mix: Mix | str = field(default=Mix(), metadata=mixing.MIX)
    loss: AnyLoss = field(default=CROSS_ENTROPY, metadata=losses.LOSS)
    label_smoothing: float = field(default=0.0, metadata=losses.LABEL_SMOOTHING)
    logit_adjustment: float = field(default=0.0, metadata=priors.LOGIT_ADJUSTMENT)
    sampling: Sampling = field(default=Sampling(), metadata=sampling.SAMPLING)
    epoch: str = field(default=LAST, metadata=schedules.EPOCH)
    pooling: str = field(default=pooling.AVERAGE, metadata=pooling.POOLING)
    synthetic_method: str | None = field(default=None, metadata=synthetic.METHOD)
    synthetic_replacing: float = field(default=0.0, metadata=synthetic.REPLACING)

    REFUSED: ClassVar[Mapping[str, str]] = REFUSED

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
        heads.check_steps(self)

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
        """The rows of the fields that count for it, by name: a head that is fitted all at once takes no steps."""
        return FIELDS if heads.is_by_steps(self) else FITTED_AT_ONCE

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
        rows = (row for row in self.fields.values() if not row.aside or row.name in varied)
        return ", ".join(words for row in rows if (words := row.words_of(self)))


FIELDS: dict[str, Field] = {  # the table of fields, by name, in their order
    declaration.name: dataclasses.replace(declaration.metadata[ROW], name=declaration.name, default=declaration.default)
    for declaration in dataclasses.fields(Recipe)
}
FITTED_AT_ONCE = {name: row for name, row in FIELDS.items() if name not in heads.BY_STEPS}
