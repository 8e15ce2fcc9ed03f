"""How many images a second a backbone sees on this machine, measured."""

import time

from search.repertoire.backbones.backbone import Backbone

IMAGES = 8  # in a batch
SECONDS = 1.0


def images_per_second(backbone: Backbone, size: int, seconds: float = SECONDS) -> float:
    """Return how many images of ``size`` px a second the frozen network sees, as a worker with all threads runs it.

    Weights do not matter for that: they are random ones. The fastest batch of those in about ``seconds`` counts.
    """
    import numpy as np

    from search.repertoire.backbones.construction import construct
    from search.system.tf import keras, tf
    from search.training.folding import folded

    network = folded(construct(backbone, pretrained=False))

    @tf.function(input_signature=[tf.TensorSpec([None, size, size, 3], tf.uint8)])  # type: ignore[untyped-decorator]
    def features(pixels: tf.Tensor) -> tf.Tensor:
        return network(backbone.scaled(pixels), training=False)

    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, size, size, 3), dtype=np.uint8)
    features(pixels)
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        features(pixels).numpy()
        best = min(best, time.perf_counter() - start)
    keras.backend.clear_session()
    return IMAGES / best
