"""Baselines need no search: they are of the backbones at hand, and each of them can be trained."""

from search.repertoire.backbones.table import BACKBONES
from search.repertoire.baselines import BASELINES, HEAD, SCRATCH, WHOLE, baselines
from search.repertoire.recipe import Recipe


def of(names, image_size):
    return baselines([BACKBONES[name] for name in names], image_size)


def test_baselines_are_of_the_first_pretrained_backbone():
    recipes = of(["SmallCNN", "MobileNet_0.25", "MobileNetV2"], 96)
    assert list(recipes) == [HEAD.name, WHOLE.name]
    assert [recipe.backbone for recipe in recipes.values()] == ["MobileNet_0.25"] * 2
    assert recipes[HEAD.name].head_only
    assert recipes[WHOLE.name].unfrozen_blocks == 5
    assert {recipe.image_size for recipe in recipes.values()} == {96}
    assert list(of(["SmallCNN"], 32)) == [SCRATCH.name]


def test_baselines_take_what_the_space_fixes_and_the_first_value_of_what_varies():
    first = Recipe("SmallCNN", None, image_size=32, epochs=4, batch_size=8)
    space = [
        first,
        *(Recipe("MobileNet_0.25", 0, image_size=96, epochs=epochs, batch_size=8) for epochs in (9, 4, 30)),
        Recipe("MobileNetV2", 1, image_size=160, epochs=30, batch_size=8),
    ]
    recipes = baselines([BACKBONES["SmallCNN"], BACKBONES["MobileNet_0.25"]], 224, space).values()
    assert [(one.backbone, one.image_size, one.epochs, one.batch_size) for one in recipes] == [
        ("MobileNet_0.25", 96, 4, 8)
    ] * 2
    head, whole = recipes
    assert (head.unfrozen_blocks, whole.unfrozen_blocks, whole.augment.policy) == (0, 5, "flip_crop")
    (scratch,) = baselines([BACKBONES["SmallCNN"]], 224, [first]).values()
    assert (scratch.image_size, scratch.epochs, scratch.batch_size) == (32, 4, 8)


def test_what_journals_call_them_does_not_change():
    assert [baseline.name for baseline in BASELINES] == [
        "head alone, default settings",
        "everything fine-tuned, default settings",
        "trained from scratch, default settings",
    ]


def test_every_baseline_is_a_possible_recipe_of_every_backbone_that_it_is_for():
    for backbone in BACKBONES.values():
        recipes = baselines([backbone], 64)
        assert recipes
        assert len({recipe.digest for recipe in recipes.values()}) == len(recipes)
        assert all(recipe.settled[0] == backbone.nearest_size(64) for recipe in recipes.values())
    used = {name for backbone in BACKBONES.values() for name in baselines([backbone], 64)}
    assert used == {baseline.name for baseline in BASELINES}
