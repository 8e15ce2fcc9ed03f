"""The ``hp`` that a space is called with, what a space declares with it, and the points of a space.

It is Keras Tuner's, with what that lacks: choices among None and objects, scopes within scopes, and words for
mistakes that Keras Tuner passes over in silence, so that another space would be searched than the one written down.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

from search.oracles.elsewhere import ELSEWHERE, OWN, no_value
from search.oracles.values import (
    CLOSE,
    PLAIN,
    check_name,
    check_range,
    check_values,
    is_plain,
    label_of,
    label_of_fixed,
    labels_of,
    misses_the_last,
    options_of,
    plain,
)
from search.repertoire.augmentation import POLICIES
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.networks import NetworkRecipe
from search.system.digests import seed_from
from search.system.errors import UserError
from search.system.tf import silenced
from search.system.validation import nearest

with silenced(), warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Keras Tuner's own deprecated calls
    import keras_tuner
    from keras_tuner.engine import hyperparameters as kinds

POINTS_COUNTED = 2_000
POINTS_CHECKED = 100
POINTS_BUILT = 4  # of a space that builds networks, which takes a second or so for a large one
VALUES_IN_WORDS = 12
Values = dict[str, Any]
HyperModel: Any = keras_tuner.HyperModel


class HyperParameters(keras_tuner.HyperParameters):
    """Keras Tuner's hyperparameters, as spaces declare them.

    A choice among values of several types, None or objects is known to oracles and journals by texts, its labels;
    ``objects`` maps these to the values, by the name of the choice; ``booleans`` names the choices among True and
    False, known as 1 and 0. ``strict`` tells of every mistake; without it
    the hyperparameters are as Keras Tuner takes them. ``complete`` tells whether all that the space may choose from
    is at hand: a scope that no value opens is a mistake only then. ``builds`` says whether the space builds networks,
    as is known once it was called. ``is_point`` is true at a point of a space whose
    hyperparameters are known: nothing new may be declared there.
    """

    def __init__(self, *, strict: bool = True, complete: bool = True, is_point: bool = False) -> None:
        """Begin with none."""
        super().__init__()
        self.strict, self.complete, self.is_point = strict, complete, is_point
        self.builds = False
        self.objects: dict[str, dict[str, Any]] = {}
        self.booleans: set[str] = set()

    def Choice(  # noqa: N802 Keras Tuner's name
        self,
        name: str,
        values: Iterable[Any],
        ordered: bool | None = None,
        default: Any = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """Return one of ``values``; None under a scope that is closed."""
        options, default = options_of(name, values), plain(default)
        check_name("Choice", name)
        if self.strict or is_plain(options):
            check_values(f"hp.Choice({name!r}, …)", [*options, default])
        if is_plain(options):
            value = super().Choice(name, options, ordered, default, parent_name, parent_values)
            return bool(value) if self._is_boolean(name, options) and value is not None else value
        labels = labels_of(name, options)
        self.objects.setdefault(self._get_name(name), {}).update(labels)
        default = None if default is None else next(iter(labels_of(name, [default])))
        label = super().Choice(name, list(labels), ordered, default, parent_name, parent_values)
        return None if label is None else labels[label]

    def _is_boolean(self, name: str, options: list[Any]) -> bool:
        """Return whether a choice is between booleans, which Keras Tuner turns into 1 and 0, and note it if so."""
        is_boolean = self.strict and isinstance(options[0], bool)
        if is_boolean:
            self.booleans.add(self._get_name(name))
        return is_boolean

    def Int(  # noqa: N802 likewise
        self,
        name: str,
        min_value: int,
        max_value: int,
        step: int | None = None,
        sampling: str = "linear",
        default: int | None = None,
        **parent: Any,
    ) -> Any:
        """Return a whole number from ``min_value`` to ``max_value``."""
        low, high, step, default = map(plain, (min_value, max_value, step, default))
        check_name("Int", name)
        check_range(f"hp.Int({name!r}, …)", low, high, step, default)
        return super().Int(name, low, high, step, sampling, default, **parent)

    def Float(  # noqa: N802 likewise
        self,
        name: str,
        min_value: float,
        max_value: float,
        step: float | None = None,
        sampling: str = "linear",
        default: float | None = None,
        **parent: Any,
    ) -> Any:
        """Return a number from ``min_value`` to ``max_value``; with a step, both of these are drawn too."""
        low, high, step, default = map(plain, (min_value, max_value, step, default))
        check_name("Float", name)
        check_range(f"hp.Float({name!r}, …)", low, high, step, default)
        if self.strict and step and sampling in {None, "linear"} and misses_the_last(low, high, step):
            high += CLOSE * step
        return super().Float(name, low, high, step, sampling, default, **parent)

    def Boolean(self, name: str, default: bool = False, *args: Any, **options: Any) -> Any:  # noqa: N802 likewise
        """Return True or False."""
        check_name("Boolean", name)
        return super().Boolean(name, plain(default), *args, **options)

    def Fixed(self, name: str, value: Any, parent_name: str | None = None, parent_values: Any = None) -> Any:  # noqa: N802
        """Return ``value``; scopes can stand on it, as on a choice."""
        value = plain(value)
        check_name("Fixed", name)
        if isinstance(value, PLAIN):
            check_values(f"hp.Fixed({name!r}, …)", [value])
            return super().Fixed(name, value, parent_name, parent_values)
        label = label_of_fixed(name, value)
        self.objects.setdefault(self._get_name(name), {})[label] = value
        return None if super().Fixed(name, label, parent_name, parent_values) is None else value

    @contextlib.contextmanager
    def conditional_scope(self, parent_name: str, parent_values: Any) -> Iterator[None]:
        """Open a scope whose hyperparameters vary only where ``parent_name`` has one of ``parent_values``."""
        name = self._get_name(parent_name)
        parents = self._hps.get(name)
        if not parents:
            raise UserError(_no_parent(name, list(self._hps)))
        values = self._values_of_scope(name, parent_values)
        if self.strict and self.complete and not self.is_point:
            _check_scope(name, parent_values, values, parents)
        with super().conditional_scope(parent_name, values):
            yield

    def _values_of_scope(self, name: str, values: Any) -> list[Any]:
        """Return the values of a scope as its parent has them: labels where these stand for objects."""
        listed = [values] if isinstance(values, str) or not isinstance(values, Iterable) else list(values)
        if not listed:
            raise UserError(f"hp.conditional_scope({name!r}, []) names no value. Give those that open it, as a list.")
        if isinstance(values, set | frozenset):  # which have no order, but the digest of a space has
            listed.sort(key=str)
        listed = [plain(value) for value in listed]
        if name in self.objects:
            return [label if (label := label_of(value)) is not None else value for value in listed]
        mixed = self.strict and {type(value) for value in listed} == {int, float}
        return [float(value) for value in listed] if mixed else listed  # Keras Tuner would round them

    def _exists(self, name: str, conditions: list[Any] | None = None) -> bool:
        """Return whether there is one of that name; with conditions, under these. A scope may stand within others."""
        return bool(self._hps.get(name)) if conditions is None else super()._exists(name, conditions)

    def _retrieve(self, hp: Any) -> Any:
        """Return the value of what the space declares. Raises UserError where it was declared otherwise before."""
        known = self._hps.get(hp.name, [])
        same = next((other for other in known if other.conditions == hp.conditions), None)
        if same is not None and not self.is_point and same.get_config() != hp.get_config():
            raise UserError(
                f"The hyperparameter {hp.name!r} is declared twice, with different values. Keras Tuner would keep "
                "the first in silence: give them different names."
            )
        if self.is_point and (same is None if self.strict else not known):
            raise UserError(_stray(hp.name, bool(known)))
        if self.is_point and self.strict and _bounds(same) != _bounds(hp):
            raise UserError(_dependent(hp.name, same, hp))
        return super()._retrieve(hp)

    def get(self, name: str) -> Any:
        """Return the value of a hyperparameter by its name: the object or boolean that a label or number means."""
        known = self._get_name(name)
        if known not in self.values:
            raise UserError(no_value(name, known in self._hps, list(self._hps)))
        value = super().get(name)
        if self._get_name(name) in self.booleans and value is not None:
            return bool(value)
        objects = self.objects.get(self._get_name(name), {})
        return objects.get(value, value) if objects else value

    def __contains__(self, name: str) -> bool:
        """Return whether a hyperparameter of that name has a value."""
        return self._get_name(name) in self.values

    def __getattr__(self, name: str) -> Any:
        """Raise UserError for what other libraries' spaces have, and say what does it here; else AttributeError."""
        if name in ELSEWHERE:
            raise UserError(f"hp has no {name!r}. Here it is: {ELSEWHERE[name]}.")
        raise AttributeError(f"hp has no {name!r}. It has {OWN}.", name=name, obj=self)

    def copy(self) -> Self:
        """Return the same hyperparameters at the same values, which may then be changed."""
        copy = type(self).from_config(self.get_config())
        copy.objects = {name: dict(labels) for name, labels in self.objects.items()}
        copy.booleans = set(self.booleans)
        copy.strict, copy.complete, copy.is_point = self.strict, self.complete, self.is_point
        copy.builds = self.builds
        return copy


def _no_parent(name: str, known: list[str]) -> str:
    near = nearest(name, known)
    return (
        f"hp.conditional_scope({name!r}, …) stands on a hyperparameter that the space does not declare before it. "
        + (f"Did you mean {near!r}? " if near else "")
        + f"If you have fixed its value, write {name} = hp.Fixed({name!r}, VALUE), and the scope holds for that value; "
        "or delete the line of the scope, and write what stands in it for that value."
    )


def _check_scope(name: str, written: Any, values: list[Any], parents: list[Any]) -> None:
    """Raise UserError for a scope that no value of its parent opens, and for a text that is none of its values."""
    strays = [value for value in values if not any(_takes(parent, value) for parent in parents)]
    texts = [value for value in strays if isinstance(value, str) and value not in {*BACKBONES, *POLICIES}]
    if not texts and len(strays) < len(values):
        return
    options = [option for parent in parents if _is_listed(parent) for option in parent.values]
    stray = (texts or strays)[0]
    hint = ""
    if isinstance(written, str) and any(str(option) in written for option in options):
        hint = f" {written!r} is one text: give the values as a list, as in [{options[0]!r}]."
    elif near := next((option for option in options if str(option) == str(stray)), None):
        hint = f" {stray!r} is {_kind(stray)}: write {near!r}."
    elif near := nearest(str(stray), [str(option) for option in options]):
        hint = f" Did you mean {near!r}?"
    result = "no value opens this scope, so that what stands in it would never vary"
    if len(strays) < len(values):
        result = f"{stray!r} is none of its values, and opens nothing"
    is_listed = all(map(_is_listed, parents))
    single = "" if is_listed else " No single one of its values can open a scope: declare it as an hp.Choice."
    raise UserError(
        f"hp.conditional_scope({name!r}, {written!r}): {result}.{hint} {name!r} is "
        f"{' or '.join(map(_in_words, parents))}.{single}"
    )


def _takes(parent: Any, value: Any) -> bool:
    """Return whether a hyperparameter can have this value."""
    if isinstance(parent, kinds.Int) and (not parent.step or parent.sampling != "linear"):
        return isinstance(value, int) and parent.min_value <= value <= parent.max_value
    return _is_listed(parent) and value in list(parent.values)


def _is_listed(hp: Any) -> bool:
    return not isinstance(hp, kinds.Float) or bool(hp.step)


def _kind(value: Any) -> str:
    return "a text" if isinstance(value, str) else "a number"


def _in_words(hp: Any) -> str:
    """Return what a hyperparameter may be, in words."""
    if isinstance(hp, kinds.Float | kinds.Int):
        every = f", in steps of {hp.step}" if hp.step not in {None, 1} else ""
        return f"a number from {_rounded(hp.min_value)} to {_rounded(hp.max_value)}{every}"
    listed = list(hp.values)
    more = f" and {len(listed) - VALUES_IN_WORDS} more" if len(listed) > VALUES_IN_WORDS else ""
    return f"one of {listed[:VALUES_IN_WORDS]}{more}"


def _rounded(number: float) -> str:
    """Return a number with at most three digits that count; whole numbers are exact."""
    return str(number) if isinstance(number, int) else f"{number:.3g}"


def _stray(name: str, is_moved: bool) -> str:
    if is_moved:
        return (
            f"The hyperparameter {name!r} stands under other scopes at other points of the space. Always open the same "
            "scopes, with the same values."
        )
    return (
        f"The hyperparameter {name!r} appears only at some points of the space, so the search could not see it. "
        "Declare it always, inside a `with hp.conditional_scope(parent, [values]):` where it depends on another."
    )


def _bounds(hp: Any) -> Values:
    """Return all that says which values a hyperparameter may have, and how they are drawn."""
    return {"kind": type(hp).__name__, **{key: value for key, value in hp.get_config().items() if key != "default"}}


def _dependent(name: str, first: Any, here: Any) -> str:
    return (
        f"The hyperparameter {name!r} is declared with other values at other points of the space: it is "
        f"{_in_words(first)} at the first point, and {_in_words(here)} at another. Keras Tuner would keep the first in "
        "silence. Let no bound depend on another value: "
        'declare a factor, such as hp.Int("factor", 1, 4), and multiply; or declare one of another name in an '
        "hp.conditional_scope for each case."
    )


def register(build: Callable[[HyperParameters], Any], *, strict: bool = True, complete: bool = True) -> HyperParameters:
    """Return the hyperparameters that ``build(hp)`` declares.

    Raises UserError for one behind a bare ``if``, which would be invisible to the oracle until some trial happens to
    reach it; and, where it is ``strict``, for one whose values depend on another, and for a scope that no value opens
    although all is at hand (``complete``).
    """
    hyperparameters = HyperParameters(strict=strict, complete=complete)
    hyperparameters.builds = isinstance(build(hyperparameters), NetworkRecipe)
    for point in sample_points(hyperparameters, POINTS_CHECKED):
        build(point)
    return hyperparameters


def sample_points(hyperparameters: HyperParameters, number: int) -> Iterator[HyperParameters]:
    """Yield always the same random points of a space: so many, or a few of one that builds networks."""
    return random_points(hyperparameters, min(number, POINTS_BUILT) if hyperparameters.builds else number, seed=0)


def random_points(hyperparameters: HyperParameters, number: int, seed: int) -> Iterator[HyperParameters]:
    """Yield random points of a space, as hyperparameters to be passed to a space function."""
    for index in range(number):
        point = HyperParameters(strict=hyperparameters.strict, is_point=True)
        for at, hp in enumerate(hyperparameters.space):
            point.merge([hp])
            if point.is_active(hp):
                point.values[hp.name] = hp.random_sample(seed_from(seed, "point", index, at))
        yield point


def points(hyperparameters: HyperParameters, values: Values | None = None) -> Iterator[Values]:
    """Yield the points of a space, active values only (of a continuous one, ten values an axis)."""
    values = values or {}
    for hp in hyperparameters.space:
        if hp.name in values or not all(condition.is_active(values) for condition in hp.conditions):
            continue
        for value in hp.values:
            yield from points(hyperparameters, {**values, hp.name: value})
        return
    yield values


def trials_of(hyperparameters: HyperParameters, build: Callable[[Values], Any], most: int, *, is_grid: bool) -> int:
    """Return how many trials a space has, ``most`` or fewer: points whose recipes differ.

    It is ``most`` where nobody can tell: where a number has no steps, but in a grid, which gives it some; and where the
    first of very many points hold few recipes. Of a space that builds networks, points are counted alone.
    """
    if not is_grid and not all(_is_listed(hp) for hp in hyperparameters.space):
        return most
    recipes = set()
    for number, values in enumerate(points(hyperparameters), start=1):
        if number > POINTS_COUNTED:
            return most
        recipes.add(number if hyperparameters.builds else build(values))
        if len(recipes) == most:
            break
    return len(recipes)


def at_values(hyperparameters: HyperParameters, values: Values) -> HyperParameters:
    """Return the space's hyperparameters at ``values``."""
    hp = hyperparameters.copy()
    hp.values = dict(values)
    return hp
