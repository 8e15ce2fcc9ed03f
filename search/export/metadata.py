"""What the Hugging Face Hub reads of a card: the front matter in YAML, with the score that may be expected."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import yaml

from search.export.forms.form import Form
from search.record import Record
from search.repertoire.networks import AnyRecipe
from search.repertoire.recipe import Recipe
from search.system.texts import visible

TASK = "image-classification"
DATASET = "imagefolder"  # what the Hub calls class folders; none of ours is there
IDENTIFIERS = {  # of the Hub, by what backbones say of their weights
    "Apache-2.0": "apache-2.0",
    "BSD": "bsd",
    "BSD-3-Clause": "bsd-3-clause",
    "CC BY": "cc",
    "MIT": "mit",
}
UNKNOWN = "unknown"
TITLES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1"}


def front_matter(
    record: Record,
    name: str,
    recipes: Sequence[AnyRecipe],
    forms: Sequence[Form],
    promise: Mapping[str, Any] | None,
) -> str:
    """Return the front matter of a card with the lines around it; ``name`` is that of the model.

    ``recipes`` are those of its networks. ``promise`` is that of recipe.json, None where nothing may be expected: then
    no result is given. Names of strangers in it stay texts, whatever they hold.
    """
    data: dict[str, Any] = {"library_name": "keras", "pipeline_tag": TASK}
    data |= _licence(recipes)
    data["tags"] = list(dict.fromkeys([TASK, "keras", *(form.tag for form in forms)]))
    if promise:
        data["model-index"] = [{"name": visible(name), "results": [_result(record, promise)]}]
    lines = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{lines}---\n\n"


def weight_licences(recipes: Sequence[AnyRecipe]) -> list[str]:
    """Return the licences of the pretrained weights in networks, each once; "" is one that this program does not know.

    The list is empty where no weights were pretrained: whoever trained the model decides then.
    """
    backbones = [each for recipe in recipes if isinstance(recipe, Recipe) for each in recipe.backbones]
    known = [each.weights.licence if each.weights else "" for each in backbones if each.pretrained]
    return list(dict.fromkeys(known))


def _licence(recipes: Sequence[AnyRecipe]) -> dict[str, str]:
    licences = weight_licences(recipes)
    if not licences:
        return {}
    if "" in licences:
        return {"license": UNKNOWN}
    if len(licences) == 1 and licences[0] in IDENTIFIERS:
        return {"license": IDENTIFIERS[licences[0]]}
    return {"license": "other", "license_name": " and ".join(licences), "license_link": "README.md"}


def _result(record: Record, promise: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "task": {"type": TASK, "name": "Image classification"},
        "dataset": {"type": DATASET, "name": visible(PurePath(record.about.data).name or record.name)},
        "metrics": list(_metrics(promise)),
    }


def _metrics(promise: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the objective and the accuracy that may be expected, each once."""
    parts = {promise["objective"]: promise["expected"], "accuracy": promise["accuracy"]}
    for metric, part in parts.items():
        known = part["low"] is not None
        between = f", 95 % interval {part['low']:.3f} to {part['high']:.3f}" if known else ", no interval is known"
        worth = "corrected for having been picked" if promise["corrected"] else "raw, and probably too high"
        yield {
            "type": metric,
            "name": f"{TITLES.get(metric, metric)} to expect, cross-validated, {worth}{between}",
            "value": round(part["mean"], 4),
            "args": {"interval": [round(part["low"], 4), round(part["high"], 4)], "level": 0.95} if known else {},
            "verified": False,
        }
