"""What small backbones are worth on photographs, and what they cost: the tables in search/DECISIONS.md.

    export PYTHONPATH=tests/repertoire KERAS_HOME=../shared/keras
    python tests/benchmarks/backbones.py ../shared/data
    python tests/benchmarks/backbones.py ../shared/data --blocks 0 2 --sets trash6 sign_digits

The first table has the accuracy of logistic regression (C = 10) on frozen features of length 1, on the images that
tests/repertoire/probes.py takes: five folds / 20 images of each class. Speed is that of a forward pass
of 32 images on one core, in seconds of the processor, the best of some rounds in which all take turns.
It takes some minutes of two quiet cores.

With --blocks the second table: so many unfrozen blocks are fine-tuned by a search of this project, without augmentation
and otherwise at the recipe's defaults, at the base of learning rates for that depth. Its numbers are means over the
folds of one seed, which this project makes as in any search.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import probes
import processes
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer
from works import LITE, Plan, write_space

from search import Recipe, Times
from search.system.tf import tf

COLUMNS = (  # heading, backbone, whether pretrained, px
    ("Embedded 96 px", "Embedded", True, 96),
    ("MobileNet_0.25 160 px", "MobileNet_0.25", True, 160),
    ("MobileNetV2_0.35 160 px", "MobileNetV2_0.35", True, 160),
    ("Lite0 160 px", "EfficientNetLite0", True, 160),
    ("Lite0 224 px", "EfficientNetLite0", True, 224),
    ("Lite1 224 px", "EfficientNetLite1", True, 224),
)
SETS = ("hymenoptera", "cats_dogs", "trash6", "brain_mri", "sign_digits")
FINE_TUNED = ("Embedded", "MobileNetV2_0.35", LITE)
BATCH, ROUNDS = 32, 5


# DECISIONS: Frozen features are brought to length 1, not standardised
def classifier() -> Pipeline:
    """Return what classifies frozen features."""
    return make_pipeline(Normalizer(), LogisticRegression(C=10, max_iter=1000))


def speeds(columns: Sequence[tuple[str, str, bool, int]]) -> dict[str, float]:
    """Return how many images of each column one core takes in a second."""
    networks = {
        heading: tf.function(probes.features_of(name, pretrained), reduce_retracing=True)
        for heading, name, pretrained, _ in columns
    }
    rng = np.random.default_rng(0)
    pixels = {heading: rng.integers(0, 256, (BATCH, side, side, 3)).astype(np.uint8) for heading, *_, side in columns}
    best = dict.fromkeys(networks, float("inf"))
    for number in range(ROUNDS + 1):
        for heading, network in networks.items():
            started = time.process_time()
            network(pixels[heading], training=False)
            if number:  # the first call traces
                best[heading] = min(best[heading], time.process_time() - started)
    return {heading: BATCH / seconds for heading, seconds in best.items()}


def frozen(given: argparse.Namespace) -> list[list[str]]:
    """Return the rows of the table of frozen features."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    columns = [column for column in COLUMNS if column[0] in given.columns]
    rates = speeds(columns)
    rows = [["set", *rates], ["images a second", *(f"{rate:.0f}" for rate in rates.values())]]
    scores: dict[tuple[str, str, str], float] = {}
    measured = probes.measured(given.data, columns, only=given.sets, few=given.sets, classifier=classifier)
    for table, name, heading, score in measured:
        scores[table, name, heading] = score
        sys.stderr.write(f"{name}, {heading}, {table}: {score:.3f}\n")
    for name in given.sets:
        cells = (f"{scores['all', name, heading]:.3f} / {scores['few', name, heading]:.3f}" for heading in rates)
        rows.append([name, *cells])
    return rows


def fine_tuned(given: argparse.Namespace) -> list[list[str]]:
    """Return the rows of the table of fine-tuned backbones."""
    rows = [["set", "unfrozen blocks", *FINE_TUNED]]
    depths = [(blocks, backbone) for blocks in given.blocks for backbone in FINE_TUNED]
    recipes = [Recipe(backbone, blocks, learning_rate=Times(1)) for blocks, backbone in depths]
    plan = Plan("backbones", {}, size=given.size, folds=given.folds)
    for name in given.sets:
        data = (given.data / name).resolve()
        with tempfile.TemporaryDirectory(prefix="backbones-") as text:
            folder = Path(text)
            space = write_space(folder / "space.py", plan, data, recipes)
            search = processes.search(space, data, folder / "cache", folder / "results", "--no-racing")
        accuracies = np.zeros((len(recipes), given.folds))
        for (trial, fold), accuracy in search.accuracies.items():
            accuracies[trial, int(fold.removeprefix("f"))] = accuracy
        sys.stderr.write(f"{name}, {search.seconds:.0f} s:\n{accuracies.round(3)}\n")
        means = accuracies.mean(axis=1).reshape(len(given.blocks), len(FINE_TUNED))
        for blocks, some in zip(given.blocks, means, strict=True):
            rows.append([name, str(blocks), *(f"{mean:.3f}" for mean in some)])
    return rows


def main() -> None:
    """Print the table as Markdown."""
    headings = [column[0] for column in COLUMNS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="The folder of the sets.")
    parser.add_argument("--sets", nargs="+", default=SETS, help="Default: %(default)s.")
    parser.add_argument("--columns", nargs="+", choices=headings, default=headings, help="Of the first table.")
    parser.add_argument("--blocks", nargs="+", type=int, help="The second table: how many blocks are unfrozen.")
    parser.add_argument("--size", type=int, default=128, help="Of its images, in px.")
    parser.add_argument("--folds", type=int, default=3, help="Of its searches.")
    given = parser.parse_args()
    heading, *rows = fine_tuned(given) if given.blocks else frozen(given)
    lines = [f"| {' | '.join(row)} |" for row in (heading, ["---"] * len(heading), *rows)]
    sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
