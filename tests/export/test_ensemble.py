"""An ensemble is one model whose probabilities are the mean of its members', and says what it is worth."""

import json

import numpy as np
import pytest
from kit.shapes import write_shapes

from search import KFoldTuner
from search.analysis.certainty import certainty
from search.analysis.ensemble import Ensemble
from search.analysis.judgement import Judgement
from search.analysis.out_of_fold import out_of_fold
from search.analysis.stats.confidence import tempered
from search.analysis.stats.scores import proportion
from search.export.certain import Doubt
from search.export.export import export
from search.export.opened import open_export
from search.export.predict import predict
from search.monitor.console import wide_console
from search.monitor.screen import Lines
from search.record import read_record
from search.report.words import limits

SPACE = """
from search import Recipe, Study

study = Study(
    data="shapes", folds=2, train_fractions=(1.0,), max_trials=6, oracle="grid", image_size=32, baselines=False,
    holdout=3,
)

def space(hp):
    return Recipe(
        "SmallCNN", None, image_size=hp.Choice("image_size", [32, 40]), epochs=4,
        learning_rate=hp.Choice("rate", [1e-3, 3e-3, 1e-2]),
    )
"""


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A finished search of six trials of two kinds."""
    place = tmp_path_factory.mktemp("ensemble")
    write_shapes(place / "shapes", {"across": 16, "down": 16})
    (place / "space.py").write_text(SPACE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        options = {"executor": "inline", "racing": False, "cache": "cache", "offline": True}
        KFoldTuner("space.py", screen=Lines(wide_console()), **options).search()
    return place


@pytest.fixture
def exported(searched, monkeypatch):
    """The search, its ensemble with weights given by hand, and the model of it."""
    monkeypatch.chdir(searched)
    record = read_record(searched / "results" / "space-shapes")
    judgement = Judgement.of(record)
    kinds = {trial.recipe.sizes: trial.id for trial in judgement.complete}
    found = Ensemble(dict(zip(kinds.values(), (0.75, 0.25), strict=True)), judgement.ensemble.combined, 6)
    folder = searched / "model"
    if not folder.exists():
        tuner = KFoldTuner.reopen(record, screen=Lines(wide_console()), executor="inline", cache="cache")
        export(tuner, found, folder)
    return read_record(record.folder), found, folder  # with the scores on the hold-out, which an export makes


def test_a_model_of_two_sizes_gives_the_weighted_mean_of_its_members(exported, searched):
    record, found, folder = exported
    opened = open_export(folder)
    assert opened.sizes == (32, 40)
    images = sorted((searched / "shapes").rglob("*.png"))
    mixed = opened.probabilities([opened.pixels(image) for image in images])
    cache = {"screen": Lines(wide_console()), "executor": "inline", "cache": str(searched / "cache")}
    mean = np.zeros((len(images), 2))
    for name, weight in found.members.items():
        alone = searched / f"alone-{name}"
        if not alone.exists():
            export(KFoldTuner.reopen(record, **cache), name, alone)
        told = predict(alone, images, lambda done, of: None)
        heat = json.loads((alone / "recipe.json").read_text())["temperature"]["value"]
        mean += weight * tempered(told.probabilities.astype(float), 1 / heat)  # as without a temperature
    heat = opened.about["temperature"]["value"]
    np.testing.assert_allclose(mixed, tempered(mean, heat), atol=2e-5)


def test_an_ensemble_says_who_is_in_it_and_what_it_scored(exported):
    record, found, folder = exported
    about = json.loads((folder / "recipe.json").read_text())
    assert {member["trial"]: member["weight"] for member in about["members"]} == found.members
    assert about["scores"]["score"] == found.combined.raw
    assert about["scores"]["holdout"]["images"] == 6
    assert about["promise"]["expected"]["mean"] == found.combined.score.mean
    card = (folder / "README.md").read_text()
    assert "an ensemble of 2 trials" in card
    for name in found.members:
        assert record.history.holdout_score(name)
        assert f"% {name}: SmallCNN" in card
    assert "Hold-out: " in card
    assert (
        "\n## The recipe of the heaviest network\n\n`recipe.json` has those of the others under `members`.\n\n- "
        in card
    )
    assert "name: space-shapes ensemble\n" in card


def test_the_steps_of_doubt_are_those_of_the_mean_out_of_fold(exported):
    record, found, folder = exported
    about = json.loads((folder / "recipe.json").read_text())
    told = out_of_fold(record, [record.history.trials[name] for name in found.members])
    mixed = np.tensordot(list(found.members.values()), told.probabilities, axes=1)
    wrong = int((mixed.argmax(axis=1) != told.labels).sum())
    assert about["unsure"]["steps"][-1][1:] == [len(told.labels), wrong]
    assert about["unsure"]["answers"] == certainty(record, found.members).answers == 26
    assert about["unsure"]["groups"] == len(np.unique(told.groups))


def test_repeats_and_copies_make_no_answer_surer():
    told = Doubt(0.05, 0.9, answered=60, answers=120, wrong=3, groups=40).told
    assert "3 of 60 answers were wrong" in told
    assert limits(proportion(1, 20)) in told


def test_the_command_line_chooses_the_trials_itself(searched, search, monkeypatch):
    monkeypatch.chdir(searched)
    judgement = Judgement.of(read_record(searched / "results" / "space-shapes"))
    found = judgement.ensemble
    code, out, err = search("export", "space-shapes", "--how", "ensemble", "--to", "chosen", "--cache", "cache")
    if len(found.members) < 2:
        assert code == 1
        assert f"Export it with --trial {next(iter(found.members))}" in err
        assert not (searched / "chosen").exists()
    else:
        assert not code, err
        assert f"an ensemble of {', '.join(found.members)}" in out
    code, _, err = search("export", "space-shapes", "--how", "ensemble", "--trial", "3", "--to", "other")
    assert code == 1
    assert "leave out --trial" in err


def test_too_few_trials_have_no_ensemble(finished, search, monkeypatch):
    monkeypatch.chdir(finished)
    code, _, err = search("export", "space-shapes", "--how", "ensemble", "--to", "together")
    assert code == 1
    assert "3 complete trials are too few" in err
    assert "--how refit" in err


def test_who_wants_few_wrong_answers_gets_fewer(exported, searched, search):
    _, _, folder = exported
    about = json.loads((folder / "recipe.json").read_text())
    steps = about["unsure"]["steps"]
    shares = [step[2] / step[1] for step in steps]
    least = shares.index(min(shares))
    allowed = max(shares[least], 0.01)
    code, out, err = search("predict", folder, searched / "shapes", "--unsure", allowed, "--json")
    assert not code, err
    told = json.loads(out)
    assert (
        told["unsure"]["probability"]
        == max((step for step in steps if step[2] <= allowed * step[1]), key=lambda s: s[1])[0]
    )
    for one in told["predictions"]:
        likeliest = max(one["top"], key=one["top"].get)
        assert one["label"] == (likeliest if one["probability"] >= told["unsure"]["probability"] else None)
    code, out, _ = search("predict", folder, searched / "shapes", "--unsure", allowed)
    assert not code
    unsure = sum(one["label"] is None for one in told["predictions"])
    assert f"Not sure of {unsure} of 32" in out
    assert out.count("not sure (") == unsure


def test_a_model_that_does_not_know_its_doubt_is_refused(exported, tmp_path, search):
    _, _, folder = exported
    about = json.loads((folder / "recipe.json").read_text())
    old = tmp_path / "old"
    old.mkdir()
    (old / "model.keras").write_bytes((folder / "model.keras").read_bytes())
    for unsure, says in (
        (None, "by an earlier version"),
        ({"answers": 4, "steps": [[0.9, 4, 4]]}, "4 of the 4 surest"),
    ):
        (old / "recipe.json").write_text(json.dumps({**about, "unsure": unsure}))
        code, _, err = search("predict", old, folder, "--unsure", 0.05)
        assert code == 1
        assert says in err
