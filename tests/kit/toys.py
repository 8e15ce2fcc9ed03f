"""Toys: a row for each table that people add to, as a stranger would write it, without a change to ``search/``."""

import json
from dataclasses import dataclass

import altair as alt
import click
import numpy as np
from PIL import ImageOps

from search.executors.inline import Inline
from search.executors.table import ExecutorRow, Setting
from search.export.forms.form import Form, Program
from search.repertoire.augmentation import Policy
from search.repertoire.backbones.backbone import SIGNED, Backbone, Weights
from search.repertoire.backbones.pooling import Pooling
from search.repertoire.heads import Head
from search.repertoire.losses import Loss
from search.repertoire.optimizers import Optimizer
from search.repertoire.sampling import SamplingKind
from search.repertoire.schedules import ScheduleRow
from search.repertoire.weighting import Weighting
from search.report.exhibit import Chapter, Exhibit, Plot, Sheet, number, string
from search.report.style import place, values
from search.report.table import score, table, text


def make_network(file):
    """Return a network of two blocks, the first of which tells bars by their direction."""
    from search.system.tf import keras

    layers, inputs = keras.layers, keras.Input((None, None, 3))
    x = layers.Conv2D(8, 5, strides=2, padding="same", activation="relu", name="bars")(inputs)
    x = layers.Conv2D(12, 3, strides=2, padding="same", activation="relu", name="corners")(x)
    network = keras.Model(inputs, x, name="toy")
    if file is not None:
        network.load_weights(file)
    return network


BACKBONE = Backbone("Toy", make_network, SIGNED, ("bars",), 1, Weights("toy.weights.h5", "https://example.org/toy"))


def write_weights(folder):
    """Write the weights of the toy backbone where Keras keeps weights."""
    from search.system.tf import keras

    keras.utils.set_random_seed(5)
    folder.mkdir(parents=True)
    make_network(None).save_weights(folder / BACKBONE.weights.file)


@dataclass(frozen=True)
class Nearest:
    """The head that says which class has the nearest mean."""

    means: np.ndarray

    def predict(self, features):
        from search.system.tf import keras, tf

        distances = np.square(features[:, None] - self.means).sum(axis=2)
        return keras.ops.convert_to_numpy(tf.nn.softmax(-distances))

    def layers(self):
        from search.system.tf import keras

        classes, features = self.means.shape
        dense = keras.layers.Dense(classes, activation="softmax")
        dense.build((None, features))
        dense.set_weights([2 * self.means.T, -np.square(self.means).sum(axis=1)])
        return [dense]


def fit_nearest(runs):
    heads = []
    for number_ in range(len(runs.seeds)):
        features, targets, weights, *_ = runs.examples(number_)
        shares = targets * weights[:, None]
        heads.append(Nearest((shares.T @ features / shares.sum(axis=0)[:, None]).astype(np.float32)))
    return heads


HEAD = Head("toy-nearest", 0.0, fit_nearest, seconds_a_run=lambda examples: 1e-5 * examples)


def _lowest(_backbone, _places, _channels, **options):
    from search.system.tf import keras

    return keras.Sequential([keras.layers.Rescaling(-1.0), keras.layers.GlobalMaxPooling2D()], **options)


POOLING = Pooling("toy-lowest", _lowest)


def _sgd():
    from search.system.tf import keras

    return keras.optimizers.SGD(learning_rate=1e-2)


def _sgd_step(variables, slopes, moments, rate, _time, decay):
    return variables - rate * (slopes + decay * variables), moments


def _constant(recipe, steps):
    return np.full((recipe.epochs, steps), recipe.learning_rate, np.float32)


def _invert(image, _strength, rng):
    return ImageOps.invert(image) if rng.random() < 0.5 else image


def _squared(targets, logits, _gamma):
    from search.system.tf import tf

    return tf.reduce_sum((tf.nn.softmax(logits) - targets) ** 2, -1)


def _squared_slopes(targets, logits, _gamma):
    from search.system.tf import tf

    shares = tf.nn.softmax(logits)
    by_share = 2 * (shares - targets) * shares
    return by_share - shares * tf.reduce_sum(by_share, -1, keepdims=True)


def _squared_measure(targets, logits, gamma):
    return _squared(targets, logits, gamma).numpy()


def _half(counts, _number):
    return (counts + 1) // 2


def _second_twice(labels):
    return (1 + labels).astype(np.float32)


LOSS = Loss("toy-squared", _squared, _squared_slopes, _squared_measure)
SAMPLING = SamplingKind("toy-half", _half, len, "toy-halved", "a half of each class")
WEIGHTING = Weighting("toy-second", _second_twice, "toy-second twice")
OPTIMIZER = Optimizer("toy-sgd", _sgd, moments=0, step=_sgd_step)
SCHEDULE = ScheduleRow("toy-constant", _constant)
POLICY = Policy("toy-invert", _invert, takes_strength=False, words="toy-inverted")


def _write_form(model, path, _calibration):
    model.save(path)


def _run_form(path, pixels):
    from search.system.tf import keras

    return keras.models.load_model(path).predict_on_batch(pixels[0])


FORM = Form(
    "toy-keras",
    "Toy",
    "toy.keras",
    _write_form,
    _run_form,
    Program("import keras", "model = keras.models.load_model('toy.keras')", str),
    "keras",
    "keras",
)


class Counting(Inline):
    """The inline executor, which counts its jobs."""

    jobs = 0

    def __init__(self, materials, first):
        super().__init__(materials)
        type(self).jobs = first

    def submit(self, job):
        type(self).jobs += 1
        super().submit(job)


EXECUTOR = ExecutorRow(
    "counts its jobs",
    False,
    lambda materials, options: Counting(materials, options.settings["count_from"]),
    lambda: None,
    (Setting("count_from", "The number of jobs before the first.", int, "N", least=1),),
)


def _rows(judgement):
    for trial in judgement.complete:
        yield {"trial": trial.id, "letters": float(len(trial.recipe.summary()))}


def _draw(subject):
    rows = [{"trial": row.trial, "letters": row.letters} for row in subject.frame.itertuples()]
    return place(alt.Chart(values(rows)).mark_bar().encode(x="letters:Q", y="trial:N"), height=80)


def _table(subject):
    cells = [(text(row.trial), score(row.letters)) for row in subject.frame.itertuples()]
    return table("How long each recipe is in words.", "trial | # letters", cells)


EXHIBIT = Exhibit(
    "letters",
    Sheet("letters", "One row for each complete trial.", (string("trial"), number("letters", "Of its recipe.")), _rows),
    Plot("Long recipes and short ones", _draw, "Longer bars are longer recipes.", lambda _subject: "Bars."),
    table=_table,
)
CHAPTER = Chapter("toys", "Toys", (EXHIBIT,))


@click.command("toy-count")
@click.argument("name")
def count(name):
    """Say how many trials the search NAME has."""
    from pathlib import Path

    from search.record import read_record

    click.echo(json.dumps({"trials": len(read_record(Path("results") / name).history.trials)}))
