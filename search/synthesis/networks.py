"""The networks of a conditional GAN for images of 64 px, what one step changes in them, and DiffAugment."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from search.system.tf import keras, silenced, tf

SIDE, LATENT = 64, 64
WIDTHS = (128, 96, 48, 24)  # of the generator at 8, 16, 32 and 64 px; the discriminator has them in reverse
STYLE, FIRST, GROUPS = 96, 4, 8
RATE, BETA_1, BETA_2 = 4e-4, 0.0, 0.99
MEMORY, YOUNG = 0.998, 10.0  # of the average of the generator: of each step, and less in the first ones
SHIFT, CUT = 1 / 8, 1 / 2  # of the side: DiffAugment's translation and cutout
GREY, SPAN = 127.5, 255  # uint8 as numbers from -1 to 1


class Networks:
    """A generator, its average over the steps, and a discriminator, with their optimisers.

    Every random number of a step comes from the seed and the number of the step.
    """

    side, latent = SIDE, LATENT
    key = (SIDE, LATENT, *WIDTHS, STYLE, RATE, BETA_1, BETA_2, MEMORY)

    def __init__(self, classes: int, seed: int) -> None:
        """Begin with random weights for this number of classes."""
        with silenced():
            tf.config.experimental.enable_op_determinism()
            tf.zeros(())  # the first operation complains where there is no GPU
        keras.utils.set_random_seed(seed)
        self._seed = seed
        self._generator, self._average = generator(classes), generator(classes)
        self._average.set_weights(self._generator.get_weights())
        self._discriminator = discriminator(classes)
        self._optimizers = [keras.optimizers.Adam(RATE, beta_1=BETA_1, beta_2=BETA_2) for _ in range(2)]
        for optimizer, model in zip(self._optimizers, (self._discriminator, self._generator), strict=True):
            optimizer.build(model.trainable_variables)
        self._compiled = tf.function(self._learn)
        shapes = tf.TensorSpec((None, LATENT)), tf.TensorSpec((None,), tf.int32)
        self._draw = tf.function(self._images, input_signature=shapes)

    @property
    def variables(self) -> list[Any]:
        """All that a step changes, in an order that stays."""
        models = (self._generator, self._average, self._discriminator)
        return [variable for part in (*models, *self._optimizers) for variable in part.variables]

    def learn(self, images: np.ndarray, labels: np.ndarray, step: int) -> np.ndarray:
        """Make one step with a batch (n, 64, 64, 3) uint8; return both losses, (2,)."""
        real = tf.constant(images.astype(np.float32) / GREY - 1)
        with silenced():  # of a fusion of layers that TensorFlow tries in vain
            return self._compiled(real, tf.constant(labels, tf.int32), tf.constant(step)).numpy()

    def images(self, latents: np.ndarray, labels: Sequence[int]) -> np.ndarray:
        """Return images of the averaged generator, (n, 64, 64, 3) uint8."""
        drawn = self._draw(tf.constant(latents, tf.float32), tf.constant(labels, tf.int32)).numpy()
        return np.rint((drawn + 1) * GREY).clip(0, SPAN).astype(np.uint8)

    def _images(self, latents: Any, labels: Any) -> Any:
        return self._average([latents, labels], training=False)

    def _learn(self, real: Any, labels: Any, step: Any) -> Any:
        def seeds(number: int) -> Any:
            return tf.random.experimental.stateless_fold_in(tf.stack([self._seed, number]), step)

        first, second = (tf.random.stateless_normal((len(labels), LATENT), seeds(number)) for number in (0, 1))
        with tf.GradientTape() as tape:
            fake = self._generator([first, labels], training=True)
            both = diffaugment(tf.concat([real, fake], 0), seeds(2))
            scores = self._discriminator([both, tf.concat([labels, labels], 0)], training=True)
            of_real, of_fake = tf.split(scores, 2)
            caught = tf.reduce_mean(tf.nn.relu(1 - of_real)) + tf.reduce_mean(tf.nn.relu(1 + of_fake))
        self._apply(tape, caught, self._discriminator, self._optimizers[0])
        with tf.GradientTape() as tape:
            fake = diffaugment(self._generator([second, labels], training=True), seeds(3))
            fooled = -tf.reduce_mean(self._discriminator([fake, labels], training=False))
        self._apply(tape, fooled, self._generator, self._optimizers[1])
        age = tf.cast(step, tf.float32)
        memory = tf.minimum(MEMORY, (1 + age) / (YOUNG + age))
        for slow, fast in zip(self._average.variables, self._generator.variables, strict=True):
            slow.assign(memory * slow + (1 - memory) * fast)
        return tf.stack([caught, fooled])

    def _apply(self, tape: Any, loss: Any, model: Any, optimizer: Any) -> None:
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))


def generator(classes: int) -> keras.Model:
    """Return a network from latents (n, 64) and labels (n,) to images (n, 64, 64, 3) in [-1, 1].

    Latent and class set scale and shift of each normalised layer (as in BigGAN, Brock, Donahue and Simonyan 2019).
    """
    layers = keras.layers
    latent, label = keras.Input((LATENT,)), keras.Input((), dtype="int32")
    style = layers.Concatenate()([latent, layers.Embedding(classes, LATENT, "random_normal")(label)])
    style = layers.Dense(STYLE, "leaky_relu")(style)
    styles = _styles(style)
    x = layers.Dense(FIRST * FIRST * WIDTHS[0])(latent)
    x = layers.Reshape((FIRST, FIRST, WIDTHS[0]))(x)
    for width in WIDTHS:
        x = layers.UpSampling2D()(_styled(x, next(styles)))
        x = layers.Conv2D(width, 3, padding="same", kernel_initializer="orthogonal")(x)
    x = _styled(x, next(styles))
    x = layers.Conv2D(3, 3, padding="same", activation="tanh", kernel_initializer="orthogonal")(x)
    return keras.Model([latent, label], x)


def _styles(style: Any) -> Iterator[tuple[Any, Any]]:
    """Yield scale and shift for each normalised layer.

    They come from one layer: gradients of several would be added up in an order that changes.
    """
    widths = [width for width in (WIDTHS[0], *WIDTHS) for _ in range(2)]
    whole = keras.layers.Dense(sum(widths))(style)
    parts = keras.ops.split(whole, np.cumsum(widths)[:-1].tolist(), axis=-1)
    for scale, shift in zip(parts[::2], parts[1::2], strict=True):
        yield scale[:, None, None], shift[:, None, None]


def _styled(x: Any, style: tuple[Any, Any]) -> Any:
    scale, shift = style
    normed = keras.layers.GroupNormalization(GROUPS, center=False, scale=False)(x)
    return keras.layers.LeakyReLU(0.2)(normed * (1 + scale) + shift)


def discriminator(classes: int) -> keras.Model:
    """Return a network from images (n, 64, 64, 3) and labels (n,) to scores (n, 1), higher for real ones."""
    layers = keras.layers

    def normed(layer: Any, inputs: Any) -> Any:
        return layers.SpectralNormalization(layer)(inputs)

    image, label = keras.Input((SIDE, SIDE, 3)), keras.Input((), dtype="int32")
    x = image
    for width in reversed(WIDTHS):
        x = normed(layers.Conv2D(width, 4, 2, "same", kernel_initializer="orthogonal"), x)
        x = layers.LeakyReLU(0.2)(x)
    x = normed(layers.Conv2D(WIDTHS[0], 3, 1, "same", kernel_initializer="orthogonal"), x)
    x = layers.GlobalAveragePooling2D()(layers.LeakyReLU(0.2)(x))
    classwise = normed(layers.Dense(WIDTHS[0], use_bias=False), keras.ops.one_hot(label, classes))
    return keras.Model([image, label], normed(layers.Dense(1), x) + layers.Dot(1)([x, classwise]))


def diffaugment(images: Any, seed: Any) -> Any:
    """Return images (n, side, side, 3) in [-1, 1] with other colours, moved, and with a square cut out; each its own.

    Gradients pass through it to the generator. ``seed`` (2,) fixes all draws.
    """
    count, side = tf.shape(images)[0], images.shape[1]

    def uniform(number: int, *shape: Any) -> Any:
        seeds = tf.random.experimental.stateless_fold_in(seed, number)
        return tf.random.stateless_uniform((count, *shape), seeds)

    x = images + uniform(0, 1, 1, 1) - 0.5
    grey = tf.reduce_mean(x, -1, keepdims=True)
    x = grey + (x - grey) * uniform(1, 1, 1, 1) * 2
    mean = tf.reduce_mean(x, (1, 2, 3), keepdims=True)
    x = mean + (x - mean) * (0.5 + uniform(2, 1, 1, 1))
    down, right = (_shifts(uniform(number), side) for number in (3, 4))
    x = tf.einsum("nij,njkc->nikc", down, x)  # products with 0 and 1: their gradients come in a fixed order
    x = tf.einsum("nkl,nilc->nikc", right, x)
    rows, columns = (_cut(uniform(number), side) for number in (5, 6))
    return x * (1 - rows[:, :, None, None] * columns[:, None, :, None])


def _shifts(draws: Any, side: int) -> Any:
    """Return matrices that move rows by up to an eighth of the side; nothing (0, grey) comes in."""
    reach = round(side * SHIFT)
    shift = tf.cast(tf.floor(draws * (2 * reach + 1)), tf.int32) - reach
    at = tf.range(side)
    return tf.cast(at[None, :, None] + shift[:, None, None] == at[None, None, :], tf.float32)


def _cut(draws: Any, side: int) -> Any:
    """Return which places of a line are cut out, (n, side): half of the side, around a place that is drawn."""
    middle = tf.floor(draws * (side + 1))
    distance = tf.abs(tf.cast(tf.range(side), tf.float32)[None] + 0.5 - middle[:, None])
    return tf.cast(distance < side * CUT / 2, tf.float32)
