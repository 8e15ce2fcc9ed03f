"""Eighteen points that make three recipes: each oracle has an order of its own, and training is short."""

from search import Recipe, Study

study = Study(
    data="digits",
    folds=2,
    train_fractions=(1.0,),
    max_trials=20,
    baselines=False,
    image_size=32,
    seed=13,
)


def space(hp):
    rate = hp.Choice("learning_rate", [1e-3, 3e-3, 1e-2])
    kind = hp.Choice("kind", ["plain", "numbered"])
    with hp.conditional_scope("kind", ["numbered"]):
        hp.Int("number", 0, 4)
    assert kind
    return Recipe("SmallCNN", None, learning_rate=rate, epochs=1, batch_size=16)
