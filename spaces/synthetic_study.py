"""Do synthetic images help? One good recipe without them, with amounts by each method, and with mere copies.

    python -m search synthesize spaces/synthetic_study.py --data my-images --to my-pool --per-class 480
    python -m search synthesize spaces/synthetic_study.py --data my-images --to my-pool --per-class 480 --method copies
    python -m search run spaces/synthetic_study.py --data my-images --synthetic my-pool --no-racing --no-baselines

The report answers in its chapter "Do synthetic images help?": by method and amount, at each training size, by class and
on hard images. The copies are the control: what is no better than as many copies of real images is not worth its
trouble. Methods that the pool lacks are left out. Without racing every recipe has all runs, so all can be compared.

Images may be added to the real ones, which makes epochs longer, or stand in for some of the real ones, which does not.
"""

from search import Augment, Recipe, Study, Times, amounts_at_hand, at_hand, methods_at_hand

study = Study(
    data="data/my-images",
    objective="balanced_accuracy",
    folds=5,
    train_fractions=(1.0, 0.5, 0.25),
    oracle="grid",
    max_trials=25,
    seed=7,
)

AMOUNTS = [0, 50, 250, 480]
METHODS = ["compose", "interpolate", "gan", "copies"]


def space(hp):
    amount = hp.Choice("amount", amounts_at_hand(AMOUNTS))
    with hp.conditional_scope("amount", AMOUNTS[1:]):
        method = hp.Choice("method", methods_at_hand(METHODS))
        use = hp.Choice("use", ["added", "replacing"])
    return Recipe(
        at_hand(["EfficientNetLite0", "MobileNetV2_0.35", "Embedded"])[0],
        unfrozen_blocks=0,
        augment=Augment("flip_crop"),
        class_weight="balanced",
        learning_rate=Times(1.0),
        synthetic_per_class=amount,
        synthetic_method=method if amount else None,
        synthetic_replacing=0.3 if amount and use == "replacing" else 0.0,
    )
