"""The floor: the forward and backward passes that no method can avoid, and the time of exactly those.

    python tests/benchmarks/floor.py            # the time of each kind of pass on this machine

Unavoidable are: every version of every image (plain, for validation; each view of each pair of
policy and strength that a trial trains on) once through the deepest frozen part that is asked of
it, whose inner borders come by the way; every training step of the trained part; and the trained
part once over each validation image. No reading, no augmenting, no optimiser, no start-up.

Each kind is timed on random arrays in memory, in one process with all cores and in as many
processes as there are cores with a thread each; whichever passes more images in a second counts.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from processes import environment
from sampling import Run
from works import BACKBONE, EVERYTHING

from search import Recipe
from search.system.machine import cores

BATCH = 32
STEPS = 600  # of heads in one call, so that calling costs nothing
FOLDS_AT_ONCE = 5  # heads are so small that they are best trained together
FROZEN, TRAINED, SCORED = "frozen forward", "trained forward and backward", "trained forward"
Kind = tuple[str, int]  # a pass, and how many blocks are unfrozen


def passes(recipes: Sequence[Recipe], runs: Iterable[Run], images: int, folds: int) -> Counter:
    """Return how many images must pass each kind of part, for these runs of k-fold trials of one backbone."""
    counts: Counter = Counter()
    deepest: dict[tuple[str, float | None, int] | str, int] = {}  # version of an image: fewest unfrozen blocks
    for trial, _ in runs:
        recipe = recipes[trial]
        blocks = recipe.unfrozen_blocks
        assert blocks is not None
        counts[TRAINED, blocks] += recipe.epochs * (images - images // folds)
        counts[SCORED, blocks] += images // folds
        for version in {"plain", *_views(recipe)}:
            deepest[version] = min(blocks, deepest.get(version, blocks))
    for blocks in deepest.values():
        if recipes[0].architecture.has_frozen_part(blocks):
            counts[FROZEN, blocks] += images
    return counts


def _views(recipe: Recipe) -> list[tuple[str, float | None, int]]:
    if recipe.augment.policy == "none":
        return []
    return [(recipe.augment.policy, recipe.augment.strength, view) for view in range(min(recipe.views, recipe.epochs))]


def seconds_of(counts: Counter, rates: dict[Kind, float]) -> float:
    """Return the time of the passes, from how many images pass in a second."""
    return sum(count / rates[kind] for kind, count in counts.items())


def rates_for(kinds: Iterable[Kind], backbone: str, size: int, classes: int, seconds: float) -> dict[Kind, float]:
    """Return how many images pass in a second, for each kind, in whichever setting is faster."""
    processors = cores()
    kinds = sorted(kinds)
    if not kinds:
        return {}
    built = (backbone, size, classes)
    found = [_side_by_side(kinds, built, seconds, *each) for each in {(1, processors), (processors, 1)}]
    return {kind: max(rates[kind] for rates in found) for kind in kinds}


def _side_by_side(
    kinds: list[Kind], built: tuple[str, int, int], seconds: float, processes: int, threads: int
) -> dict[Kind, float]:
    """Return the images a second of equal processes together, which begin each kind at the same moment.

    ``built`` is the backbone, the side of its images in px and the number of classes.
    """
    command = [sys.executable, __file__, "--threads", str(threads)]
    begun = [
        subprocess.Popen(
            command,
            env=environment(),
            text=True,
            bufsize=1,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(processes)
    ]

    def ask(what: Any) -> list[Any]:
        for process in begun:
            process.stdin.write(json.dumps(what) + "\n")
        return [json.loads(process.stdout.readline()) for process in begun]

    rates = {}
    for kind in kinds:
        ask([kind, *built])  # build it
        rates[kind] = sum(ask(seconds))
    for process in begun:
        process.communicate()
    return rates


def serve(threads: int) -> None:
    """Build the kinds that standard input names, and say how many images a second pass in this process."""
    from search.system.tf import tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    for line in sys.stdin:
        asked = json.loads(line)
        if isinstance(asked, list):
            call, images = _prepared(*asked)
            call()
            call()
            told = 0.0
        else:
            told = images / _typical(call, until=time.perf_counter() + asked)
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


def _typical(call: Callable[[], Any], until: float) -> float:
    """Return the median seconds of calls that fill the time."""
    taken: list[float] = []
    while not taken or time.perf_counter() < until:
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def _prepared(kind: Sequence[Any], backbone: str, size: int, classes: int) -> tuple[Callable[[], Any], int]:
    """Return a call that makes passes of a kind, and how many images pass in it."""
    from search.repertoire.shape import Shape
    from search.system.tf import tf
    from search.training.network import build

    what, blocks = kind
    network = build(Shape(backbone, blocks, size, "linear", "adamw"), classes, pretrained=False)
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH, size, size, 3), np.uint8)
    if what == FROZEN:
        batch = tf.constant(pixels)
        return lambda: network.prefix(batch).numpy(), BATCH
    inputs = network.prefix(pixels) if network.prefix else tf.constant(pixels)
    if blocks == 0:
        return _head(inputs, classes, backward=what == TRAINED)
    labels = tf.range(BATCH) % classes
    variables = [variable.value for variable in network.trained]

    @tf.function
    def step() -> Any:
        if what == SCORED:
            return network.logits(inputs, training=False)
        with tf.GradientTape() as tape:
            logits = network.logits(inputs, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        return tape.gradient(loss, variables)

    return lambda: tf.nest.map_structure(lambda tensor: tensor.numpy(), step()), BATCH


def _head(features: Any, classes: int, *, backward: bool) -> tuple[Callable[[], Any], int]:
    """Return a call that makes many passes through the heads of several folds."""
    from search.system.tf import tf

    inputs = tf.stack([features] * FOLDS_AT_ONCE)
    heads = tf.Variable(tf.zeros([FOLDS_AT_ONCE, inputs.shape[-1], classes]))
    labels = tf.stack([tf.range(BATCH) % classes] * FOLDS_AT_ONCE)

    @tf.function
    def steps() -> Any:
        for _ in tf.range(STEPS):
            with tf.GradientTape() as tape:
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, inputs @ heads)
            if backward:
                heads.assign_sub(1e-3 * tape.gradient(losses, heads))
            else:
                heads.assign_sub(1e-9 * heads)
        return losses

    return lambda: steps().numpy(), STEPS * FOLDS_AT_ONCE * BATCH


def main() -> None:
    """Print the rates of every kind, or, as a process of its own, one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--seconds", type=float, default=5.0, help="For each kind and setting.")
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.threads:
        serve(given.threads)
        return
    depths = (0, 1, 2, EVERYTHING)
    kinds = [(what, blocks) for what in (FROZEN, TRAINED, SCORED) for blocks in depths]
    kinds.remove((FROZEN, EVERYTHING))
    for (what, blocks), rate in rates_for(kinds, BACKBONE, given.size, 2, given.seconds).items():
        sys.stdout.write(f"{what}, {blocks} blocks unfrozen: {rate:,.0f} images a second\n")


if __name__ == "__main__":
    main()
