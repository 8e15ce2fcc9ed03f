"""What Keras Tuner's users are used to write, and what does it here: nothing that is passed is ignored in silence."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from search.options import Options
from search.repertoire.recipe import FIELDS
from search.study import Study
from search.system.validation import nearest

OF_FIT = ("x", "y", "batch_size", "epochs", "verbose", "callbacks", "validation_split", "validation_data")  # in order
IMAGES = "the images and labels are those of Study(data=…), and each fold divides them"
SEARCH: Mapping[str, str] = {
    **dict.fromkeys(("x", "y", "validation_data", "validation_split", "validation_steps", "shuffle"), IMAGES),
    **dict.fromkeys(
        ("epochs", "batch_size", "class_weight"),
        "the recipe says it: Recipe({0}=…) in the space, or Fit({0}=…) beside a model",
    ),
    "sample_weight": 'the recipe says it: Recipe(class_weight="balanced") in the space',
    "callbacks": (
        "there are none. Early stopping on the images that score a recipe would flatter it, so every recipe trains for "
        "its own epochs. Racing stops trials, tensorboard=True writes what TensorBoard shows"
    ),
    "verbose": "screen=… of KFoldTuner decides what is shown",
    "steps_per_epoch": "an epoch is one pass over the training part",
    "initial_epoch": "every run begins at the first epoch",
}
TUNER: Mapping[str, str] = {
    "hypermodel": 'the first value is the space: KFoldTuner("my-space.py"), or a function space(hp), or a HyperModel',
    "max_trials": "trials=N, or Study(max_trials=N)",
    "directory": 'results="FOLDER"',
    "project_name": 'name="NAME"',
    "overwrite": "fresh=True, which moves an old search aside",
    "executions_per_trial": "Study(folds=…, repeats=…): every trial trains on every fold",
    **dict.fromkeys(("max_epochs", "factor", "hyperband_iterations"), "racing=True, the default, stops trials early"),
    **dict.fromkeys(("loss", "metrics"), "Study(objective=…); every accuracy is measured anyhow"),
    "hyperparameters": "the space declares them",
    "distribution_strategy": "slots=N trains N runs at a time",
}
STEPS = ("on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end")
UNUSED = (
    *("run_trial", "pre_create_trial", "on_trial_begin", "on_trial_end", "on_search_begin", "on_search_end"),
    *STEPS,
)
MODELS = (
    "A search keeps predictions, not networks, and a space gives recipes: tuner.setup.recipe(hp.values) is that of "
    "hyperparameters. The recommended one is trained on all images, and written with its network, by: {command}"
)


def refused_arguments(values: Sequence[Any], named: Iterable[str]) -> str:
    """Return why ``search`` does not take these arguments, "" where there are none."""
    names = [*(OF_FIT[at] if at < len(OF_FIT) else f"value {at + 1}" for at in range(len(values))), *named]
    if not names:
        return ""
    reasons: dict[str, list[str]] = {}
    for name in names:
        reasons.setdefault(SEARCH.get(name, "a search has nothing of this name").format(name), []).append(name)
    lines = [f"  - {', '.join(of)}: {reason}." for reason, of in reasons.items()]
    return "\n".join(["tuner.search() takes nothing, and would not obey:", *lines])


def refused_option(name: str) -> str:
    """Return why ``KFoldTuner`` has no option of this name, and what does its work."""
    known = [field.name for field in dataclasses.fields(Options) if field.name != "executor_settings"]
    if way_out := TUNER.get(name):
        return f"KFoldTuner has no option {name!r}. Here it is: {way_out}."
    if name in {field.name for field in dataclasses.fields(Study)}:
        return f"KFoldTuner has no option {name!r}. It is a field of the study: Study({name}=…)."
    if name in FIELDS:
        return f"KFoldTuner has no option {name!r}. It is a field of recipes: Recipe({name}=…), in the space."
    near = nearest(name, known)
    hint = f" Did you mean {near!r}?" if near else ""
    return f"KFoldTuner has no option {name!r}.{hint} Options are: {', '.join(known)}."
