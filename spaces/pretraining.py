"""What is pretraining worth on a small folder of images? The same network, pretrained and from random weights.

    python -m search run spaces/pretraining.py --no-racing                     # handwritten digits, some five minutes
    python -m search run spaces/pretraining.py --no-racing --data my-images    # your own

Pretrained, the head alone is trained, half of the blocks, or everything; from random weights everything is. Without
racing every trial is trained with all images and with few, so that the two can be compared at both sizes. Learning
rates are three, as each way has its own: unfrozen pretrained blocks want the lowest.
"""

from search import Recipe, Study, handwritten_digits

study = Study(
    data=handwritten_digits,
    objective="balanced_accuracy",
    folds=5,
    train_fractions=(1.0, 0.25),
    oracle="grid",
    max_trials=12,
    baselines=False,                # they are among the trials
    seed=7,
)


def space(hp):
    backbone = hp.Choice("backbone", ["Embedded", "Embedded_scratch"])
    with hp.conditional_scope("backbone", ["Embedded"]):
        unfrozen_blocks = hp.Choice("unfrozen_blocks", [0, 2, 4])  # the head alone, half of the blocks, everything
    return Recipe(
        backbone=backbone,
        unfrozen_blocks=unfrozen_blocks,  # None (everything) from random weights
        learning_rate=hp.Choice("learning_rate", [1e-3, 3e-3, 1e-2]),
        epochs=15,
        # image_size=96,            # for photographs: Embedded was taught at 64 and 96 px
    )
