import argparse
import dataclasses
import json
import math
import os
import subprocess
import sys

import compare
import floor
import numpy as np
import processes
import pytest
import result_table
import sampling
import scores
import works
from rich.console import Console

FOLDS = ["f0", "f1", "f2", "f3", "f4"]
ALL = [*works.FULL, *works.QUICK]


@pytest.fixture(params=ALL, ids=lambda plan: f"{plan.name}-{plan.trials}")
def plan(request):
    return request.param


@pytest.mark.parametrize(
    ("name", "depths"),
    [
        ("head-only", {0: 40}),
        ("mixed", {0: 20, 1: 13, 2: 7}),
        ("everything-unfrozen", {works.EVERYTHING: 12}),
        ("lite0-heads", {0: 40}),
        ("lite0-one-block", {1: 6}),
    ],
)
def test_full_works_have_the_stated_trials(name, depths):
    plan = next(plan for plan in works.FULL if plan.name == name)
    recipes = plan.recipes()
    assert {depth: sum(r.unfrozen_blocks == depth for r in recipes) for depth in depths} == depths
    assert len(recipes) == sum(depths.values())
    assert (plan.folds, plan.size, plan.fractions) == (5, 160, (1.0,))
    assert {(recipe.epochs, recipe.batch_size) for recipe in recipes} == {(15, 32)}


def test_works_are_fixed_distinct_and_of_two_augmented_pairs(plan):
    recipes = plan.recipes()
    assert recipes == plan.recipes()
    assert len({recipe.digest for recipe in recipes}) == len(recipes)
    assert len(works.pairs_of(recipes)) <= 2
    assert works.FURTHER not in works.pairs_of(recipes)
    assert all(recipe.views == 8 for recipe in recipes if recipe.augment.policy != "none")
    assert all(works.LOWEST <= recipe.learning_rate <= works.HIGHEST for recipe in recipes)


def test_the_order_is_shuffled():
    depths = [recipe.unfrozen_blocks for recipe in works.FULL[1].recipes()]
    assert depths != sorted(depths)
    assert depths != sorted(depths, reverse=True)


def test_works_of_lite0_are_timed_only_when_asked_for():
    for quick in (False, True):
        names = [plan.name for plan in compare.plans_of(argparse.Namespace(work=None, quick=quick))]
        assert names == ["head-only", "mixed", "everything-unfrozen"]
        (plan,) = compare.plans_of(argparse.Namespace(work=["lite0-one-block"], quick=quick))
        assert {recipe.backbone for recipe in plan.recipes()} == {works.LITE}


def test_everything_is_all_blocks_of_the_backbone():
    assert works.Recipe(works.BACKBONE, unfrozen_blocks=None).unfrozen_blocks == works.EVERYTHING


def test_the_grid_runs_every_trial_in_order(plan, tmp_path):
    from search.journal.history import History
    from search.oracles import ask, at_values, register, retell, tell
    from search.space import read_space

    file = read_space(works.write_space(tmp_path / "space.py", plan, tmp_path))
    assert (file.study.oracle, file.study.max_trials, file.study.folds) == ("grid", plan.trials, plan.folds)
    declared = register(file.space)
    oracle = retell("grid", declared, file.study.seed, History())
    proposed = []
    while (values := ask(oracle, f"{len(proposed):04d}")) is not None:
        proposed.append(file.space(at_values(declared, values)))
        tell(oracle, f"{len(proposed) - 1:04d}", 0.5)
    assert proposed == plan.recipes()


def test_a_sample_has_every_kind_once_and_others_at_each_repeat(plan):
    recipes = plan.recipes()
    samples = sampling.draw_sample(recipes, FOLDS, 3, seed=1)
    for sample in samples:
        kinds = [works.kind_of(recipes[trial]) for trial, _ in sample]
        assert sorted(kinds) == sorted(works.kinds_of(recipes))
    assert len({run for sample in samples for run in sample}) == 3 * len(samples[0])


def test_pieces_are_the_sample():
    sample = [(trial, "f0") for trial in range(7)]
    for number in (1, 3, 7, 20):
        parts = sampling.pieces(sample, number)
        assert sorted(run for part in parts for run in part) == sample
        assert all(parts)
        assert len(parts) == min(number, 7)


def test_scaling_weighs_kinds_by_their_counts():
    recipes = works.Plan("two", {0: 3, 1: 3}).recipes()
    runs = sampling.all_runs(recipes, FOLDS)
    seconds = {run: 10.0 * (recipes[run[0]].unfrozen_blocks + 1) + len(recipes[run[0]].augment.policy) for run in runs}
    timed = [(run, seconds[run]) for run in sampling.draw_sample(recipes, FOLDS, 1, seed=3)[0]]
    assert sampling.scaled_up(recipes, runs, timed, start_up=4.0) == pytest.approx(4 + sum(seconds.values()))
    assert sampling.scaled_up(recipes, runs, seconds.items(), start_up=4.0) == pytest.approx(4 + sum(seconds.values()))
    with pytest.raises(KeyError):
        sampling.scaled_up(recipes, runs, timed[1:], start_up=4.0)


def test_mean_difference_pairs_runs():
    assert sampling.mean_difference({(0, "f0"): 0.9, (0, "f1"): 0.1}, [((0, "f0"), 0.8)]) == pytest.approx(0.1)


def test_the_floor_counts_each_version_of_an_image_once():
    head = works.FULL[0].recipes()
    counts = floor.passes(head, sampling.all_runs(head, FOLDS), 400, 5)
    assert counts == {
        (floor.FROZEN, 0): 400 * 17,  # plain and eight views of two pairs
        (floor.TRAINED, 0): 40 * 5 * 15 * 320,
        (floor.SCORED, 0): 40 * 400,
    }
    mixed = works.FULL[1].recipes()
    counts = floor.passes(mixed, sampling.all_runs(mixed, FOLDS), 400, 5)
    assert sum(count for (what, _), count in counts.items() if what == floor.FROZEN) == 400 * 17
    everything = works.FULL[2].recipes()
    counts = floor.passes(everything, sampling.all_runs(everything, FOLDS), 400, 5)
    assert {what for what, _ in counts} == {floor.TRAINED, floor.SCORED}


def test_the_floor_counts_only_runs_that_happened_and_views_that_were_shown():
    recipes = [dataclasses.replace(works.one_more_pair(works.FULL[0])[1][0], epochs=3)]
    counts = floor.passes(recipes, [(0, "f1")], 100, 5)
    assert counts == {(floor.FROZEN, 0): 400, (floor.TRAINED, 0): 240, (floor.SCORED, 0): 20}
    assert floor.seconds_of(counts, dict.fromkeys(counts, 10.0)) == pytest.approx(66.0)


def test_overhead_is_what_the_driver_does_beside_getting_ready_and_waiting(tmp_path):
    stages = {"prepare": 9.0, "wait": 50.0, "write": 0.3, "ask": 0.1}
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.json").write_text(json.dumps({"profile": {"driver": stages}}))
    runs = [{"fold": fold} for fold in ("f0", "f1", "f2", "f3")]
    events = [(1.0, {"event": "job", "trial": "0000", "runs": runs})]
    assert compare._overhead(processes.Search(9.0, events, tmp_path)) == pytest.approx(0.1)


def test_the_watch_reads_whole_lines_that_are_new(tmp_path):
    journal = tmp_path / "journal.jsonl"
    journal.write_text('{"event": "old"}\n')
    watch = processes.Watch(journal)
    with journal.open("a") as file:
        file.write('{"event": "new"}\n{"event": "to')
    watch.ending.set()
    watch.run()
    assert [event["event"] for _, event in watch.events] == ["new"]


def test_the_interval_is_students(capsys):
    mean, low, high = scores.interval(np.array([0.01, 0.03]))
    assert (mean, high - mean) == (pytest.approx(0.02), pytest.approx(12.7062 * 0.01, rel=1e-4))
    assert low == pytest.approx(2 * mean - high)
    assert math.isnan(scores.interval(np.array([0.01]))[1])
    recipes = list(scores.RECIPES)
    scores.show(np.full((5, 3, 2), 0.5), recipes, Console(width=200))
    assert capsys.readouterr().out.count("yes") == 4


def test_the_table_is_printed(capsys):
    row = {"seconds": 60.0, "runs": 200, "faster": 100.0, "floor": 20.0, "times the floor": 3.0}
    row["overhead a run"] = 0.0123
    work = {"runs": 200, "naive seconds": 6000.0, "naive runs timed": 3, "naive seconds a run": {"0 blocks, none": 30}}
    work |= {"accuracy, ours minus naive": 0.01, "ours": {"cold": row}}
    result_table.show({"works": {"head-only": work}}, Console(width=200))
    printed = capsys.readouterr().out
    for told in ("100.0 ×", "3.0 ×", "1.7 h", "60.0 s", "+1.0", "3 timed runs (of 200", "12.3 ms a run"):
        assert told in printed


@pytest.mark.parametrize("blocks", [0, 1, 2, works.EVERYTHING])
def test_both_sides_train_the_same_variables(blocks):
    assert_trains_the_same(works.BACKBONE, blocks, None)


@pytest.mark.parametrize("blocks", [0, 1, 2, 6])
def test_both_sides_train_the_same_variables_of_lite0(blocks, lite0):
    assert_trains_the_same(works.LITE, blocks, lite0)


@pytest.fixture(scope="module")
def lite0(tmp_path_factory):
    return processes.keras_file(works.LITE, tmp_path_factory.mktemp("weights"))


def assert_trains_the_same(backbone, blocks, weights):
    import naive

    from search.repertoire.shape import Shape
    from search.training.network import build

    ours = build(Shape(backbone, blocks, 64, "linear", "adamw"), 3, pretrained=False)
    recipe = works.Recipe(backbone, unfrozen_blocks=blocks).to_dict()
    theirs = naive.build(recipe, weights, classes=3, steps=10)
    assert [tuple(v.shape) for v in theirs.trainable_variables] == [tuple(v.shape) for v in ours.trained]


def test_both_sides_begin_with_the_same_features_of_lite0(lite0):
    import naive

    from search.repertoire.shape import Shape
    from search.training.network import build

    pixels = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    ours = build(Shape(works.LITE, 0, 64, "linear", "adamw"), 3, pretrained=True).prefix(pixels)
    theirs = naive.build(works.Recipe(works.LITE).to_dict(), lite0, classes=3, steps=10)
    features = naive.keras.Model(theirs.input, theirs.layers[-2].output)(pixels.astype(np.float32))
    np.testing.assert_allclose(np.asarray(ours), np.asarray(features), atol=1e-3)


@pytest.mark.slow
def test_the_naive_loop_runs_on_our_folds(photographs, imagenet, tmp_path):
    plan = works.Plan("tiny", {1: 2}, epochs=1, size=64, folds=2)
    space = works.write_space(tmp_path / "space.py", plan, photographs / "tiny_flowers3")
    trials = tmp_path / "trials.json"
    trials.write_text(json.dumps([recipe.to_dict() for recipe in plan.recipes()]))
    folds = processes.write_folds(space, photographs / "tiny_flowers3", tmp_path / "cache", tmp_path / "folds")
    assert folds == ["f0", "f1"]
    beside, runs = processes.naive(trials, tmp_path / "folds", tmp_path / "runs.jsonl", plan.size, [(1, "f1")])
    assert [(run["trial"], run["fold"]) for run in runs] == [(1, "f1")]
    assert 0 <= runs[0]["accuracy"] <= 1
    assert runs[0]["seconds"] > 0
    assert beside > 0


@pytest.mark.slow
def test_lite0_is_timed_on_both_sides(photographs, imagenet, tmp_path):
    out = tmp_path / "results.json"
    works_of_lite0 = [argument for name in compare.ON_REQUEST for argument in ("--work", name)]
    data = photographs / "tiny_flowers3"
    processes.call(processes.HERE / "compare.py", "--quick", "--data", data, "--out", out, *works_of_lite0)
    timed = json.loads(out.read_text())["works"]
    assert list(timed) == list(compare.ON_REQUEST)
    for work in timed.values():
        assert work["work"]["backbone"] == works.LITE
        assert all(0 <= run["accuracy"] <= 1 for run in work["naive"])
        assert all(row["floor"] > 0 and row["faster"] > 0 for row in work["ours"].values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "start"),
    [
        (("--sets", "tiny_flowers3", "--blocks", "1", "--size", "64", "--folds", "2"), "| tiny_flowers3 | 1 |"),
        (("--sets", "hymenoptera", "--columns", "Embedded 96 px"), "| hymenoptera |"),
    ],
)
def test_the_tables_of_backbones_are_printed(options, start, photographs, imagenet):
    environment = processes.environment()
    environment["PYTHONPATH"] += f"{os.pathsep}{processes.ROOT / 'tests' / 'repertoire'}"
    command = [sys.executable, processes.HERE / "backbones.py", photographs, *options]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    row = printed.splitlines()[-1]
    assert row.startswith(start)
    scores = [float(score) for score in row.removeprefix(start).strip(" |").replace("/", "|").split("|")]
    assert all(0.3 < score <= 1 for score in scores), printed
