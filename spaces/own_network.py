"""Search a network of your own: the function builds and compiles it, as for Keras Tuner, and says how to fit it.

    python -m search run spaces/own_network.py      # handwritten digits, some minutes

For your own images, change `data` and `CLASSES`. Each fold builds the network anew and calls Keras' own `fit`.
"""

import keras

from search import Augment, Fit, Study, handwritten_digits

study = Study(
    data=handwritten_digits,
    folds=3,
    train_fractions=(1.0, 0.5),
    max_trials=8,
    seed=7,
)

CLASSES = 10


def space(hp):
    layers = [keras.Input((64, 64, 3)), keras.layers.Rescaling(1 / 255)]    # pixels come as 0 to 255
    for block in range(hp.Int("blocks", 2, 3)):
        filters = hp.Choice("filters", [16, 32]) * 2**block
        layers += [
            keras.layers.Conv2D(filters, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(),
        ]
    model = keras.Sequential(
        [
            *layers,
            keras.layers.GlobalMaxPooling2D(),
            keras.layers.Dropout(hp.Choice("dropout", [0.0, 0.3])),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    rate = hp.Float("learning_rate", 2e-3, 2e-2, sampling="log")
    model.compile(keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, Fit(epochs=25, batch_size=16, augment=Augment(hp.Choice("augment", ["none", "flip_crop"])))
