"""Make the fixtures of this folder again, all or those named; the README beside it says what they are.

PYTHONPATH=tests python tests/frozen/freeze.py [recipes identities training photographs begun finished report help]
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from kit import freezing
from kit.freezing import (
    FROZEN,
    labelled,
    machine,
    placeless,
    run,
    text_of,
    versions,
)

from search import Augment, Recipe

BACKBONES = (
    *("SmallCNN", "Embedded", "Embedded_scratch", "MobileNet_0.25", "MobileNet", "MobileNetV2_0.35", "MobileNetV2"),
    *("MobileNetV3Small", "EfficientNetV2B0", "ResNet50V2", "DenseNet121", "VGG16"),
)
FROM_SCRATCH = ("SmallCNN", "Embedded_scratch")
AUGMENT = (["none"], ["flip_crop"], ["color"], ["randaugment", 0.7], ["color", 0.3], ["randaugment"], ["color", 1.0])
SYNTHETIC = (0, 1, 1.0, 8, 0.5, {"cat": 1, "dog": 1.0}, 0.0, {"größer, 'ß'": 480, "a|b": 0}, 100.0, {"none": 0.0})


def arguments(number: int) -> dict[str, object]:
    """Return the arguments of a recipe: each value meets others in other recipes, and the first few are the default."""
    backbone = BACKBONES[number % len(BACKBONES)]
    told: dict[str, object] = {"backbone": backbone}
    told["unfrozen_blocks"] = None if backbone in FROM_SCRATCH else (0, 1, 2, None)[number // 12]
    if number < 2:
        return told
    choices = {
        "dropout": (0.2, 0.0, 0.4, 0.95, 0, 0.1),
        "augment": AUGMENT,
        "class_weight": ("none", "balanced"),
        "synthetic_per_class": SYNTHETIC,
        "learning_rate": (1e-3, 3e-4, 1, 1.2345678901234567e-05, 10.0),
        "weight_decay": (1e-4, 0, 0.0, 1e-2),
        "batch_size": (32, 1, 8),
        "epochs": (15, 1, 60, 7),
        "views": (8, 1, 3),
        "image_size": (None, 32, 96, 160, 1024),
    }
    return told | {name: values[(number + at) % len(values)] for at, (name, values) in enumerate(choices.items())}


def made(told: dict[str, object]) -> Recipe:
    """Return the recipe of stored arguments."""
    return Recipe(**{**told, "augment": Augment(*told.get("augment", []))})


def recipes(_place: Path) -> None:
    """Freeze forty recipes."""
    rows = []
    for told in map(arguments, range(40)):
        recipe = made(told)
        row = {"arguments": told, "digest": recipe.digest, "recipe": recipe.to_dict(), "summary": recipe.summary()}
        rows.append(json.dumps(row, ensure_ascii=False))
    (FROZEN / "recipes.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")


def identities(place: Path) -> None:
    """Freeze what the shipped spaces begin with."""
    told = {"versions": versions(*freezing.PLANNED_BY), **freezing.identities(place)}
    (FROZEN / "identities.json").write_text(text_of(told))


def training(place: Path) -> None:
    """Freeze what networks of this package learn, and what oracles propose."""
    arrays, proposed = freezing.training(place)
    np.savez_compressed(FROZEN / "runs.npz", **arrays)
    (FROZEN / "runs.json").write_text(text_of(machine()))
    told = {oracle: [json.dumps(row) for row in rows] for oracle, rows in proposed.items()}
    (FROZEN / "proposals.json").write_text(text_of({"machine": machine(), **told}))


def photographs(place: Path) -> None:
    """Freeze what networks with ImageNet weights learn."""
    np.savez_compressed(FROZEN / "photographs.npz", **freezing.photographs(place))
    (FROZEN / "photographs.json").write_text(text_of(machine()))


def keep(folder: Path, place: Path) -> None:
    """Keep a results folder, without what can be made again or is of this machine."""
    target = FROZEN / folder.name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("report", "workers.log", ".*"))
    study = target / "study.json"
    study.write_text(placeless(study.read_text(), place))


def finished(place: Path) -> None:
    """Freeze a whole search."""
    labelled(place / "labelled")
    freezing.space_file(place, "finished")
    freezing.command(place, *run("finished", "--confirm", 2, data="labelled"))
    keep(place / "results" / "finished", place)


def report(place: Path) -> None:
    """Freeze the report of the finished search, and what terminals show of it."""
    texts, pictures, terminal = freezing.report(place)
    folder = FROZEN / "report"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    (FROZEN / "report.sha256.json").write_text(text_of({"machine": freezing.drawn_by(), "pictures": pictures}))
    for name, text in terminal.items():
        (FROZEN / "terminal" / f"{name}.txt").write_text(text, encoding="utf-8")


def help_(place: Path) -> None:
    """Freeze what `--help` says."""
    (FROZEN / "help").mkdir(exist_ok=True)
    for name, text in freezing.helps(place).items():
        (FROZEN / "help" / f"{name}.txt").write_text(text, encoding="utf-8")


ALL = {
    "recipes": recipes,
    "identities": identities,
    "training": training,
    "photographs": photographs,
    "finished": finished,
    "report": report,
    "help": help_,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fixtures", nargs="*", help="which; all by default")
    for name in parser.parse_args().fixtures or ALL:
        (FROZEN / "terminal").mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as place:
            ALL[name](Path(place))
        sys.stdout.write(f"{name}\n")
