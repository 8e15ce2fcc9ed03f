"""Tiny networks of KerasHub with random weights, saved as presets."""

import numpy as np

SIDE = 32


def write_preset(folder, kind, seed=0, converter=True):
    """Save a network of a kind with its image converter into ``folder``, and return the network."""
    import keras_hub

    from search.system.tf import keras

    keras.utils.set_random_seed(seed)
    models, layers, shape = keras_hub.models, keras_hub.layers, (SIDE, SIDE, 3)
    deviations = [1 / 58, 1 / 57, 1 / 56]
    make, convert = {
        "vit": (lambda: models.ViTBackbone(shape, 8, 5, 2, 16, 32), layers.ViTImageConverter),
        "dinov2": (
            lambda: models.DINOV2Backbone(
                8, 2, 16, 2, 32, num_register_tokens=1, image_shape=shape, position_embedding_shape=(48, 48, 3)
            ),
            layers.DINOV2ImageConverter,
        ),
        "dinov3": (lambda: models.DINOV3Backbone(8, 2, 16, 2, 32, image_shape=shape), layers.DINOV3ImageConverter),
        "siglip": (
            lambda: models.SigLIPVisionEncoder(8, 16, 2, 2, 32, image_shape=shape),
            layers.SigLIPImageConverter,
        ),
        "resnet": (
            lambda: models.ResNetBackbone([64], [3], [64, 64], [1, 1], [1, 2], "basic_block"),
            layers.ResNetImageConverter,
        ),
    }[kind]
    network = make()
    rng = np.random.default_rng(seed)
    for weight in network.weights:
        if len(weight.shape) == 1 and "variance" not in weight.path:  # those that are drawn as 0 or 1 tell nothing
            weight.assign(weight + rng.normal(0, 0.1, weight.shape).astype("float32"))
    network.save_to_preset(str(folder))
    if converter:
        convert(image_size=(SIDE, SIDE), scale=deviations, offset=[-2.1, -2.0, -1.8]).save_to_preset(str(folder))
    return network
