"""A space file that is right, and small."""

SPACE = """
from search import Augment, Recipe, Study, at_hand

study = Study("shapes", folds=3, train_fractions=(1.0,), max_trials=1, oracle="random", image_size=32, baselines=False)

def space(hp):
    return Recipe({recipe})
"""
SMALL = '"SmallCNN", None, epochs=1, batch_size=hp.Choice("batch_size", [8, 16])'
