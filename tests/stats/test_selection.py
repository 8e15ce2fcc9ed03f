"""The correction agrees with the authors' algorithm, written as the loop that it is in the paper."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics

from search.analysis.stats import selection
from search.analysis.stats.selection import FEWEST, Configurations, corrected

pytestmark = pytest.mark.quick

MEASURES = {
    "accuracy": metrics.accuracy_score,
    "balanced_accuracy": lambda y, p: metrics.recall_score(y, p, labels=np.unique(y), average="macro", zero_division=0),
    "macro_f1": lambda y, p: metrics.f1_score(y, p, labels=np.unique(y), average="macro", zero_division=0),
}


def configurations(objective, rng, trials=7, images=40, classes=3, repeats=1, folds=None):
    """Two training sizes; images come in pairs; with repeats every image is predicted several times."""
    labels = np.arange(images) % classes
    row = np.concatenate([rng.permutation(images) for _ in range(repeats)])
    skill = rng.uniform(0.4, 0.8, (trials, 1))
    predictions = [
        np.where(rng.random((trials, len(row))) < skill, labels[row], rng.integers(classes, size=(trials, len(row))))
        for _ in range(2)
    ]
    repeat = np.repeat(np.arange(repeats), images)
    fold = None
    if folds:
        table = np.array([rng.permutation(images // 2) % folds for _ in range(repeats)])
        fold = [table[repeat, row // 2]] * 2
    return Configurations([labels[row]] * 2, [row // 2 + 5] * 2, predictions, classes, objective, fold, [repeat] * 2)


def objective_of(found, trial, taken):
    """Return the mean over sizes of the objective on the rows listed for each size."""
    measure = MEASURES[found.objective]
    return np.mean(
        [measure(y[rows], p[trial][rows]) for y, p, rows in zip(found.labels, found.predictions, taken, strict=True)]
    )


def out_of_bag(found, inside, outside):
    """Pick on the rows inside, score on those outside: one turn of the paper's loop."""
    winner = max(range(found.trials), key=lambda trial: (round(objective_of(found, trial, inside), 6), -trial))
    right = found.predictions[-1][winner] == found.labels[-1]
    return objective_of(found, winner, outside), right[outside[-1]].mean()


def bbc_cv(found, seed, draws):
    """Tsamardinos et al. (2018), algorithm 5, with groups for samples: a list of (objective, full-size accuracy)."""
    names = np.unique(found.groups[0])
    results = []
    for counts in np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), draws):
        times = dict(zip(names, counts, strict=True))
        taken = [np.array([times[group] for group in groups]) for groups in found.groups]
        if not all((each > 0).any() and (each == 0).any() for each in taken):
            continue
        inside = [np.repeat(np.arange(len(each)), each) for each in taken]
        results.append(out_of_bag(found, inside, [np.flatnonzero(each == 0) for each in taken]))
    return results


@pytest.mark.parametrize("objective", MEASURES)
@pytest.mark.parametrize("repeats", [1, 2])
def test_it_is_the_authors_algorithm(objective, repeats, rng):
    found = configurations(objective, rng, repeats=repeats)
    results = np.array(bbc_cv(found, 11, 60))
    told = corrected(found, 11, 60)
    for at, interval in enumerate((told.score, told.full_accuracy)):
        low, high = np.quantile(results[:, at], [0.025, 0.975])
        assert (interval.mean, interval.low, interval.high) == pytest.approx(
            (results[:, at].mean(), low, high), abs=1e-6
        )


@pytest.mark.parametrize("objective", MEASURES)
def test_the_raw_score_is_that_of_the_best_on_all_images(objective, rng):
    found = configurations(objective, rng)
    everything = [np.arange(len(labels)) for labels in found.labels]
    scores = [objective_of(found, trial, everything) for trial in range(found.trials)]
    told = corrected(found, 1, 20)
    assert told.winner == int(np.argmax(scores))
    assert told.raw == pytest.approx(max(scores))
    assert told.raw_full_accuracy == pytest.approx((found.predictions[-1][told.winner] == found.labels[-1]).mean())


def test_the_best_of_equal_trials_is_brought_down(rng):
    labels = np.arange(60) % 2
    found = Configurations([labels], [np.arange(60)], [rng.integers(2, size=(50, 60))], 2, "accuracy")
    told = corrected(found, 1, 200)
    assert told.raw > 0.6
    assert told.score.mean == pytest.approx(0.5, abs=0.07)


@pytest.mark.parametrize("repeats", [1, 2])
def test_with_folds_whole_ones_are_drawn(repeats, rng):
    found = configurations("accuracy", rng, repeats=repeats, folds=4)
    draw = np.random.default_rng(3)
    groups = [each - 5 for each in found.groups]
    count = int(groups[0].max()) + 1
    resampled = draw.multinomial(count, np.full(count, 1 / count), 50)
    repeat = draw.integers(repeats, size=50)
    results = []
    for counts, turn, drawn in zip(resampled, repeat, draw.multinomial(4, np.full(4, 1 / 4), 50), strict=True):
        rows = [np.flatnonzero(each == turn) for each in found.repeats]
        fold_of = {groups[0][row]: found.folds[0][row] for row in rows[0]}
        inside = [np.repeat(np.arange(len(g)), [drawn[fold_of[each]] for each in g]) for g in groups]
        outside = [
            np.repeat(np.arange(len(g)), [(1 + counts[each]) * (drawn[fold_of[each]] == 0) for each in g])
            for g in groups
        ]
        if all(map(len, (*inside, *outside))):
            results.append(out_of_bag(found, inside, outside))
    told = corrected(found, 3, 50)
    assert (told.score.mean, told.full_accuracy.mean) == pytest.approx(np.mean(results, axis=0), abs=1e-6)


def test_two_folds_are_too_few_to_draw(rng):
    with_folds = configurations("accuracy", np.random.default_rng(5), folds=2)
    without = Configurations(
        with_folds.labels, with_folds.groups, with_folds.predictions, with_folds.classes, with_folds.objective
    )
    assert corrected(with_folds, 1, 40) == corrected(without, 1, 40)


def test_blocks_change_nothing(rng, monkeypatch):
    found = configurations("macro_f1", rng, trials=9)
    whole = corrected(found, 2, 30)
    monkeypatch.setattr(selection, "ENTRIES_AT_ONCE", 200)
    monkeypatch.setattr(selection, "TRIALS_AT_ONCE", 2)
    told = corrected(found, 2, 30)
    assert told.raw == whole.raw
    assert 0 < told.score.mean < told.raw
    monkeypatch.setattr(selection, "ENTRIES_AT_ONCE", 30 * found.classes)
    assert told.winner == corrected(found, 2, 30).winner


def test_the_same_seed_gives_the_same(rng):
    found = configurations("balanced_accuracy", rng)
    assert corrected(found, 4, 30) == corrected(found, 4, 30)
    assert corrected(found, 4, 30) != corrected(found, 5, 30)


@pytest.mark.parametrize("right", [True, False])
def test_a_trial_that_is_right_whatever_is_drawn_is_no_certainty(right):
    labels, images = np.arange(6) % 2, np.arange(6)
    found = Configurations([labels], [images], [np.tile(labels if right else 1 - labels, (5, 1))], 2, "accuracy")
    limits = corrected(found, 1).full_accuracy
    assert limits.mean == (1 if right else 0)
    assert (limits.low, limits.high) == pytest.approx((0.610, 1) if right else (0, 0.390), abs=1e-3)


def test_too_few_trials_or_groups_are_refused(rng):
    found = configurations("accuracy", rng, trials=FEWEST - 1)
    with pytest.raises(ValueError, match="4 trials are too few"):
        corrected(found, 1)
    assert corrected(found, 1, beaten=1).raw > 0
    one_group = Configurations([np.array([0, 1])], [np.array([3, 3])], [np.zeros((5, 2), int)], 2, "accuracy")
    with pytest.raises(ValueError, match="one group"):
        corrected(one_group, 1)


def test_right_whatever_is_drawn_is_as_sure_as_the_rarest_class_allows():
    """With 40 and 4 groups the mean over classes varies as that of 2² / (1/40 + 1/4) = 14.5 even groups."""
    labels = (np.arange(44) % 11 == 0).astype(int)
    found = Configurations([labels], [np.arange(44)], [np.tile(labels, (5, 1))], 2, "balanced_accuracy")
    told = corrected(found, 1)
    z2, groups = 1.959964**2, 4 / (1 / 40 + 1 / 4)
    assert told.full == told.score
    assert (told.full.low, told.full.high) == pytest.approx((1 / (1 + z2 / groups), 1), abs=1e-6)
    assert told.full_accuracy.low == pytest.approx(1 / (1 + z2 / 44), abs=1e-6)


@pytest.mark.parametrize("objective", MEASURES)
def test_the_objective_at_full_size_is_corrected_too(objective, rng):
    found = configurations(objective, rng)
    last = replace(found, labels=found.labels[1:], groups=found.groups[1:], predictions=found.predictions[1:])
    both, alone = corrected(found, 4, 60), corrected(last, 4, 60)
    assert alone.full == alone.score
    assert both.full != both.score
    if objective == "accuracy":
        assert both.full == both.full_accuracy


def test_a_correction_never_raises_a_score(rng):
    told = corrected(configurations("accuracy", rng), 1, 60)
    assert told.at_most(1.0, 1.0, 1.0) == told
    lower = told.at_most(told.score.mean - 0.01, 1.0, 1.0)
    assert lower.raised
    assert lower.score.mean == told.score.mean - 0.01
    assert lower.score.low <= lower.score.mean <= lower.score.high
    assert lower.full == told.full
