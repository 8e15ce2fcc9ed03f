"""Find the fine-tuning recipe that best survives limited data.

    python -m search run spaces/finetune.py

A space file takes its words from here: ``Study``, ``Recipe``, ``Augment``, ``Mix``, ``Mlp``, ``LogisticRegression``,
``Svm``, ``Focal``, ``EffectiveNumber``, ``Sampling``, ``Synthetic``, ``Backbone``, ``Times``, ``Schedule``,
``conv_net``, ``hub``, ``at_hand``, ``amounts_at_hand``, ``methods_at_hand``, ``image_sizes``, ``handwritten_digits``.
``KFoldTuner`` is the same from a notebook.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.data.digits import handwritten_digits
    from search.repertoire.augmentation import Augment
    from search.repertoire.backbones.backbone import Backbone
    from search.repertoire.backbones.conv_net import conv_net
    from search.repertoire.backbones.hub import hub
    from search.repertoire.heads import LogisticRegression, Mlp, Svm
    from search.repertoire.losses import Focal
    from search.repertoire.mixing import Mix
    from search.repertoire.networks import Fit
    from search.repertoire.rates import Times
    from search.repertoire.recipe import Recipe
    from search.repertoire.sampling import Sampling
    from search.repertoire.schedules import Schedule
    from search.repertoire.synthetic import Synthetic
    from search.repertoire.weighting import EffectiveNumber
    from search.space import amounts_at_hand, at_hand, image_sizes, methods_at_hand
    from search.study import Study
    from search.system.errors import UserError
    from search.tuner import KFoldTuner

__version__ = "0.1.0"

__all__ = [
    "Augment",
    "Backbone",
    "EffectiveNumber",
    "Fit",
    "Focal",
    "KFoldTuner",
    "LogisticRegression",
    "Mix",
    "Mlp",
    "Recipe",
    "Sampling",
    "Schedule",
    "Study",
    "Svm",
    "Synthetic",
    "Times",
    "UserError",
    "amounts_at_hand",
    "at_hand",
    "conv_net",
    "handwritten_digits",
    "hub",
    "image_sizes",
    "methods_at_hand",
]

_HOMES = {  # found when first asked for: `search --help` must not load TensorFlow
    "Augment": "search.repertoire.augmentation",
    "Backbone": "search.repertoire.backbones.backbone",
    "EffectiveNumber": "search.repertoire.weighting",
    "Fit": "search.repertoire.networks",
    "Focal": "search.repertoire.losses",
    "KFoldTuner": "search.tuner",
    "LogisticRegression": "search.repertoire.heads",
    "Mix": "search.repertoire.mixing",
    "Mlp": "search.repertoire.heads",
    "Recipe": "search.repertoire.recipe",
    "Sampling": "search.repertoire.sampling",
    "Schedule": "search.repertoire.schedules",
    "Study": "search.study",
    "Svm": "search.repertoire.heads",
    "Synthetic": "search.repertoire.synthetic",
    "Times": "search.repertoire.rates",
    "UserError": "search.system.errors",
    "amounts_at_hand": "search.space",
    "at_hand": "search.space",
    "conv_net": "search.repertoire.backbones.conv_net",
    "handwritten_digits": "search.data.digits",
    "hub": "search.repertoire.backbones.hub",
    "image_sizes": "search.space",
    "methods_at_hand": "search.space",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value  # a module must not hide the function of that name
        return value
    raise AttributeError(f"module 'search' has no attribute {name!r}")
