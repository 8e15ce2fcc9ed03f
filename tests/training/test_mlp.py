"""MLP heads: trained together they are what each is alone, what Keras makes of it, and what an unfrozen body trains."""

import dataclasses
import itertools
import json
import subprocess
import sys

import numpy as np
import pytest
from kit.runs import materials, run, small

from search.export.plain import plain_model
from search.oracles.values import label_of
from search.repertoire.heads import ACTIVATIONS, HEADS, Mlp, from_json, kind_of, level_of, settings_of, to_json
from search.repertoire.losses import LOSSES
from search.repertoire.optimizers import OPTIMIZERS
from search.repertoire.rates import first_step
from search.repertoire.recipe import FIELDS, Recipe
from search.repertoire.shape import Shape, shape_of
from search.system.errors import UserError
from search.system.tf import keras, tf
from search.training.batches import PaddedBatches, one_hot
from search.training.heads import mlp
from search.training.heads.linear import drop
from search.training.heads.mlp import Heads, Plan, dropout_seeds
from search.training.network import build, first_weights, head_layers
from search.training.trainer import Trainer, set_up
from search.training.update import Update, groups_of

set_up(2)
FEATURES, CLASSES, STEPS = 24, 3, 20
SIZES = (FEATURES, 10, 6, CLASSES)
SEEDS = (11, 12, 13)
HEAD = Recipe("Embedded", 0, image_size=32, epochs=3, learning_rate=0.01, head="mlp")


def examples(heads, widest=8):
    """Batches of different lengths, with class weights, for each head its own."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(widest - 1, widest + 1, (STEPS, heads))
    there = np.arange(widest) < lengths[..., None]
    labels = rng.integers(0, CLASSES, there.shape).astype(np.int32)
    features = (rng.normal(size=(*there.shape, FEATURES)) + labels[..., None]).astype(np.float32)
    weights = rng.uniform(0.3, 3, there.shape).astype(np.float32) * there
    shares = (there / lengths[..., None]).astype(np.float32)
    return PaddedBatches(features * there[..., None], one_hot(labels, CLASSES), weights, shares)


def only(batches, head):
    return PaddedBatches(*(part[:, head : head + 1] for part in vars(batches).values()))


def rates(heads):
    return np.repeat(np.linspace(0.02, 0.001, STEPS).astype(np.float32)[:, None], heads, axis=1)


def begun(seeds, settings, name="adamw", dropout=0.4, norm=None, ema=0.0, loss=LOSSES["cross_entropy"]):
    drops = tuple(settings.drops(layer) for layer in range(len(SIZES) - 1))
    plan = Plan(SIZES, settings.activation, drops, OPTIMIZERS[name], loss, norm is not None, ema > 0)
    layers, decay = head_layers(settings, FEATURES, CLASSES), 0.01 if OPTIMIZERS[name].decays else 0.0
    return Heads(plan, seeds, [first_weights(layers, seed) for seed in seeds], dropout, decay, 2.0, norm, ema)


@pytest.mark.parametrize("where", ["first", "middle", "both"])
def test_heads_trained_together_equal_heads_trained_one_by_one(where):
    settings, batches = Mlp(SIZES[1:-1], dropout=where), examples(len(SEEDS))
    shown = np.random.default_rng(1).normal(size=(50, FEATURES)).astype(np.float32)
    together = begun(SEEDS, settings)
    sums = together.train(batches, rates(len(SEEDS)))
    for number, seed in enumerate(SEEDS):
        alone = begun([seed], settings)
        np.testing.assert_allclose(alone.train(only(batches, number), rates(1))[0], sums[number], rtol=1e-4)
        np.testing.assert_allclose(alone.head(0).predict(shown), together.head(number).predict(shown), atol=1e-5)
    assert not np.allclose(together.head(0).predict(shown), together.head(1).predict(shown), atol=1e-2)


@pytest.mark.parametrize(
    ("name", "settings", "norm", "ema"),
    [
        *(
            (name, Mlp(SIZES[1:-1], activation), None, 0.0)
            for activation, name in zip(ACTIVATIONS, itertools.cycle(OPTIMIZERS))
        ),
        ("adamw", Mlp(SIZES[1:-1], dropout="middle"), 0.3, 0.9),
        ("adamw", Mlp(SIZES[1:-1], dropout="both"), None, 0.0),
    ],
)
def test_a_step_is_the_same_for_heads_and_for_the_head_of_a_body(name, settings, norm, ema):
    """Layers of Keras with what changes an unfrozen body, one step at a time; the masks alone are ours."""
    batches, seed = examples(1), 5
    head = begun([seed], settings, name, norm=norm, ema=ema)
    head.train(batches, rates(1))
    head.end()
    layers = head_layers(settings, FEATURES, CLASSES)
    first_weights(layers, seed)
    variables = [variable for layer in layers for variable in layer.trainable_variables]
    update = Update(groups_of([], variables, name, False), norm is not None, ema > 0)
    decay = 0.01 if OPTIMIZERS[name].decays else 0.0
    update.reset(Recipe("SmallCNN", None, optimizer=name, weight_decay=decay, clip_norm=norm, ema=ema))
    masks = tf.constant(dropout_seeds([seed], len(layers)), tf.int64)
    for step in range(STEPS):
        there = batches.shares[step, 0] > 0
        with tf.GradientTape() as tape:
            x = tf.constant(batches.features[step])
            for number, layer in enumerate(layers):
                masked, scale = drop(x, masks[number], step, 0.4 if settings.drops(number) else 0.0)
                x = layer(masked[0] * scale)[None]
            losses = tf.nn.softmax_cross_entropy_with_logits(batches.targets[step, 0], x[0]) * batches.weights[step, 0]
            loss = tf.reduce_mean(losses[there])
        update.step(tape.gradient(loss, [variable.value for variable in variables]), rates(1)[step, 0])
    update.end()
    for ours, theirs in zip(head.head(0).dense, layers, strict=True):
        np.testing.assert_allclose(ours.kernel, theirs.kernel.numpy(), atol=2e-4)
        np.testing.assert_allclose(ours.bias, theirs.bias.numpy(), atol=2e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_steps_lower_the_loss_of_the_recipe(name):
    batches = examples(1)
    standing, head = (begun([5], Mlp(SIZES[1:-1]), dropout=0.0, loss=LOSSES[name]) for _ in range(2))
    losses = [
        float(one.train(batches, rates(1) * factor)[0, 0]) for one, factor in ((standing, 0), (head, 1), (head, 1))
    ]
    assert losses == sorted(set(losses), reverse=True)


@pytest.fixture
def trainer(shapes, tmp_path):
    return Trainer(materials(shapes, tmp_path / "cache", folds=3, train_fractions=(1.0,), weights=["Embedded"]))


def test_heads_of_many_weights_train_some_at_a_time_and_come_to_the_same(trainer, monkeypatch):
    together = run(trainer, HEAD, "f0", "f1", "f2")
    sizes = []
    monkeypatch.setattr(mlp, "STATE_BYTES", 1)
    fit = mlp._fit
    monkeypatch.setattr(mlp, "_fit", lambda runs, plan: sizes.append(len(runs.runs)) or fit(runs, plan))
    for one, other in zip(together, run(trainer, HEAD, "f0", "f1", "f2"), strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)
        np.testing.assert_allclose(one.curve, other.curve, atol=1e-4)
    assert sum(sizes) == 3
    assert max(sizes) == 1


BODIES = [small(head="mlp", epochs=3, dropout=0.3), Recipe("Embedded", 1, image_size=32, epochs=2, head=Mlp((8,)))]


@pytest.mark.parametrize("recipe", [HEAD, *BODIES], ids=["head", "scratch", "body"])
def test_a_run_gives_the_same_again_and_its_model_predicts_as_it_did(trainer, recipe, tmp_path):
    (result,) = run(trainer, recipe, "f0")
    data = trainer.materials
    trained = Trainer(data).train(recipe, data.folds["f0"], lambda: None)
    np.testing.assert_array_equal(trained.run.probabilities, result.probabilities)
    model = plain_model(shape_of(recipe), trained.body, trained.run.head, recipe.architecture.pretrained)
    model.save(tmp_path / "model.keras")
    (decoded,) = (tmp_path / "cache").glob("decoded/*/pixels.npy")
    pixels = np.load(decoded)[data.folds["f0"].validation]
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict_on_batch(pixels), result.probabilities, atol=1e-5)


ELSEWHERE = """
import sys; from kit.runs import materials, run; from search.repertoire.recipe import Recipe
from search.training.trainer import Trainer, set_up
set_up(2)
trainer = Trainer(materials(sys.argv[1], sys.argv[2], folds=3, train_fractions=(1.0,), weights=["Embedded"]))
recipe = Recipe("Embedded", 0, image_size=32, epochs=3, learning_rate=0.01, head="mlp")
print(run(trainer, recipe, "f0")[0].probabilities.tolist())
"""


def test_another_process_gives_the_same(trainer, shapes, tmp_path):
    (result,) = run(trainer, HEAD, "f0")
    command = [sys.executable, "-c", ELSEWHERE, str(shapes), str(tmp_path / "cache")]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)})
    np.testing.assert_array_equal(np.float32(json.loads(told.stdout.splitlines()[-1])), result.probabilities)


def test_a_body_may_start_from_a_fitted_mlp(trainer):
    recipe = Recipe("Embedded", 1, image_size=32, epochs=1, head="mlp", head_start="fitted", learning_rate=1e-9)
    assert first_step(recipe).head == "mlp"
    fold = trainer.materials.folds["f0"]
    trained = trainer.train(recipe, fold, lambda: None)
    start = trainer.train(first_step(recipe), fold, lambda: None)
    for ours, theirs in zip(trained.run.head.dense, start.run.head.dense, strict=True):
        assert ours.activation == theirs.activation
        np.testing.assert_allclose(ours.kernel, theirs.kernel, atol=1e-6)


@pytest.mark.parametrize("where", ["first", "middle", "both"])
def test_dropout_of_a_body_acts_where_the_head_says(where):
    settings = Mlp((40, 30), "relu", where)
    network = build(Shape("SmallCNN", 4, 32, settings, "adamw"), CLASSES, pretrained=False)
    assert [dropout is not None for dropout in network.dropouts] == [settings.drops(layer) for layer in range(3)]
    network.reset(small(head=settings, dropout=0.5), 1)
    acting = [dropout for dropout in network.dropouts if dropout]
    shown = [dropout(np.ones((4, 64), np.float32), training=True).numpy() for dropout in acting]
    assert all(0.3 < (values == 0).mean() < 0.7 for values in shown)
    assert not any(np.array_equal(one, other) for one, other in itertools.combinations(shown, 2))


def test_heads_and_bodies_begin_at_the_same_values_of_the_seed_and_not_at_zero():
    network = build(Shape("SmallCNN", 4, 32, "mlp", "adamw"), CLASSES, pretrained=False)
    features = network.head[0].kernel.shape[0]
    begun = {}
    for seed in (1, 2):
        network.reset(small(head="mlp"), seed)
        begun[seed] = network.head_weights
        for ours, theirs in zip(first_weights(head_layers("mlp", features, CLASSES), seed), begun[seed], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    kernel, bias, *_ = begun[1]
    assert not bias.any()
    assert np.abs(kernel).max() == pytest.approx(np.sqrt(6 / sum(kernel.shape)), rel=0.01)  # Glorot & Bengio
    assert not np.array_equal(begun[1][0], begun[2][0])


@pytest.mark.parametrize(
    ("features", "head", "classes", "parameters"),
    [
        (2048, "linear", 5, 10_245),  # of ResNet50
        (512, Mlp((4096, 4096)), 5, 512 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 5 + 5),  # of VGG16
        (512, Mlp((128,)), 2, 512 * 128 + 128 + 128 * 2 + 2),
    ],
)
def test_a_head_trains_as_many_parameters_as_its_layers_have(features, head, classes, parameters):
    layers = head_layers(head, features, classes)
    assert sum(int(np.prod(value.shape)) for layer in layers for value in layer.trainable_variables) == parameters


def test_settings_are_kept_and_the_usual_ones_are_the_name():
    wanted = Mlp([512, 64], activation="tanh", dropout="middle")
    recipe = Recipe("SmallCNN", None, head=wanted)
    assert recipe.head == Mlp((512, 64), "tanh", "middle")
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert level_of(recipe.head) == "mlp widths 512-64, activation tanh, dropout middle"
    assert "mlp widths 512-64, activation tanh, dropout middle head" in recipe.summary()
    assert Recipe("SmallCNN", None, head=Mlp(256)) == Recipe("SmallCNN", None, head="mlp")
    assert Recipe("SmallCNN", None, head=Mlp()).to_dict()["head"] == "mlp"
    assert settings_of("mlp") == Mlp()
    assert kind_of(wanted) is HEADS["mlp"]
    assert from_json(to_json(wanted)) == wanted
    assert FIELDS["head"].cell_of(wanted) == level_of(wanted)
    assert label_of(wanted) == level_of(wanted)
    digests = {dataclasses.replace(recipe, head=head).digest for head in ("mlp", wanted, Mlp(512), "linear")}
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"widths": ()}, r"Mlp widths=\(\) must be 1 to 8 numbers of units"),
        ({"widths": (0,)}, "Mlp widths=0 must be a whole number"),
        ({"activation": "rely"}, "Mlp activation='rely' is not known. Did you mean 'relu'?"),
        ({"dropout": "frist"}, "Mlp dropout='frist' is not known. Did you mean 'first'?"),
    ],
)
def test_wrong_settings_are_refused_by_their_name(settings, words):
    with pytest.raises(UserError, match=words):
        Mlp(**settings)
