"""What small backbones are worth on photographs, and what they cost: the table in search/DECISIONS.md.

    PYTHONPATH=tests/repertoire KERAS_HOME=../shared/keras python tests/benchmarks/backbones.py ../shared/data

Accuracy of logistic regression (C = 10) on frozen features of length 1, on the images that
tests/repertoire/probes.py takes: five folds / 20 images of each class. Speed is that of a forward pass
of 32 images on one core, in seconds of the processor, the best of some rounds in which all take turns.
It takes some minutes of two quiet cores.
"""

import sys
import time
from pathlib import Path

import numpy as np
import probes
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer

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
BATCH, ROUNDS = 32, 5


# DECISIONS: Frozen features are brought to length 1, not standardised
def classifier() -> Pipeline:
    """Return what classifies frozen features."""
    return make_pipeline(Normalizer(), LogisticRegression(C=10, max_iter=1000))


def speeds() -> dict[str, float]:
    """Return how many images of each column one core takes in a second."""
    networks = {
        heading: tf.function(probes.features_of(name, pretrained), reduce_retracing=True)
        for heading, name, pretrained, _ in COLUMNS
    }
    rng = np.random.default_rng(0)
    pixels = {heading: rng.integers(0, 256, (BATCH, side, side, 3)).astype(np.uint8) for heading, *_, side in COLUMNS}
    best = dict.fromkeys(networks, float("inf"))
    for number in range(ROUNDS + 1):
        for heading, network in networks.items():
            started = time.process_time()
            network(pixels[heading], training=False)
            if number:  # the first call traces
                best[heading] = min(best[heading], time.process_time() - started)
    return {heading: BATCH / seconds for heading, seconds in best.items()}


def main() -> None:
    """Print the table as Markdown."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    headings = [heading for heading, *_ in COLUMNS]
    lines = [f"| set | {' | '.join(headings)} |", f"|{'---|' * (len(headings) + 1)}"]
    rates = speeds()
    lines += [f"| images a second | {' | '.join(f'{rates[heading]:.0f}' for heading in headings)} |"]
    scores: dict[tuple[str, str, str], float] = {}
    measured = probes.measured(Path(sys.argv[1]), COLUMNS, only=SETS, few=SETS, classifier=classifier)
    for table, name, heading, score in measured:
        scores[table, name, heading] = score
    for name in SETS:
        cells = [f"{scores['all', name, heading]:.3f} / {scores['few', name, heading]:.3f}" for heading in headings]
        lines += [f"| {name} | {' | '.join(cells)} |"]
    sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
