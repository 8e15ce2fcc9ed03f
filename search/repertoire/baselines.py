"""Baselines: what people do without a search, trained on the same folds, so that its worth can be said."""

from collections.abc import Iterable

from search.repertoire.catalog import BACKBONES
from search.repertoire.recipe import Augment, Recipe

HEAD, WHOLE = "head alone, default settings", "everything fine-tuned, default settings"
SCRATCH = "trained from scratch, default settings"


def baselines(backbones: Iterable[str], image_size: int) -> dict[str, Recipe]:
    """Return recipes by what they are called: of the first pretrained backbone, the head alone and all of it.

    The second is like BiT-HyperRule (Kolesnikov et al. 2020) in kind: everything trains for a fixed
    time, with a decaying learning rate, flips and crops, no dropout and no other choice. It uses AdamW,
    and is shorter: 15 epochs, where the rule takes 500 steps of 512 images. Without a pretrained
    backbone there is one from scratch.
    """
    names = list(backbones)
    pretrained = next((name for name in names if BACKBONES[name].pretrained), None)
    flips = Augment("flip_crop")
    if pretrained is None:
        scratch = Recipe(names[0], None, augment=flips, learning_rate=3e-3, image_size=image_size)
        return {SCRATCH: scratch}
    whole = Recipe(pretrained, None, dropout=0.0, augment=flips, learning_rate=5e-4, image_size=image_size)
    return {HEAD: Recipe(pretrained, 0, image_size=image_size), WHOLE: whole}
