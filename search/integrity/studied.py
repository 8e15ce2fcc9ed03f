"""Whether study.json holds what every search wrote into it: its keys, their kinds, and numbers in their ranges."""

from collections.abc import Mapping
from typing import Any

from search.repertoire.recipe import Recipe
from search.study import Study
from search.system.errors import UserError, fault_of
from search.system.precision import PRECISIONS, precision_in
from search.system.validation import one_of, real, whole

KINDS = {
    **dict.fromkeys(("identity", "weights", "classes"), dict),
    **dict.fromkeys(("images", "threads"), int),
    **dict.fromkeys(("unreadable", "folds"), list),
    "data": str,
    "synthetic": str | None,
}
MOST_THREADS = 4096  # more than any machine has cores
MOST_IMAGES = 10**9
LEAST = {"images": 1, "in_folds": 1, "threads": 1}  # of counts; that of any other is 0
COUNTS = (
    *LEAST,
    *("holdout", "beside_holdout", "synthetic_images", "synthetic_left_out", "synthetic_unsourced"),
)


def problem_of_study(fields: Mapping[str, Any]) -> str:
    """Return what is wrong with the fields of study.json, by the name of its key; "" where nothing is."""
    lacking = [key for key, kind in KINDS.items() if key not in fields or not isinstance(fields[key], kind)]
    if lacking:
        return f"it lacks {lacking[0]!r}, or has it wrong"
    try:
        _check_counts(fields)
        _check_folds(fields["folds"])
        _check_identity(fields)
        for recipe in fields.get("baselines", {}).values():
            Recipe.from_dict(recipe)
    except (AttributeError, KeyError, TypeError, ValueError, UserError) as error:
        return fault_of(error)
    return ""


def _check_counts(fields: Mapping[str, Any]) -> None:
    for key in COUNTS:
        if key in fields:
            whole(key, fields[key], LEAST.get(key, 0), MOST_THREADS if key == "threads" else MOST_IMAGES)
    for name, count in fields["classes"].items():
        whole(f"classes: {name}", count, 0, MOST_IMAGES)


def _check_folds(folds: list[Any]) -> None:
    if not folds:
        raise UserError("folds=[] must hold a fold at least.")
    for fold in folds:
        if not isinstance(fold["id"], str):
            raise UserError(f"folds: the id {fold['id']!r} must be a text.")
        repeat, index = fold["split"]
        whole(f"folds: {fold['id']}: split", repeat, 0)
        whole(f"folds: {fold['id']}: split", index, 0)
        real(f"folds: {fold['id']}: fraction", fold["fraction"], 0, 1, open_low=True)


def _check_identity(fields: Mapping[str, Any]) -> None:
    identity = fields["identity"]
    study = identity["study"]
    if study["objective"] is None or (study.get("splits") == "shuffle" and "val" not in study):
        raise UserError("identity: study lacks 'objective' or 'val'.")
    Study("data").as_recorded({**study, **(fields.get("reading") or {})})
    one_of("identity: precision", precision_in(identity), PRECISIONS)
    for kind, top in (identity.get("ranges") or {}).items():
        if isinstance(top, bool) or not isinstance(top, int | float) or not top > 0:
            raise UserError(f"identity: ranges: {kind}={top!r} must be a number above 0.")
