"""The table of every choice of a recipe, made from the tables and from what recipes refuse.

PYTHONPATH=tests:. python -m kit.choices        # writes it into spaces/README.md
"""

import re
from pathlib import Path

from search import Augment, Mix, Recipe, Sampling, Schedule, Synthetic, UserError
from search.repertoire.augmentation import POLICIES
from search.repertoire.backbones.pooling import POOLINGS
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.heads import HEADS
from search.repertoire.losses import LOSSES
from search.repertoire.mixing import MIXERS
from search.repertoire.optimizers import OPTIMIZERS
from search.repertoire.prediction import PREDICTIONS
from search.repertoire.recipe import FIELDS
from search.repertoire.sampling import SAMPLINGS
from search.repertoire.schedules import SCHEDULES
from search.repertoire.weighting import WEIGHTINGS

README = Path(__file__).resolve().parents[2] / "spaces" / "README.md"
BEGIN, END = "<!-- choices: PYTHONPATH=tests:. python -m kit.choices -->\n", "<!-- /choices -->\n"
TABLES = {
    "augment": POLICIES,
    "class_weight": WEIGHTINGS,
    "head": HEADS,
    "loss": LOSSES,
    "mix": MIXERS,
    "optimizer": OPTIMIZERS,
    "pooling": POOLINGS,
    "sampling": SAMPLINGS,
    "schedule": SCHEDULES,
    "tta": PREDICTIONS,
}
WORDS = {
    "backbone": f"{len(BACKBONES)} networks, your own, presets, several together",
    "synthetic_per_class": "a count, a ratio, or either by class",
    "synthetic_method": "a name from the column `method` of the manifest",
}
OTHERS = {  # a value of each field that is not its default
    "backbone": "MobileNet_0.25",
    "unfrozen_blocks": 1,
    "dropout": 0.5,
    "augment": Augment("flip_crop"),
    "class_weight": "balanced",
    "synthetic_per_class": Synthetic(count=8),
    "learning_rate": 0.01,
    "weight_decay": 0.01,
    "batch_size": 16,
    "epochs": 30,
    "views": 4,
    "image_size": 96,
    "head": "mlp",
    "optimizer": "sgd",
    "schedule": Schedule("step"),
    "head_start": "fitted",
    "body_rate": 0.5,
    "clip_norm": 1.0,
    "layer_decay": 0.5,
    "l2_sp": 0.1,
    "wise_ft": 0.5,
    "batch_norm": "learning",
    "ema": 0.9,
    "tta": "mirror",
    "mix": Mix("mixup"),
    "epoch": "best_mean",
    "loss": "focal",
    "label_smoothing": 0.1,
    "logit_adjustment": 1.0,
    "sampling": Sampling("undersample"),
    "pooling": "maximum",
    "synthetic_method": "gan",
    "synthetic_replacing": 0.5,
}
WAYS = {"frozen": ("Embedded", 0), "unfrozen": ("Embedded", 2), "from scratch": ("SmallCNN", None)}


def choices_of(name):
    """Return what a field may be, in words: the names of its table, or what its refusal says."""
    if name in WORDS:
        return WORDS[name]
    if name in TABLES:
        return ", ".join(f"`{each}`" for each in TABLES[name])
    try:
        Recipe(**{"backbone": "Embedded", "augment": Augment("flip_crop"), name: "?"})
    except UserError as error:
        said = str(error)
    if "Choose one of: " in said:
        return ", ".join(f"`{each}`" for each in re.search(r"Choose one of: (.*)\.", said)[1].split(", "))
    return said.partition(" must be ")[2].rstrip(".")


def is_taken(name, backbone, depth):
    """Return whether a recipe of this backbone and depth may have another value of a field than the default."""
    fields = {"backbone": backbone, "unfrozen_blocks": depth, name: OTHERS[name]}
    if name == "backbone":
        return True
    if name == "unfrozen_blocks":
        return depth not in {0, None}
    if name == "views":
        fields["augment"] = Augment("flip_crop")
    if name in {"synthetic_method", "synthetic_replacing"}:
        fields["synthetic_per_class"] = 8
    without = {other: value for other, value in fields.items() if other != name}
    try:
        return Recipe(**fields) != Recipe(**without)
    except UserError:
        return False


def table():
    """Return the table as Markdown."""
    lines = ["| field | what it may be | " + " | ".join(WAYS) + " |", "|---|---|" + "---|" * len(WAYS)]
    for name in FIELDS:
        ways = ["yes" if is_taken(name, *way) else "" for way in WAYS.values()]
        lines.append(f"| `{name}` | {choices_of(name)} | {' | '.join(ways)} |")
    return "\n".join(lines) + "\n"


def shown():
    """Return the table that the document has."""
    return README.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    README.write_text(before + BEGIN + table() + END + rest.split(END)[1], encoding="utf-8")
