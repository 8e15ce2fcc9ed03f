"""The habits of Keras Tuner's users work with a KFoldTuner, or are answered with what does their work."""

import contextlib
import inspect

import pytest
from kit.shapes import write_shapes

from search import KFoldTuner, Recipe, Study, UserError
from search.options import Options
from search.oracles import BaseTuner
from search.oracles.habits import STEPS, TUNER, refused_option


def space(hp):
    return Recipe("Embedded", hp.Choice("unfrozen_blocks", [0, None]), epochs=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tuner that has not searched, and a folder for what it would write."""
    folder = tmp_path_factory.mktemp("habits")
    write_shapes(folder / "shapes", {"across": 9, "down": 9})
    options = {"results": str(folder / "results"), "cache": str(folder / "cache"), "offline": True}
    study = Study(folder / "shapes", folds=3, max_trials=4, baselines=False)
    return KFoldTuner(space, study, executor="inline", **options)


def refusal(call, *values, **named):
    with pytest.raises(UserError) as error:
        call(*values, **named)
    return str(error.value)


def test_arguments_of_search_are_refused_by_name(made):
    message = refusal(made.search, [1], [0], epochs=50, callbacks=[], validation_data=None, max_queue_size=3)
    assert message.splitlines() == [
        "tuner.search() takes nothing, and would not obey:",
        "  - x, y, validation_data: the images and labels are those of Study(data=…), and each fold divides them.",
        "  - epochs: the recipe says it: Recipe(epochs=…) in the space, or Fit(epochs=…) beside a model.",
        *[line for line in message.splitlines() if line.startswith("  - callbacks: there are none.")],
        "  - max_queue_size: a search has nothing of this name.",
    ]
    assert "callbacks" in message
    assert not (made.setup.folder).exists()


@pytest.mark.parametrize("name", sorted(TUNER))
def test_options_of_keras_tuner_are_answered_with_ours(name):
    message = refusal(KFoldTuner, space, Study("images"), **{name: 3})
    assert message.startswith(f"KFoldTuner has no option {name!r}. Here it is: ")
    assert name not in set(vars(Options()))


def test_fields_and_misspelt_options_are_named():
    assert refused_option("objective").endswith("It is a field of the study: Study(objective=…).")
    assert refused_option("epochs").endswith("It is a field of recipes: Recipe(epochs=…), in the space.")
    assert "Did you mean 'trials'?" in refused_option("trails")


def test_a_tuner_without_a_space_or_with_an_objective_for_a_study_is_refused():
    assert "has no space" in refusal(KFoldTuner)
    assert "must be a Study(…)" in refusal(KFoldTuner, space, "val_accuracy")


PUBLIC = [name for name in dir(BaseTuner) if not name.startswith("_") and name != "search"]
HOOKS = {"pre_create_trial", "on_trial_begin", "on_trial_end", "on_search_begin", "on_search_end"}  # by nobody but us
NEEDED = {"run_trial": 1, "load_model": 1, "save_model": 2, "get_trial_dir": 1, "set_state": 1}


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - HOOKS))
def test_what_a_tuner_of_keras_tuner_has_works_or_says_what_does(made, name):
    with contextlib.suppress(UserError):
        value = getattr(made, name)
        if inspect.ismethod(value):
            value(*["0000"] * NEEDED.get(name, 0))
    assert not (made.setup.folder).exists()


def test_a_model_is_answered_with_its_export(made):
    for ask in (made.get_best_models, made.hypermodel.build, made.load_model):
        assert "python -m search export" in refusal(ask, None)
    assert made.remaining_trials == 4
    assert made.project_dir == str(made.setup.folder)
    assert "There is no search in" in refusal(made.reload)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("BayesianOptimization", "bayesian"),
        ("RandomSearch", "random"),
        ("GridSearch", "grid"),
        ("TPESampler", "tpe"),
        ("Bayesian", "bayesian"),
    ],
)
def test_oracles_by_their_names_in_keras_tuner_are_told_ours(written, meant):
    assert f"Did you mean {meant!r}?" in refusal(Study, "images", oracle=written)


def test_a_step_of_training_is_answered(made):
    for step in STEPS:
        assert "there are no callbacks" in refusal(getattr(made, step), None, None, 0)


@pytest.mark.parametrize("hook", sorted({*HOOKS, *STEPS, "run_trial"}))
def test_a_subclass_whose_method_nothing_would_call_is_refused(hook):
    with pytest.raises(UserError, match=f"Mine.{hook} would never be called"):
        type("Mine", (KFoldTuner,), {hook: lambda self, *values: None})
    assert type("Mine", (KFoldTuner,), {"results_summary": lambda self: None})


def test_a_space_that_builds_a_network_is_told_to_compile_it(tmp_path):
    write_shapes(tmp_path / "shapes", {"across": 9, "down": 9})

    def build(hp):
        import keras

        return keras.Sequential([keras.layers.Dense(hp.Int("units", 1, 3))])

    options = {"results": str(tmp_path / "results"), "cache": str(tmp_path / "cache"), "offline": True}
    message = refusal(KFoldTuner, build, Study(tmp_path / "shapes", folds=3), executor="inline", **options)
    assert "is not compiled. Call model.compile(optimizer=…, loss=…)" in message
