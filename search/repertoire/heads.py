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

from search.repertoire.fields import NUMBER, ROW, SECOND, TEXT, declare, describe, number
from search.system.errors import UserError
from search.system.validation import named_fields, one_of, real, whole

if TYPE_CHECKING:
    from search.repertoire.recipe import Recipe
    from search.training.loop import HeadRuns

MOST_LAYERS, WIDEST = 8, 16384
FIRST, MIDDLE, BOTH = "first", "middle", "both"  # where an MLP drops
ACTIVATIONS = ("relu", "gelu", "silu", "elu", "selu", "leaky_relu", "tanh", "sigmoid")
LINEAR, RBF = "linear", "rbf"
KERNELS = {LINEAR: 1.0, RBF: 10.0}  # of an SVM, with the C that suits features of length 1
SCALE = "scale"
UNCALIBRATED = "Probabilities are those of the network, not calibrated."
CALIBRATED = (
    "Probabilities come from the decisions of support vector machines, by a sigmoid for each class that was fitted on "
    "held-out decisions within the training images, of which a group is on one side of each inner fold."
)
HIGHEST_C, HIGHEST_GAMMA = 1e6, 1e4
BY_STEPS = (  # the fields that say how a head is trained by steps
    *("dropout", "learning_rate", "weight_decay", "batch_size", "epochs", "optimizer", "schedule", "clip_norm", "ema"),
    "epoch",
)
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


@named_fields
@dataclass(frozen=True)
class LogisticRegression(Settings):
    """Logistic regression by scikit-learn, on features of length 1: the larger ``C``, the weaker its L2 penalty.

    Raises UserError for a value that is wrong, naming it.
    """

    C: float = 10.0

    def __post_init__(self) -> None:
        """Validate."""
        object.__setattr__(self, "C", real("LogisticRegression C", self.C, 0, HIGHEST_C, open_low=True))

    @property
    def name(self) -> str:
        """The name of the head."""
        return "logistic_regression"


@named_fields
@dataclass(frozen=True)
class Svm(Settings):
    """A support vector machine by scikit-learn, on features of length 1, with calibrated probabilities.

    ``kernel`` is "linear" or "rbf"; the larger ``C``, the less it lets examples lie on the wrong side (None: 1, or 10
    with "rbf"). ``gamma``, for "rbf" alone, is how fast its kernel falls with the distance: a number, or "scale" for
    one over the sum of the variances of all features. Raises UserError for a value that is wrong, naming it.
    """

    kernel: str = LINEAR
    C: float | None = None
    gamma: float | str | None = None

    def __post_init__(self) -> None:
        """Validate, and fill in the defaults."""
        one_of("Svm kernel", self.kernel, KERNELS)
        c = KERNELS[self.kernel] if self.C is None else self.C
        object.__setattr__(self, "C", real("Svm C", c, 0, HIGHEST_C, open_low=True))
        if self.kernel == LINEAR:
            if self.gamma is not None:
                raise UserError(
                    f"Svm gamma={self.gamma!r} with kernel={LINEAR!r}: only {RBF!r} has a gamma. Leave it out."
                )
        elif self.gamma is None or (isinstance(self.gamma, str) and self.gamma == SCALE):
            object.__setattr__(self, "gamma", SCALE)
        else:
            object.__setattr__(self, "gamma", _gamma(self.gamma))

    @property
    def name(self) -> str:
        """The name of the head."""
        return "svm" if self.kernel == LINEAR else "svm_rbf"


def _gamma(value: Any) -> float:
    if isinstance(value, str):
        raise UserError(f"Svm gamma={value!r} must be a number above 0, or {SCALE!r}.")
    return real("Svm gamma", value, 0, HIGHEST_GAMMA, open_low=True)


AnyHead = str | Settings


@dataclass(frozen=True)
class Head:
    """A kind of head.

    ``fit(runs)`` returns the fitted heads of runs on a frozen backbone, in their order. ``layers(classes, settings)``
    are Keras layers from features to logits, whose own initializers say how a run begins; they are trained with an
    unfrozen backbone. ``from_weights(arrays, settings, output)`` is the fitted head of such layers' weights, in their
    order, with the ``output`` of its loss.
    Both are None where a head cannot be trained by steps: it then needs a frozen backbone. ``seconds_a_step``
    is what a batch costs on stored features, and ``macs(settings, features)`` the multiply-adds of an example, for the
    estimate of a search's cost. ``settings`` are those of the head where a recipe gives its name alone; None where it
    has none. ``drops(settings, layer)`` tells whether dropout acts before a layer. A head that is fitted all at once
    has ``seconds_a_run(examples)`` in place of what steps cost; each view of an image is an example. ``probabilities``
    is what a user must know of them.
    """

    name: str
    seconds_a_step: float
    fit: Callable[["HeadRuns"], Sequence[FittedHead]]
    layers: Callable[[int, Any], Sequence[Any]] | None = None
    from_weights: Callable[[Sequence[np.ndarray], Any, str], FittedHead] | None = None
    settings: Any = None
    macs: Callable[[Any, float], float] = lambda _settings, _features: 0.0
    drops: Callable[[Any, int], bool] = lambda _settings, layer: layer == 0
    seconds_a_run: Callable[[int], float] = lambda _examples: 0.0
    probabilities: str = UNCALIBRATED


def _fit_linear(runs: "HeadRuns") -> Sequence[FittedHead]:
    from search.training.heads import linear

    return linear.fit(runs)


def _linear_layers(classes: int, _settings: None) -> Sequence[Any]:
    from search.training.heads import linear

    return linear.layers(classes)


def _linear_from_weights(weights: Sequence[np.ndarray], _settings: None, output: str) -> FittedHead:
    from search.training.heads.linear import LinearHead

    kernel, bias = weights
    return LinearHead(kernel, bias, output)


def _fit_mlp(runs: "HeadRuns") -> Sequence[FittedHead]:
    from search.training.heads import mlp

    return mlp.fit(runs)


def _mlp_layers(classes: int, settings: Mlp) -> Sequence[Any]:
    from search.training.heads import mlp

    return mlp.layers(settings.widths, settings.activation, classes)


def _mlp_from_weights(weights: Sequence[np.ndarray], settings: Mlp, output: str) -> FittedHead:
    from search.training.heads.dense import mlp_of

    return mlp_of(weights, settings.activation, output)


def _fit_logistic_regression(runs: "HeadRuns") -> Sequence[FittedHead]:
    from search.training.heads import logistic_regression

    return logistic_regression.fit(runs)


def _fit_svm(runs: "HeadRuns") -> Sequence[FittedHead]:
    from search.training.heads import svm

    return svm.fit(runs)


def _mlp_macs(settings: Mlp, features: float) -> float:
    return float(sum(a * b for a, b in itertools.pairwise((features, *settings.widths, USUAL_CLASSES))))


def _seconds_of_svm(examples: int) -> float:
    return 1e-3 * examples + 4e-7 * examples**2


HEADS: dict[str, Head] = {
    head.name: head
    for head in (
        Head("linear", 0.0001, _fit_linear, _linear_layers, _linear_from_weights),
        Head("mlp", 0.0003, _fit_mlp, _mlp_layers, _mlp_from_weights, Mlp(), _mlp_macs, Mlp.drops),
        Head(
            "logistic_regression",
            0.0,
            _fit_logistic_regression,
            settings=LogisticRegression(),
            seconds_a_run=lambda examples: 0.003 * examples,
        ),
        *(
            Head(
                settings.name,
                0.0,
                _fit_svm,
                settings=settings,
                seconds_a_run=_seconds_of_svm,
                probabilities=CALIBRATED,
            )
            for settings in (Svm(LINEAR), Svm(RBF))
        ),
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


def is_by_steps(recipe: "Recipe") -> bool:
    """Return whether the head of a recipe is trained by steps, and not fitted all at once."""
    return kind_of(recipe.head).layers is not None


def check_steps(recipe: "Recipe") -> None:
    """Raise UserError where a head that is fitted all at once has a field that says how steps are taken."""
    if is_by_steps(recipe):
        return
    for row in dataclasses.fields(recipe):
        if row.name in BY_STEPS and (value := getattr(recipe, row.name)) != row.default:
            where = f"{row.name}={row.metadata[ROW].cell_of(value)!r} with head={level_of(recipe.head)!r}"
            raise UserError(
                f"{where}: this head is fitted all at once, not in "
                f"steps, so {row.name} would change nothing. Leave it out; in a space, put it under "
                'hp.conditional_scope("head", [the heads that are trained in steps]), and give what is not None.'
            )


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
