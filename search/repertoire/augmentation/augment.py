"""Augment: a policy with its strength and its options, as a field of a recipe; and how many views it makes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from search.repertoire.augmentation.layers import found
from search.repertoire.augmentation.policy import Policy
from search.repertoire.augmentation.table import NONE, POLICIES
from search.repertoire.fields import INTEGER, NUMBER, TEXT, Subfield, declare, describe
from search.system.errors import UserError
from search.system.validation import named_fields, nearest, one_of, real, whole

if TYPE_CHECKING:
    from search.repertoire.recipe import Recipe

DEFAULT_STRENGTH = 0.5
MOST_VIEWS = 1_000


@named_fields
@dataclass(frozen=True, init=False)
class Augment:
    """An augmentation policy, with its strength in (0, 1] and its options by name: ``Augment("geometric", shear=0)``.

    ``strength`` is None for the policies that take none; for those that do, None means 0.5. ``options`` holds those
    that differ from their defaults, in the order of the policy; one that is None is as if it was not given. A policy
    whose ranges are all 0 is "none".
    """

    policy: str
    strength: float | None
    options: tuple[tuple[str, Any], ...]

    def __init__(self, policy: str = NONE, strength: float | None = None, **options: Any) -> None:
        """Validate, and fill in the default strength."""
        one_of("Augment policy", policy, POLICIES)
        object.__setattr__(self, "strength", _settled_strength(policy, strength))
        settled, needs = _settled_options(POLICIES[policy], options), POLICIES[policy].needs
        is_idle = bool(needs) and not {name for name, _ in settled} & set(needs)
        object.__setattr__(self, "policy", NONE if is_idle else policy)
        object.__setattr__(self, "options", () if is_idle else settled)

    @property
    def row(self) -> Policy:
        """Its row in the table of policies."""
        return POLICIES[self.policy]

    @property
    def is_plain(self) -> bool:
        """Whether it shows each image as it is."""
        return self.row.is_plain

    @property
    def settings(self) -> dict[str, Any]:
        """All options of the policy by name, those with their defaults too."""
        return {name: option.default for name, option in self.row.options.items()} | dict(self.options)

    @property
    def key(self) -> list[Any]:
        """What its draws depend on, as JSON types: policy, strength and, where there are any, options."""
        return [self.policy, self.strength, *([dict(self.options)] if self.options else [])]

    @property
    def level(self) -> str:
        """The policy with its strength and options: "none", "color 0.3", "generator rotation_range 40"."""
        return self._with_values(self.policy)

    @property
    def words(self) -> str:
        """The same in the line of a recipe: "no augmentation", "flip_crop", "color 0.3"."""
        return self._with_values(self.row.words)

    @property
    def name(self) -> str:
        """The policy with its options, and without its strength."""
        words = [self.row.options[name].words(name, value) for name, value in self.options]
        return f"{self.policy} {', '.join(word for word in words if word)}".strip()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON types: options stand beside policy and strength."""
        options = {name: list(value) if isinstance(value, tuple) else value for name, value in self.options}
        return {"policy": self.policy, "strength": self.strength, **options}

    def _with_values(self, name: str) -> str:
        name += self.name.removeprefix(self.policy)
        return name if self.strength is None else f"{name} {self.strength:g}"


def _settled_strength(policy: str, strength: Any) -> float | None:
    if POLICIES[policy].takes_strength:
        return real("Augment strength", DEFAULT_STRENGTH if strength is None else strength, 0, 1, open_low=True)
    if strength is not None:
        raise UserError(
            f"Augment({policy!r}, strength={strength!r}): this policy has no strength. Leave "
            'it out; in a space, put it under hp.conditional_scope("augment", [the policies that take one]).'
        )
    return None


def _settled_options(policy: Policy, options: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return the options that differ from their defaults. Raises UserError for a wrong one, and where one is needed."""
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in policy.options:
            raise UserError(f"Augment({policy.name!r}, …) has no field {name!r}. {_way_out(policy, name)}")
    values = {name: policy.options[name].settle(f"Augment {name}", value) for name, value in given.items()}
    if policy.needs and not set(given) & set(policy.needs):
        raise UserError(f"Augment({policy.name!r}) changes nothing yet. Give it {' or '.join(policy.needs)}.")
    return tuple(
        (name, values[name]) for name, row in policy.options.items() if values.get(name, row.default) != row.default
    )


def _way_out(policy: Policy, name: str) -> str:
    """Return what to do about an option that a policy does not have."""
    if name in policy.refused:
        return f"{policy.refused[name]}. Leave it out."
    others = [row.name for row in POLICIES.values() if name in row.options]
    if others:
        return (
            f"It is an option of {' and '.join(map(repr, others))}. Leave it out; in a space, put it under "
            f'hp.conditional_scope("augment", {others!r}).'
        )
    strength = ["strength"] if policy.takes_strength else []
    near = nearest(name, [*strength, *policy.options])
    fields = "It takes a strength and no options." if strength else "It has no options."
    return (f"Did you mean {near!r}? " if near else "") + (
        f"Its options are: {', '.join(policy.options)}." if policy.options else fields
    )


def _settle_augment(name: str, value: Any, _recipe: "Recipe") -> Augment:
    if not isinstance(value, Augment):
        raise UserError(f"{name}={value!r} must be an Augment, as in Augment('flip_crop').")
    if not value.row.prepare:
        return value
    return Augment(value.policy, value.strength, **{**dict(value.options), **found(value.settings)})


def _augments(recipe: "Recipe") -> bool:
    return not recipe.augment.is_plain


def _settle_views(name: str, value: Any, recipe: "Recipe") -> int:
    """Return how many views a recipe shows: no more than there are versions, 1 where images stay as they are."""
    views = whole(name, value, 1, MOST_VIEWS)
    return min(views, len(recipe.augment.row.versions) or views) if _augments(recipe) else 1


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
    to_json=Augment.to_json,
    from_json=lambda fields: Augment(**fields),
    cell=lambda augment: augment.name,
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
    _settle_views,
    describe(INTEGER, "Fixed augmented versions of each image."),
    words=_views_in_words,
    aside=True,
    is_choice=_augments,
)
