"""What TensorFlow refuses: operations without a deterministic kernel, and memory that is not there.

The first needs a GPU. Here an operation of a network asks TensorFlow whether kernels must be deterministic, and fails
as such a kernel does, with TensorFlow's own error. That a processor lacks memory is TensorFlow's own finding.
"""

import pytest
from kit.runs import materials, small

from search import Backbone
from search.executors.base import Done, Failed, execute
from search.racing import Job
from search.repertoire.recipe import Recipe
from search.system.tf import is_deterministic
from search.training.trainer import Trainer, determinism_in, set_up, smaller

set_up(2)
REASON = "A deterministic GPU implementation of Stir is not currently available."
NETS = f"""
import keras
import tensorflow as tf
from search.system.tf import is_deterministic

def stir(gradient):
    if is_deterministic():
        raise NotImplementedError("{REASON}")  # TensorFlow makes its UnimplementedError of it
    return gradient

class Stir(keras.layers.Layer):
    def call(self, x):
        @tf.custom_gradient
        def same(x):
            def back(gradient):
                stirred = tf.py_function(stir, [gradient], tf.float32)
                stirred.set_shape(gradient.shape)
                return stirred
            return tf.identity(x), back
        return same(x)

class Hoard(keras.layers.Layer):
    def call(self, x):
        shape = tf.stack([tf.shape(x, tf.int64)[0], 2**40])
        return x + tf.reduce_sum(tf.random.stateless_uniform(shape, (1, 2)))

def network(layer):
    keras.utils.set_random_seed(4)
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(x)
    return keras.Model(inputs, keras.layers.ReLU()(layer()(x)))

def stirring():
    return network(Stir)

def hoarding():
    return network(Hoard)
"""


@pytest.fixture
def stuff(shapes, tmp_path, monkeypatch):
    (tmp_path / "nets").mkdir()
    monkeypatch.chdir(tmp_path / "nets")
    (tmp_path / "nets" / "my_nets.py").write_text(NETS)
    return materials(shapes, tmp_path / "cache", folds=3, train_fractions=(1.0,))


def own(name, **fields):
    return Recipe(Backbone(name, make=f"my_nets:{name}"), None, image_size=32, **fields)


def test_a_run_without_deterministic_kernels_is_done_once_more_without_them(stuff):
    trainer, recipe = Trainer(stuff), own("stirring", epochs=2)
    first, again = (execute(trainer, Job("0000", number, recipe, ("f0", "f1"))) for number in (1, 2))
    for ending in (first, again):
        assert isinstance(ending, Done)
        assert [run.fold for run in ending.result.runs] == ["f0", "f1"]
        assert REASON in ending.result.inexact
        assert len(ending.result.runs[0].curve) == 2
    assert is_deterministic()  # for all others
    other = execute(trainer, Job("0001", 1, small(epochs=1), ("f0",)))
    assert other.result.inexact == ""
    assert [shape.architecture for shape in trainer._inexact] == [recipe.architecture]


def test_what_fails_without_determinism_too_fails_as_it_always_did(stuff):
    trainer, recipe = Trainer(stuff), own("stirring", epochs=1)
    nets = NETS.replace("if is_deterministic():", "if True:")
    (stuff.cache.parent / "nets" / "my_nets.py").write_text(nets)
    recipe = Recipe(Backbone("always", make="my_nets:stirring"), None, image_size=32, epochs=1)
    ending = execute(trainer, Job("0000", 1, recipe, ("f0",)))
    assert isinstance(ending, Failed)
    assert "UnimplementedError" in ending.error
    assert is_deterministic()


def test_a_device_without_memory_for_a_batch_names_the_one_to_try(stuff):
    trainer = Trainer(stuff)
    ending = execute(trainer, Job("0000", 1, own("hoarding", batch_size=8), ("f0",)))
    assert ending.error == "a device ran out of memory with batches of 8 images of 32 px: try batch_size=4 in the space"
    assert isinstance(ending, Failed)
    assert not ending.final  # another program may have had the memory
    assert not trainer._networks
    assert isinstance(execute(trainer, Job("0001", 1, small(epochs=1), ("f0",))), Done)


def test_where_no_batch_is_to_blame_smaller_images_are_what_to_try(stuff):
    frozen = Recipe("MobileNet_0.25", image_size=160)
    assert smaller(frozen) == ("a device ran out of memory with images of 160 px: try a smaller image_size or backbone")
    assert "image_size" in smaller(small(batch_size=1))
    assert "try batch_size=1 in" in smaller(small(batch_size=3))


def test_the_line_that_names_the_operation_is_found_in_a_long_message():
    place = "Detected at node Stir defined at (most recent call last):\n  File 'determinism.py', line 1"
    message = f"Graph execution error:\n\n{place}\n  {REASON}\n\t [[Stir]]"
    assert determinism_in(message) == REASON
    assert determinism_in("Not here.\nNor there.") == "Not here."
    assert determinism_in("") == ""
