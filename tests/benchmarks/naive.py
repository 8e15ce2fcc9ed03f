"""The loop that people write today: Keras Tuner, folds inside ``run_trial``, images read from folders.

    python -m search folds SPACE --to folds
    python tests/benchmarks/naive.py trials.json --folds folds --weights FILE.h5 --out runs.jsonl

It is meant to be as good as such a loop gets without a cache of its own: images are decoded and
augmented in parallel while the network trains, Keras draws the augmentation anew in every epoch,
validation is scored once, and nothing of this project is imported. ``trials.json`` lists recipes.

EfficientNet-Lite is not in keras.applications. Who writes such a loop by hand has a ``.keras`` file of it, with its
ImageNet weights and without its classifier; ``--weights`` names it.

On 318 photographs of 160 px an epoch takes 0.08 s of processor time to decode (so keeping decoded
images in memory would hardly help), 0.4 s to flip and zoom (a translation would add 0.2 s and is
left out), 0.8 s to train the head of a frozen MobileNetV2-0.35.
"""

import argparse
import json
import math
import os
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import keras_tuner
import tensorflow as tf

UNFREEZE_FROM = {  # 0 blocks trains the head alone, more than 2 everything
    "MobileNetV2": {1: "block_13_expand", 2: "block_6_expand"},
    "EfficientNetLite0": {1: "unit_11_expand_conv", 2: "unit_8_expand_conv"},
}
SCALING = {"MobileNetV2": (1 / 127.5, -1), "EfficientNetLite0": (1 / 128, -127 / 128)}  # scale, offset of pixels
NOT_DECAYED = ["bias", "gamma", "beta"]
WARM_UP = 0.1  # of the steps

Recipe = dict[str, Any]


def augmentation(recipe: Recipe) -> keras.Sequential | None:
    """Return the layers that change a training image."""
    policy, strength = recipe["augment"]["policy"], recipe["augment"]["strength"]
    if policy == "none":
        return None
    layers = [keras.layers.RandomFlip("horizontal"), keras.layers.RandomZoom((-0.2, 0.0))]  # inwards
    if policy == "color":
        layers += [keras.layers.RandomBrightness(strength / 2), keras.layers.RandomContrast(strength / 2)]
    return keras.Sequential(layers)


def read(folder: Path, recipe: Recipe, size: int, *, shuffle: bool) -> tf.data.Dataset:
    """Return the images of class folders in batches, (n, size, size, 3) floats from 0 to 255."""
    return keras.utils.image_dataset_from_directory(
        folder, image_size=(size, size), batch_size=recipe["batch_size"], shuffle=shuffle, verbose=False
    )


def training_data(folder: Path, recipe: Recipe, size: int) -> tf.data.Dataset:
    """Return augmented batches, prepared while the network trains."""
    batches = read(folder, recipe, size, shuffle=True)
    augment = augmentation(recipe)
    if augment is not None:
        batches = batches.map(lambda x, y: (augment(x, training=True), y), num_parallel_calls=tf.data.AUTOTUNE)
    return batches.prefetch(tf.data.AUTOTUNE)


def build(recipe: Recipe, weights: str, classes: int, steps: int) -> keras.Model:
    """Return a compiled classifier; BatchNorm of the backbone stays in inference mode."""
    family, _, alpha = recipe["backbone"].partition("_")
    if family == "MobileNetV2":
        base = keras.applications.MobileNetV2((None, None, 3), alpha=float(alpha), include_top=False, weights=weights)
    else:
        base = keras.models.load_model(weights)
    freeze(base, recipe["unfrozen_blocks"], UNFREEZE_FROM[family].get(recipe["unfrozen_blocks"]))
    inputs = keras.Input((None, None, 3))
    scale, offset = SCALING[family]
    x = keras.layers.Rescaling(scale, offset)(inputs)
    x = base(x, training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(recipe["dropout"])(x)
    model = keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x))
    warm_up = max(1, round(WARM_UP * steps))
    rates = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warm_up), warmup_target=recipe["learning_rate"], warmup_steps=warm_up
    )
    optimizer = keras.optimizers.AdamW(rates, weight_decay=recipe["weight_decay"])
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def freeze(base: keras.Model, unfrozen_blocks: int, first: str | None) -> None:
    """Freeze all layers before the ``first`` that is to be trained; None where all are, or none."""
    base.trainable = unfrozen_blocks > 0
    if first is not None:
        names = [layer.name for layer in base.layers]
        for layer in base.layers[: names.index(first)]:
            layer.trainable = False


def class_weights(folder: Path, classes: list[str]) -> dict[int, float]:
    """Return n / (classes · n of the class)."""
    counts = Counter({row: len(list((folder / name).iterdir())) for row, name in enumerate(classes)})
    return {row: counts.total() / (len(classes) * count) for row, count in counts.items()}


def train_and_score(recipe: Recipe, fold: Path, size: int, weights: str) -> float:
    """Train a fresh model on a fold's training part; return its accuracy on the validation part."""
    keras.backend.clear_session()
    classes = sorted(folder.name for folder in (fold / "train").iterdir())
    images = sum(1 for _ in (fold / "train").glob("*/*"))
    steps = recipe["epochs"] * math.ceil(images / recipe["batch_size"])
    model = build(recipe, weights, len(classes), steps)
    model.fit(
        training_data(fold / "train", recipe, size),
        epochs=recipe["epochs"],
        class_weight=class_weights(fold / "train", classes) if recipe["class_weight"] == "balanced" else None,
        verbose=0,
    )
    validation = read(fold / "validation", recipe, size, shuffle=False).prefetch(tf.data.AUTOTUNE)
    return float(model.evaluate(validation, verbose=0, return_dict=True)["accuracy"])


class FoldTuner(keras_tuner.GridSearch):
    """A grid search that trains each trial across folds; each run of ``wanted`` (trial, fold) is a line of ``out``."""

    def __init__(self, recipes: list[Recipe], wanted: list[tuple[int, str]], given: argparse.Namespace) -> None:
        self.recipes, self.wanted, self.given = recipes, wanted, given
        hp = keras_tuner.HyperParameters()
        hp.Choice("trial", sorted({trial for trial, _ in wanted}))
        objective = keras_tuner.Objective("accuracy", "max")
        super().__init__(hyperparameters=hp, objective=objective, directory=tempfile.mkdtemp())

    def run_trial(self, trial: Any, *_args: Any, **_kwargs: Any) -> dict[str, float]:
        """Return the mean accuracy over the folds."""
        number = trial.hyperparameters.get("trial")
        folds = [fold for other, fold in self.wanted if other == number]
        scores = [self.run_fold(number, fold) for fold in folds]
        return {"accuracy": sum(scores) / len(scores)}

    def run_fold(self, number: int, fold: str) -> float:
        """Train and score one run, and write down what came of it."""
        given, began = self.given, time.perf_counter()
        accuracy = train_and_score(self.recipes[number], given.folds / fold, given.size, given.weights)
        seconds = time.perf_counter() - began
        with given.out.open("a") as file:
            file.write(json.dumps({"trial": number, "fold": fold, "accuracy": accuracy, "seconds": seconds}) + "\n")
        return accuracy


def main() -> None:
    """Run the loop, or the part of it that --runs names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", type=Path, help="A JSON list of recipes.")
    parser.add_argument("--folds", type=Path, required=True, help="What `python -m search folds` wrote.")
    parser.add_argument("--weights", required=True, help="ImageNet weights: a file of Keras, or of the whole backbone.")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, one a run.")
    parser.add_argument("--size", type=int, default=160, help="Side of the images in px.")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--runs", nargs="+", metavar="TRIAL:FOLD", help="Only these, such as 0:f1; default all.")
    given = parser.parse_args()
    keras.utils.set_random_seed(given.seed)
    recipes = json.loads(given.trials.read_text())
    folds = sorted(path.name for path in given.folds.glob("f*") if path.is_dir())
    wanted = [(trial, fold) for trial in range(len(recipes)) for fold in folds]
    if given.runs:
        # Of a few runs the first would bear what a process does once, and be scaled up: do it before.
        wanted = [(int(trial), fold) for trial, _, fold in (run.partition(":") for run in given.runs)]
        began = time.perf_counter()
        train_and_score({**recipes[wanted[0][0]], "epochs": 1}, given.folds / wanted[0][1], given.size, given.weights)
        given.out.write_text(json.dumps({"warm_up": time.perf_counter() - began}) + "\n")
    FoldTuner(recipes, wanted, given).search(verbose=0)


if __name__ == "__main__":
    main()
