"""Whether a promise holds: the noise of the search and of the new images both count."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from search.analysis.stats.intervals import Interval
from search.analysis.stats.scores import proportion
from search.evaluation.agreement import Agreement, Promise, Verdict, is_mixed_otherwise
from search.evaluation.figures import Figures
from search.evaluation.told import agreement
from search.report.exhibits.classes import sentences

pytestmark = pytest.mark.quick

PROMISED = Interval(0.88, 0.79, 0.95)


def part(interval):
    low, high = (interval.low, interval.high) if interval.known else (None, None)
    return {"mean": interval.mean, "low": low, "high": high}


@pytest.mark.parametrize(
    ("right", "of", "verdict"),
    [
        (179, 200, Verdict.HOLDS),
        (320, 400, Verdict.HOLDS),  # 80 % with limits that end below .88; those of the promise reach there
        (130, 200, Verdict.BELOW),
        (7, 10, Verdict.HOLDS),  # ten images tell little
        (1990, 2000, Verdict.ABOVE),
    ],
)
def test_a_promise_fails_only_where_the_noise_of_both_does_not_explain_it(right, of, verdict):
    assert Agreement("accuracy", PROMISED, proportion(right, of)).verdict is verdict


def test_a_promise_without_limits_is_not_judged():
    one = Agreement("accuracy", Interval(0.88, -math.inf, math.inf), proportion(179, 200))
    assert one.verdict is Verdict.UNKNOWN
    assert "what was promised lies within these limits" in agreement(one)


def test_few_images_say_what_they_could_not_show():
    said = agreement(Agreement("balanced_accuracy", PROMISED, proportion(9, 10)))
    assert said.startswith("The search promised a balanced accuracy of 0.880 (0.790 to 0.950); here it is 0.900 (")
    assert "The promise holds, as far as these images show: the difference of +0.020 (−0.2" in said
    assert said.endswith(") may be chance. A shortfall of less than about 0.31 would not show, though.")


def test_a_shortfall_is_said_with_its_limits():
    said = agreement(Agreement("accuracy", PROMISED, proportion(130, 200)))
    assert "That is less than was promised, by 0.230 (0.1" in said


def test_the_objective_comes_first_and_accuracy_beside_it():
    promise = {"trial": "0003", "objective": "macro_f1", "corrected": True}
    promise |= {"expected": part(PROMISED), "accuracy": part(Interval(0.9, -math.inf, math.inf))}
    scores = {"accuracy": proportion(8, 10), "macro_f1": proportion(7, 10)}
    first, second = Promise.of({"promise": promise}).agreements(scores)
    assert (first.metric, first.promised) == ("macro_f1", PROMISED)
    assert (second.metric, second.promised.mean, second.promised.known) == ("accuracy", 0.9, False)


@pytest.mark.parametrize("about", [{}, {"promise": None}, {"promise": {"objective": "accuracy"}}, {"promise": 3}])
def test_no_promise_is_none(about):
    assert Promise.of(about) is None


def test_other_frequencies_of_classes_are_noticed():
    assert is_mixed_otherwise(np.array([90, 10]), np.array([100, 100]))
    assert not is_mixed_otherwise(np.array([9, 12]), np.array([100, 100]))
    assert not is_mixed_otherwise(np.array([9, 0]), np.array([100, 0]))


def test_a_class_of_one_group_has_no_interval_and_says_so():
    labels, groups = np.repeat([0, 1], 4), np.array([0, 0, 0, 0, 1, 2, 3, 4])
    probabilities = np.where(labels[:, None] == [0, 1], 0.9, 0.1)
    probabilities[0] = 0.2, 0.8
    figures = Figures(("cat", "dog"), np.arange(8), labels, groups, probabilities)
    frame = SimpleNamespace(frame=figures.by_class)
    assert sentences(frame) == ["Its weakest class is cat: 3 of 4 right (no interval, as all are of one group)."]
