"""Heads: what turns the features of a backbone into class probabilities.

A head is fitted in one of two places. On a frozen backbone the heads of many runs are fitted together on
stored features, by ``Head.fit``, however the head likes: in steps, or all at once. On an unfrozen backbone the
head's layers are trained with it, step by step. A new head is a file of ``search.training.heads`` and one more
row of ``HEADS``; a file there imports nothing of this package but ``search.system``.
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from search.repertoire.fields import NUMBER, SECOND, TEXT, declare, describe, number
from search.system.errors import UserError
from search.system.validation import named_fields, one_of, whole

if TYPE_CHECKING:
    from search.repertoire.recipe import Recipe
    from search.training.loop import HeadRuns

MOST_LAYERS, WIDEST = 8, 16384
FIRST, MIDDLE, BOTH = "first", "middle", "both"  # where an MLP drops
ACTIVATIONS = ("relu", "gelu", "silu", "elu", "selu", "leaky_relu", "tanh", "sigmoid")
USUAL_FEATURES, USUAL_CLASSES = 1280, 10  # of a backbone and a data set, where a cost is estimated


class FittedHead(Protocol):
    """The head of one run, after or during its training."""

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return the class probabilities (n, classes) of rows of features (n, D)."""
        ...

    def layers(self) -> Sequence[Any]:
        """Return Keras layers that, one after another, give the probabilities that ``predict`` gives."""
        ...


@dataclass(frozen=True)
class Settings:
    """The settings of a head that has some; ``name`` is that of its row."""

    @property
    def name(self) -> str:
        """The name of the head."""
        raise NotImplementedError

    @property
    def level(self) -> str:
        """The head in words: its name, and the settings that are not the default, as in "mlp widths 512-64"."""
        usual = HEADS[self.name].settings
        pairs = [(row.name, getattr(self, row.name)) for row in dataclasses.fields(self)]
        words = [f"{name} {_setting(value)}" for name, value in pairs if value != getattr(usual, name)]
        return f"{self.name} {', '.join(words)}" if words else self.name


@named_fields
@dataclass(frozen=True)
class Mlp(Settings):
    """A head of several dense layers: a multilayer perceptron, which ends in softmax.

    ``widths`` are the units of its hidden layers, from the features on (1 to 8 layers of 1 to 16384), and
    ``activation`` is theirs. The recipe's dropout rate acts on the features ("first"), on what each hidden layer gives
    ("middle"), or on "both". Raises UserError for a value that is wrong, naming it.
    """

    widths: tuple[int, ...] = (256,)
    activation: str = "relu"
    dropout: str = FIRST

    def __post_init__(self) -> None:
        """Validate; one width may be written as a number."""
        widths = self.widths if isinstance(self.widths, list | tuple) else (self.widths,)
        if not 1 <= len(widths) <= MOST_LAYERS:
            raise UserError(f"Mlp widths={self.widths!r} must be 1 to {MOST_LAYERS} numbers of units, as in (256, 64).")
        object.__setattr__(self, "widths", tuple(whole("Mlp widths", width, 1, WIDEST) for width in widths))
        one_of("Mlp activation", self.activation, ACTIVATIONS)
        one_of("Mlp dropout", self.dropout, (FIRST, MIDDLE, BOTH))

    @property
    def name(self) -> str:
        """The name of the head."""
        return "mlp"

    def drops(self, layer: int) -> bool:
        """Return whether dropout acts before a dense layer; 0 is the first of them, which sees the features."""
        return self.dropout == BOTH or (self.dropout == FIRST) == (layer == 0)


AnyHead = str | Settings


@dataclass(frozen=True)
class Head:
    """A kind of head.

    ``fit(runs)`` returns the fitted heads of runs on a frozen backbone, in their order. ``layers(classes, settings)``
    are Keras layers from features to logits, whose own initializers say how a run begins; they are trained with an
    unfrozen backbone. ``from_weights(arrays, settings)`` is the fitted head of such layers' weights, in their order.
    Both are None where a head cannot be trained by steps: it then needs a frozen backbone. ``seconds_a_step``
    is what a batch costs on stored features, and ``macs(settings)`` are the multiply-adds of an example, for the
    estimate of a search's cost. ``settings`` are those of the head where a recipe gives its name alone; None where it
    has none. ``drops(settings, layer)`` tells whether dropout acts before a layer.
    """

    name: str
    seconds_a_step: float
    fit: Callable[["HeadRuns"], Sequence[FittedHead]]
    layers: Callable[[int, Any], Sequence[Any]] | None = None
    from_weights: Callable[[Sequence[np.ndarray], Any], FittedHead] | None = None
    settings: Any = None
    macs: Callable[[Any], float] = lambda _settings: 0.0
    drops: Callable[[Any, int], bool] = lambda _settings, layer: layer == 0


def _fit_linear(runs: "HeadRuns") -> Sequence[FittedHead]:
    from search.training.heads import linear

    return linear.fit(runs)


def _linear_layers(classes: int, _settings: None) -> Sequence[Any]:
    from search.training.heads import linear

    return linear.layers(classes)


def _linear_from_weights(weights: Sequence[np.ndarray], _settings: None) -> FittedHead:
    from search.training.heads.linear import LinearHead

    return LinearHead(*weights)


def _fit_mlp(runs: "HeadRuns") -> Sequence[FittedHead]:
    from search.training.heads import mlp

    return mlp.fit(runs)


def _mlp_layers(classes: int, settings: Mlp) -> Sequence[Any]:
    from search.training.heads import mlp

    return mlp.layers(settings.widths, settings.activation, classes)


def _mlp_from_weights(weights: Sequence[np.ndarray], settings: Mlp) -> FittedHead:
    from search.training.heads.dense import mlp_of

    return mlp_of(weights, settings.activation)


def _mlp_macs(settings: Mlp) -> float:
    return float(sum(a * b for a, b in itertools.pairwise((USUAL_FEATURES, *settings.widths, USUAL_CLASSES))))


HEADS: dict[str, Head] = {
    head.name: head
    for head in (
        Head("linear", 0.0001, _fit_linear, _linear_layers, _linear_from_weights),
        Head("mlp", 0.0003, _fit_mlp, _mlp_layers, _mlp_from_weights, Mlp(), _mlp_macs, Mlp.drops),
    )
}


def kind_of(head: AnyHead) -> Head:
    """Return the row of the head of a recipe."""
    return HEADS[head if isinstance(head, str) else head.name]


def settings_of(head: AnyHead) -> Any:
    """Return the settings of the head of a recipe; None for a head that has none."""
    return HEADS[head].settings if isinstance(head, str) else head


def level_of(head: AnyHead) -> str:
    """Return a head in words."""
    return head if isinstance(head, str) else head.level


def _setting(value: Any) -> str:
    if isinstance(value, tuple):
        return "-".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def to_json(head: AnyHead) -> Any:
    """Return the head of a recipe as JSON types: its name, or a dict of it and its settings."""
    return head if isinstance(head, str) else {"name": head.name, **dataclasses.asdict(head)}


def from_json(value: Any) -> AnyHead:
    """Return what ``to_json`` was given. Raises what its kind of head raises."""
    if not isinstance(value, dict):
        return str(value)
    settings = {name: item for name, item in value.items() if name != "name"}
    head: AnyHead = type(HEADS[value["name"]].settings)(**settings)
    return head


# DECISIONS: A head is its name where its settings are the usual ones
def settle_head(name: str, value: Any, recipe: "Recipe") -> AnyHead:
    """Return a head, by its name if its settings are the default; it can be trained with what the recipe unfreezes."""
    if not isinstance(value, Settings):
        one_of(name, value, HEADS)
        value = str(value)
    elif value == HEADS[value.name].settings:
        value = value.name
    if kind_of(value).layers is None and not recipe.head_only:
        raise UserError(
            f"{name}={value!r} with unfrozen_blocks={recipe.unfrozen_blocks}: this head is fitted on a frozen backbone "
            "alone. Give unfrozen_blocks=0, or another head."
        )
    head: AnyHead = value
    return head


DROPOUT = declare(
    "dropout",
    number(0, 0.95),
    describe(NUMBER, "Rate."),
    words=lambda recipe: f"dropout {recipe.dropout:.2g}",
)
HEAD = declare(
    "head",
    settle_head,
    describe(TEXT, "What classifies the features."),
    words=lambda recipe: f"{level_of(recipe.head)} head",
    level=lambda recipe: level_of(recipe.head),
    to_json=to_json,
    from_json=from_json,
    cell=level_of,
    brief=level_of,
    since=SECOND,
)
