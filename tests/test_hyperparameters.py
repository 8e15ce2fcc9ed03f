"""The hp of spaces: what Keras Tuner refuses works or is told with the way out, and nothing else is searched."""

import json
import re

import numpy as np
import pytest

from search.journal.history import History
from search.oracles import (
    ORACLES,
    HyperParameters,
    ask,
    at_values,
    points,
    random_points,
    register,
    retell,
    tell,
    trials_of,
)
from search.repertoire.augmentation import Augment
from search.repertoire.recipe import Recipe
from search.repertoire.synthetic import Synthetic
from search.system.errors import UserError

AUGMENTS = [Augment("none"), Augment("flip_crop"), Augment("color", 0.3)]
FIXED = Recipe("SmallCNN", None)


def refusal(space, **how):
    with pytest.raises(UserError) as error:
        register(space, **how)
    return str(error.value)


def drawn(space, number=40):
    """What a space returns at random points."""
    return [space(point) for point in random_points(register(space), number, seed=1)]


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0, 2, None], ["0", "2", "None"]),
        ([None, "color"], ["None", "color"]),
        ([0, 8, 0.5], ["0", "8", "0.5"]),
        ([True, None], ["True", "None"]),
        (AUGMENTS, ["none", "flip_crop", "color 0.3"]),
        ([Synthetic(), Synthetic(count=8), Synthetic(by_class={"cat": 3})], ["0", "8", '{"cat":3}']),
        ([(96, 10), (160, 5)], ["[96,10]", "[160,5]"]),
        ([{"policy": "color"}, {"policy": "none"}], ['{"policy":"color"}', '{"policy":"none"}']),
        ([(Augment("none"), 1e-3), (Augment("color"), 1e-4)], ['["none",0.001]', '["color 0.5",0.0001]']),
    ],
    ids=lambda part: str(part[-1])[:20],
)
def test_a_choice_among_anything_gives_its_values_and_journals_texts(values, labels):
    def space(hp):
        return hp.Choice("x", values)

    declared = register(space)
    assert [point["x"] for point in points(declared)] == labels
    assert [space(at_values(declared, json.loads(json.dumps({"x": label})))) for label in labels] == values
    found = drawn(space)
    assert all(value in values for value in found)
    assert len({str(value) for value in found}) == len(values)


def test_a_choice_of_whole_recipes_is_one():
    recipes = [FIXED, Recipe("Embedded", 1)]
    assert set(drawn(lambda hp: hp.Choice("recipe", recipes))) == set(recipes)


def test_a_choice_that_keras_tuner_takes_is_declared_as_it_does():
    """So that searches keep their identity."""
    from keras_tuner import HyperParameters as KerasTuners

    def space(hp):
        hp.Choice("a", ["x", "y"])
        hp.Choice("b", [1, 2], default=2)
        with hp.conditional_scope("a", ["x"]):
            hp.Float("c", 0.0, 0.4, step=0.1)
        hp.Int("d", 1, 9, step=2)
        hp.Fixed("e", "z")
        hp.Boolean("f")

    theirs = KerasTuners()
    space(theirs)
    assert register(space).get_config() == theirs.get_config()


def test_numbers_of_numpy_are_numbers():
    declared = register(lambda hp: hp.Choice("x", np.array([1, 2])))
    assert [point["x"] for point in points(declared)] == [1, 2]
    assert [type(point["x"]) for point in points(declared)] == [int, int]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([print, None], "cannot be written into a journal. Give the values names: VALUES = {"),
        ([object(), 1], "cannot be written into a journal"),
        ([None, "None"], "the values None and 'None', which a journal cannot tell apart"),
        ([8, Synthetic(count=8)], "which a journal cannot tell apart"),
        ([], "hp.Choice('x', []) has no values"),
        ("color", "has a text in place of a list. Write ['color']"),
        ({"a", "b"}, "has a set, which has no order"),
        (3, "hp.Choice('x', 3) must have a list of values, such as [3]"),
    ],
)
def test_a_choice_that_no_journal_can_hold_is_refused_with_the_way_out(values, message):
    assert message in refusal(lambda hp: hp.Choice("x", values))


def test_a_default_and_a_scope_may_be_objects():
    def space(hp):
        policy = hp.Choice("policy", AUGMENTS, default=AUGMENTS[1])
        with hp.conditional_scope("policy", [AUGMENTS[2]]):
            rate = hp.Choice("rate", [1, None, 3])
        return policy, rate

    declared = register(space)
    assert space(declared.copy()) == (AUGMENTS[1], None)
    assert len(list(points(declared))) == 5
    at = at_values(declared, {"policy": "color 0.3", "rate": "3"})
    assert (at.get("policy"), at.get("rate"), at["rate"]) == (AUGMENTS[2], 3, 3)


@pytest.mark.parametrize("kind", ORACLES)
def test_every_oracle_proposes_labels_fixed_values_and_nested_scopes_and_goes_on(kind):
    def space(hp):
        hp.Fixed("backbone", "Embedded")
        with hp.conditional_scope("backbone", ["Embedded", "MobileNet"]):
            hp.Choice("depth", [0, 2, None])
        with hp.conditional_scope("depth", [2, None]):
            hp.Choice("augment", AUGMENTS)
            with hp.conditional_scope("depth", [None]):
                hp.Int("blocks", 0, 1)

    declared = register(space)
    whole = set()
    oracle = retell(kind, declared, 7, History())
    for number in range(20):
        values = ask(oracle, f"{number:04d}")
        if values is None:
            break
        tell(oracle, f"{number:04d}", number / 20)
        whole.add(json.dumps(values, sort_keys=True))
    assert whole == {json.dumps(point, sort_keys=True) for point in points(declared)}
    assert len(whole) == 1 + 3 + 3 * 2


def test_nested_scopes_on_one_parent_vary_where_both_are_open():
    def space(hp):
        depth = hp.Int("depth", 0, 2)
        with hp.conditional_scope("depth", [1, 2]):
            policy = hp.Choice("policy", ["none", "color"])
            with hp.conditional_scope("depth", [2]):
                strength = hp.Choice("strength", [0.3, 0.7])
        return depth, policy, strength

    found = set(drawn(space, 100))
    assert found == {(0, None, None)} | {(1, p, None) for p in ("none", "color")} | {
        (2, p, s) for p in ("none", "color") for s in (0.3, 0.7)
    }


def bounds(hp):
    epochs = hp.Int("epochs", 2, 6)
    hp.Int("batch_size", 4 * epochs, 4 * epochs + 8)


def length(hp):
    hp.Choice("rate", [1e-3, 1e-4][: hp.Int("many", 1, 2)])


def kind_of_number(hp):
    step = 2 if hp.Boolean("coarse") else 1
    hp.Int("blocks", 0, 4, step=step)


def sampling(hp):
    hp.Float("rate", 1e-4, 1e-2, sampling="log" if hp.Boolean("log") else "linear")


def scope(hp):
    depth = hp.Int("depth", 0, 2)
    with hp.conditional_scope("depth", [depth]):
        hp.Float("rate", 1e-4, 1e-2)


@pytest.mark.parametrize("space", [bounds, length, kind_of_number, sampling])
def test_values_that_depend_on_another_hyperparameter_are_refused(space):
    message = refusal(space)
    assert "is declared with other values at other points of the space" in message
    assert 'declare a factor, such as hp.Int("factor", 1, 4), and multiply' in message
    register(space, strict=False)  # as an older search began


def test_the_values_of_both_points_are_told():
    message = refusal(bounds)
    assert "'batch_size'" in message
    assert "it is a number from 8 to 16 at the first point, and a number from" in message


def test_bounds_of_many_digits_are_told_in_few():
    def rates(hp):
        low = hp.Float("low", 1e-4, 1e-3, sampling="log")
        return Recipe("SmallCNN", unfrozen_blocks=None, learning_rate=hp.Float("rate", low, 0.5))

    message = refusal(rates)
    assert re.search(
        r"it is a number from 0\.0001 to 0.5 at the first point, and a number from 0\.000\d{1,4} to 0.5 at", message
    )


def declared(declare):
    return lambda hp: declare(hp) and Recipe("SmallCNN", unfrozen_blocks=None)


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (
            lambda hp: hp.Float("dropout", 0.5, 0.1),
            "dropout",
        ),
        (
            lambda hp: hp.Int("batch", 32, 8, step=8),
            "batch",
        ),
        (
            lambda hp: hp.get("nothing"),
            "hp.get('nothing'): the space declares no hyperparameter of this name before it.",
        ),
        (lambda hp: hp["nothing"], "hp.get('nothing'): the space declares no hyperparameter of this name before it."),
        (lambda hp: hp.Uniform("rate", 0, 1), "hp has no 'Uniform'. Here it is: hp.Float(NAME, LOW, HIGH)."),
        (lambda hp: hp.suggest_categorical("a", [1]), "Here it is: hp.Choice(NAME, VALUES)."),
        (lambda _: Recipe("SmallCNN", dropout=[0.1, 0.2]), "write dropout=hp.Choice('dropout', [0.1, 0.2])."),
    ],
)
def test_mistakes_in_spaces_are_refused_with_the_way_out(declare, message):
    assert message in refusal(declared(declare))


def test_names_of_hyperparameters_can_be_asked_for():
    hp = HyperParameters()
    hp.Choice("depth", [1, 2])
    assert "depth" in hp
    assert "width" not in hp
    assert not hasattr(hp, "width")


def test_a_scope_that_depends_on_its_parent_is_refused():
    assert "'rate' stands under other scopes at other points" in refusal(scope)


@pytest.mark.parametrize(
    ("parent", "opens", "message"),
    [
        (
            ["none", "color"],
            "color, randaugment",
            "'color, randaugment' is one text: give the values as a list, as in [",
        ),
        (
            ["none", "color"],
            ["colour"],
            "no value opens this scope, so that what stands in it would never vary. Did you",
        ),
        (
            ["none", "color"],
            ["none", "colour"],
            "'colour' is none of its values, and opens nothing. Did you mean 'color'?",
        ),
        ([1, 2], ["1"], "'1' is a text: write 1. 'x' is one of [1, 2]"),
        ([1, 2], [3, 4], "no value opens this scope"),
        ([1, 2], [], "names no value"),
        (["1", "2"], [1], "1 is a number: write '1'"),
        ([0, None], ["all"], "no value opens this scope"),
        (
            (0, 4),
            [5],
            "no value opens this scope, so that what stands in it would never vary. 'x' is a number from 0 to 4.",
        ),
        (
            (0.0, 1.0),
            [0.5],
            "is a number from 0 to 1. No single one of its values can open a scope: declare it as an hp.Choice.",
        ),
    ],
    ids=str,
)
def test_a_scope_that_no_value_opens_is_refused(parent, opens, message):
    def space(hp):
        if isinstance(parent, list):
            hp.Choice("x", parent)
        else:
            hp.Int("x", *parent) if isinstance(parent[0], int) else hp.Float("x", *parent)
        with hp.conditional_scope("x", opens):
            hp.Choice("y", [1, 2])

    assert message in refusal(space)


@pytest.mark.parametrize(
    ("parent", "opens"),
    [
        (["none", "color"], "color"),
        (["none", "color"], ("color", "none")),
        ([1, 2, 3], np.array([2, 3])),
        ([0, 0.5], [0.5]),
        ([0, None], [None]),
        (["Embedded"], ["Embedded", "MobileNetV2"]),  # the other backbone is known, and was left out
        ([1, 2], [2, 3]),
    ],
    ids=str,
)
def test_a_scope_that_some_value_opens_varies(parent, opens):
    def space(hp):
        hp.Choice("x", parent)
        with hp.conditional_scope("x", opens):
            return hp.Choice("y", [1, 2])

    assert {1, 2} <= set(drawn(space))


def test_a_scope_whose_values_are_not_at_hand_is_no_mistake():
    def space(hp):
        hp.Choice("x", ["none"])
        with hp.conditional_scope("x", ["few"]):
            hp.Choice("y", [1, 2])

    assert "no value opens" in refusal(space)
    assert [hp.name for hp in register(space, complete=False).space] == ["x", "y"]


def test_a_scope_on_a_fixed_value_says_how_it_may_stay():
    def fixed(hp):
        backbone = "Embedded"
        with hp.conditional_scope("backbone", ["Embedded", "MobileNet"]):
            hp.Int("unfrozen_blocks", 0, 2)
        return backbone

    message = refusal(fixed)
    assert "stands on a hyperparameter that the space does not declare before it" in message
    assert "backbone = hp.Fixed('backbone', VALUE)" in message
    assert "delete the line of the scope" in message

    def misspelt(hp):
        hp.Choice("backbone", ["Embedded"])
        with hp.conditional_scope("bakbone", ["Embedded"]):
            hp.Int("unfrozen_blocks", 0, 2)

    assert "Did you mean 'backbone'?" in refusal(misspelt)


@pytest.mark.parametrize("value", ["Embedded", 3, 0.5, True, None, Augment("color", 0.3)], ids=str)
def test_a_fixed_value_is_given_back_and_opens_a_scope(value):
    def space(hp):
        fixed = hp.Fixed("x", value)
        with hp.conditional_scope("x", [value]):
            return fixed, hp.Choice("y", [1, 2])

    assert set(drawn(space)) == {(value, 1), (value, 2)}


@pytest.mark.parametrize(("low", "high", "step"), [(0.0, 0.5, 0.1), (0.0, 0.6, 0.1), (0.1, 0.7, 0.2), (0.0, 0.4, 0.1)])
def test_a_range_with_steps_gives_its_last_value(low, high, step):
    found = sorted({round(value, 6) for value in drawn(lambda hp: hp.Float("x", low, high, step), 100)})
    assert found == [round(low + number * step, 6) for number in range(round((high - low) / step) + 1)]


def test_what_keras_tuner_would_have_taken_is_taken_for_an_older_search():
    def space(hp):
        return hp.Float("x", 0.0, 0.5, step=0.1)

    assert register(space, strict=False).get_config()["space"][0]["config"]["max_value"] == 0.5
    assert isinstance(register(space), HyperParameters)


@pytest.mark.parametrize("values", [[True, False], [np.bool_(True), np.bool_(False)]])
def test_a_choice_of_booleans_gives_booleans_and_stays_what_oracles_and_journals_know(values):
    from keras_tuner import HyperParameters as KerasTuners

    def space(hp):
        value = hp.Choice("x", values)
        with hp.conditional_scope("x", [True]):
            hp.Choice("y", [1, 2])
        return value, hp.get("x")

    theirs = KerasTuners()
    theirs.Choice("x", [True, False])
    with theirs.conditional_scope("x", [True]):
        theirs.Choice("y", [1, 2])
    declared = register(space)
    assert declared.get_config() == theirs.get_config()
    assert list(points(declared)) == [{"x": 1, "y": 1}, {"x": 1, "y": 2}, {"x": 0}]
    assert [space(at_values(declared, {"x": known, "y": 1})) for known in (1, 0)] == [(True, True), (False, False)]
    assert {type(value) for found in drawn(space) for value in found} == {bool}
    assert type(register(space, strict=False).values["x"]) is int
    assert {type(value) for value in space(register(space, strict=False))} == {int}  # as an older search began


NO_NUMBERS = [float("inf"), float("-inf"), float("nan"), np.float32("inf"), np.float64("nan")]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
@pytest.mark.parametrize("is_strict", [True, False])
def test_a_number_that_is_not_finite_is_refused_wherever_it_stands(value, is_strict):
    spaces = {
        "hp.Choice('x', …) has the value": lambda hp: hp.Choice("x", [1.0, value]),
        "hp.Fixed('x', …) has the value": lambda hp: hp.Fixed("x", value),
        "hp.Float('x', …): max_value is": lambda hp: hp.Float("x", 0.0, value),
        "hp.Int('x', …): min_value is": lambda hp: hp.Int("x", value, 3),
        "hp.Float('x', …): step is": lambda hp: hp.Float("x", 0.0, 1.0, step=value),
        "hp.Int('x', …): default is": lambda hp: hp.Int("x", 0, 3, default=value),
    }
    for message, space in spaces.items():
        found = refusal(space, strict=is_strict)
        assert found.startswith(f"{message} {float(value)!r}, which is no finite number. Give a finite one")


def test_a_number_that_is_not_finite_is_refused_among_others_and_as_a_default():
    assert "the value inf, which is no finite" in refusal(lambda hp: hp.Choice("x", [None, float("inf")]))
    assert "the value nan, which is no finite" in refusal(lambda hp: hp.Choice("x", [1.0], default=float("nan")))
    assert "cannot be written into a journal" in refusal(lambda hp: hp.Choice("x", [[1.0, float("inf")], None]))
    assert "max_value is a number of more than 300 digits" in refusal(lambda hp: hp.Int("x", 0, 10**400))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (lambda hp: hp.Choice("x", ["\ud800", "a"]), r"hp.Choice('x', …) has the text '\ud800', which is not valid"),
        (lambda hp: hp.Choice("x", [["\ud800"], "a"]), r"has the value ['\ud800'], which cannot be written"),
        (lambda hp: hp.Fixed("x", "\ud800"), r"hp.Fixed('x', …) has the text '\ud800', which is not valid Unicode"),
        (lambda hp: hp.Fixed("x", print), "hp.Fixed('x', …) has the value <built-in function print>, which cannot"),
        (lambda hp: hp.Choice("x", [1, None], default=print), "hp.Choice('x', …) has the value <built-in function"),
        (lambda hp: hp.Boolean("\ud800"), r"hp.Boolean('\ud800', …) has a name that is not valid Unicode"),
        (lambda hp: hp.Int("x", 0, 4, step=0), "hp.Int('x', …): step is 0, so that no value would follow"),
        (lambda hp: hp.Float("x", 0, 1, step=0.0), "hp.Float('x', …): step is 0, so that no value would follow"),
    ],
)
def test_what_no_journal_can_hold_and_no_oracle_can_draw_is_refused(space, message):
    assert message in refusal(space)


def test_values_of_numpy_may_stand_anywhere():
    def space(hp):
        hp.Float("rate", np.float32(0), np.float32(0.5), step=np.float32(0.25), default=np.float32(0.25))
        hp.Int("depth", np.int64(0), np.int64(4), default=np.int64(2))
        hp.Choice("size", [1.5, 2.5], default=np.float32(2.5))
        return hp.Fixed("flag", np.bool_(True)), hp.Fixed("few", np.int64(3)), hp.Boolean("b", default=np.bool_(True))

    declared = register(space)
    assert json.loads(json.dumps(declared.get_config()["space"]))
    assert declared.values == {"rate": 0.25, "depth": 2, "size": 2.5, "flag": True, "few": 3, "b": True}
    assert [type(value) for value in space(declared)] == [bool, int, bool]


@pytest.mark.parametrize(
    ("space", "is_grid", "trials"),
    [
        (lambda hp: Recipe("SmallCNN", None, epochs=hp.Int("epochs", 1, 5)), False, 5),
        (lambda hp: Recipe("SmallCNN", None, epochs=hp.Int("epochs", 1, 500)), False, 100),
        (lambda _: FIXED, False, 1),
        (lambda hp: Recipe("SmallCNN", None, dropout=hp.Float("dropout", 0, 0.5)), False, 100),
        (lambda hp: Recipe("SmallCNN", None, dropout=hp.Float("dropout", 0, 0.5)), True, 10),
        (lambda hp: Recipe("SmallCNN", None, dropout=hp.Float("dropout", 0, 0.5, step=0.1)), False, 6),
        (
            lambda hp: (hp.Choice("same", [1, 2]), Recipe("SmallCNN", None, views=hp.Choice("views", [1, 2, 3])))[1],
            False,
            1,
        ),
        (lambda hp: (hp.Int("same", 1, 5000), FIXED)[1], False, 100),
    ],
    ids=["five", "more", "one", "continuous", "grid", "steps", "equal", "very many"],
)
def test_a_space_has_as_many_trials_as_points_of_unlike_recipes(space, is_grid, trials):
    declared = register(space)
    assert trials_of(declared, lambda values: space(at_values(declared, values)), 100, is_grid=is_grid) == trials
