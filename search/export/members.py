"""The networks that were trained for an export, joined to one plain model, and what is written of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from search.analysis.certainty import Certainty
from search.analysis.ensemble import Ensemble
from search.analysis.judgement import Judgement
from search.analysis.stats.confidence import tempered
from search.data.folds import Fold
from search.data.images import decode
from search.export.card import ExportFacts, promised, scores
from search.export.changed import Changes
from search.export.opened import FORMAT
from search.export.plain import averaged, joint_model, plain_model, weighted
from search.export.together import ensemble_promise, ensemble_scores
from search.journal.history import Trial
from search.repertoire.networks import AnyRecipe, NetworkRecipe
from search.repertoire.prediction import PREDICTIONS
from search.repertoire.shape import shape_of
from search.system.errors import UserError, first_line
from search.system.tf import keras, versions
from search.training.materials import Materials
from search.training.trainer import TrainedNetwork

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Member:
    """A trial whose recipe was trained on all images, the network that came of it, and how much it counts, up to 1."""

    trial: Trial
    weight: float
    network: TrainedNetwork

    @property
    def recipe(self) -> AnyRecipe:
        """Its recipe."""
        return self.trial.recipe

    @property
    def fold(self) -> Fold:
        """The fold that trained it: on all images, some of which stand for its validation part."""
        return self.network.run.fold


def sizes_of(members: Sequence[Member]) -> list[int]:
    """Return the sides of the inputs of a model of several members, in pixels, the smallest first."""
    return sorted({size for member in members for size in member.recipe.sizes})


def joined(members: Sequence[Member], materials: Materials) -> keras.Model:
    """Return one model from pixels to the weighted mean of the members' probabilities."""
    models = [_plain(member.recipe, materials, member.network) for member in members]
    if len(models) == 1:
        return models[0]
    sized = [(model, member.recipe.sizes) for model, member in zip(models, members, strict=True)]
    return weighted(sized, [member.weight for member in members])


def facts_of(
    members: Sequence[Member],
    materials: Materials,
    sure: Certainty | None,
    together: Ensemble | None,
    changes: Changes | None,
) -> ExportFacts:
    """Return what a card says of an export beside the record of its search."""
    part = members[0].network.run.part
    synthetic = max(sum(member.network.run.part.synthetic.get("drawn", {}).values()) for member in members)
    return ExportFacts(
        members[0].trial,
        len(materials.labels),
        synthetic,
        versions(),
        part.sampled.get("trained", {}),
        certainty=sure,
        ensemble=together,
        changes=changes,
    )


def _plain(recipe: AnyRecipe, materials: Materials, network: TrainedNetwork) -> keras.Model:
    """Return a trained network as a model from pixels to probabilities."""
    if isinstance(recipe, NetworkRecipe):
        assert network.own is not None, "it was trained"
        return network.own.plain()
    assert network.run.head is not None, "it was fitted"
    backbone, shape = recipe.architecture, shape_of(recipe)
    if shape.branches:
        model = joint_model(shape, network.run.head, materials.weights, materials.home)
    else:
        sha256 = materials.weights.get(backbone.name, "")
        model = plain_model(shape, network.body, network.run.head, backbone.pretrained, sha256, materials.home)
    return averaged(model, PREDICTIONS[recipe.tta].views)


def compared(file: Path, materials: Materials, members: Sequence[Member], temperature: float) -> float:
    """Return by how much the saved model differs from the networks that were trained, in probability, at most.

    Raises UserError where that is more than rounding.
    """
    rows = members[0].fold.validation
    pixels = [
        decode(materials.paths, materials.contents, size, materials.cache, ranges=materials.ranges).pixels[rows]
        for size in sizes_of(members)
    ]
    mean = sum(member.weight * member.network.run.probabilities for member in members)
    probabilities = loaded(file, _name_of(members)).predict_on_batch(pixels if len(pixels) > 1 else pixels[0])
    difference = float(np.abs(probabilities - tempered(np.asarray(mean), temperature)).max())
    if difference > TOLERANCE:
        raise UserError(
            f"The saved model gives other probabilities than the network that was trained, by up to {difference:.2g}. "
            "That is an error of this program or of its libraries, and nothing was written: please report it."
        )
    return difference


def _name_of(members: Sequence[Member]) -> str:
    names = []
    for member in members:
        if isinstance(member.recipe, NetworkRecipe):
            return "The network that the space builds"
        names.append(member.recipe.architecture.name)
    return f"The network of {' and '.join(dict.fromkeys(names))}"


def loaded(file: Path, what: str) -> keras.Model:
    """Return a saved model. Raises UserError where it has layers of a person's own that cannot be loaded again.

    ``what`` says which network it is.
    """
    try:
        return keras.models.load_model(file)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise UserError(
            f"{what} cannot be loaded again once it is saved: {first_line(error)}\n"
            "Give layers of your own a get_config, and register them with "
            "@keras.saving.register_keras_serializable(); put a layer of Keras, or one of your own, in place of a "
            "Lambda. Nothing was written."
        ) from None


def about_of(
    judgement: Judgement, facts: ExportFacts, materials: Materials, members: Sequence[Member]
) -> dict[str, Any]:
    """Return recipe.json, but for what is known once the model is saved."""
    record, trial, network = judgement.record, facts.trial, members[0].network
    sessions, sizes = record.history.sessions, sizes_of(members)
    recipes, found = [member.recipe for member in members], facts.ensemble
    weights = [each.name for recipe in recipes if not isinstance(recipe, NetworkRecipe) for each in recipe.backbones]
    return {
        "format": FORMAT,
        "search": record.name,
        "trial": trial.id,
        "recipe": trial.recipe.to_dict(),
        "digest": trial.recipe.digest,
        **({"members": [_member(member) for member in members]} if len(members) > 1 else {}),
        "image_size": trial.recipe.side,
        **({"image_sizes": list(sizes)} if len(sizes) > 1 else {}),
        "classes": facts.classes(record),
        "images": facts.images,
        **({"other_images": facts.changes.to_dict()} if facts.changes else {}),
        "synthetic": network.run.part.synthetic,
        **({"sampled": network.run.part.sampled} if network.run.part.sampled else {}),
        "scores": ensemble_scores(judgement, found) if found else scores(judgement, trial),
        "promise": ensemble_promise(judgement, found) if found else promised(judgement, trial),
        **_certainty(facts.certainty),
        "identity": record.about.identity,
        **({} if materials.ranges.by_file else {"ranges": dict(materials.ranges.tops)}),
        "weights": {name: materials.weights.get(name, "") for name in dict.fromkeys(weights)},
        "seed": {"study": materials.seed, "run": network.run.seed},
        "threads": materials.threads,
        "versions": {"finetune-search": version("finetune-search"), **facts.versions},
        "versions_of_search": sessions[0].versions if sessions else {},
    }


def _member(member: Member) -> dict[str, Any]:
    trial = member.trial
    return {
        "trial": trial.id,
        "weight": member.weight,
        "recipe": trial.recipe.to_dict(),
        "digest": trial.recipe.digest,
        "seed": member.network.run.seed,
    }


def _certainty(sure: Certainty | None) -> dict[str, Any]:
    if sure is None:
        return {}
    return {
        "temperature": asdict(sure.temperature),
        "unsure": {
            "answers": sure.answers,
            "groups": sure.groups,
            "steps": [[step.probability, step.answered, step.wrong] for step in sure.steps],
        },
    }
