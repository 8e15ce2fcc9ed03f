"""A temperature is found where there is one, not on the images that it is judged by; sure answers are counted."""

import numpy as np
import pytest

from search.analysis.stats.confidence import (
    AT_REST,
    Step,
    best_temperature,
    log_loss,
    nested,
    step_for,
    steps,
    tempered,
)


def drawn(images, temperature, seed=0, classes=3):
    """Probabilities that are right when their logits are divided by ``temperature``, and labels drawn from these."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (images, classes))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(classes, p=row) for row in true])
    return tempered(true, 1 / temperature), labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_of_made_predictions_is_found(temperature):
    probabilities, labels = drawn(6000, temperature)
    assert best_temperature(probabilities, labels) == pytest.approx(temperature, rel=0.1)


def test_a_temperature_divides_logits_and_changes_no_answer():
    logits = np.array([[2.0, 0.0, -1.0], [0.1, 0.2, 0.0]])
    powers = np.exp(logits / 4)
    cooled = tempered(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), 4)
    np.testing.assert_allclose(cooled, powers / powers.sum(axis=1, keepdims=True))
    assert (cooled.argmax(axis=1) == logits.argmax(axis=1)).all()


def test_a_sure_and_wrong_prediction_gives_no_infinite_loss():
    assert log_loss(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(-np.log(1e-7))


def test_the_predictions_of_a_fold_get_the_temperature_of_images_outside_it():
    probabilities, labels = drawn(400, 3.0)
    images, splits = np.arange(400) % 200, np.arange(400) // 100  # each image twice, in folds 0 and 2, or 1 and 3
    told, mended = nested(probabilities, labels, images, splits)
    others = ~np.isin(images, images[splits == 0])
    assert set(splits[others]) == {1, 3}
    by_hand = tempered(probabilities[:100], best_temperature(probabilities[others], labels[others]))
    np.testing.assert_allclose(mended[:100], by_hand)
    assert told.value == pytest.approx(best_temperature(probabilities, labels))
    assert told.nested < told.raw


def test_a_temperature_that_does_not_help_other_images_is_left_out():
    probabilities, labels = drawn(60, 1.0)
    told, mended = nested(probabilities, labels, np.arange(60), np.arange(60) % 2)
    assert told.nested >= told.raw  # of so few images it is noise
    assert told.value == AT_REST
    assert mended is probabilities


def test_where_nothing_was_wrong_a_model_is_not_made_sure_of_everything():
    """Of few images none may be wrong; of others some are, and a temperature must not cost more there than it gains."""
    rng = np.random.default_rng(2)
    logits, labels = rng.normal(0, 1.2, (4000, 2)), rng.integers(0, 2, 4000)
    logits[np.arange(4000), labels] += 3
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    few = np.flatnonzero(probabilities.argmax(axis=1) == labels)[:60]
    told, _ = nested(probabilities[few], labels[few], few, np.arange(60) % 5)
    assert told.nested < told.raw
    others = np.setdiff1d(np.arange(4000), few)
    before, after = (log_loss(tempered(probabilities[others], each), labels[others]) for each in (AT_REST, told.value))
    assert (probabilities[others].argmax(axis=1) != labels[others]).mean() > 0.03
    assert after < before


def test_answers_are_counted_from_the_surest_on():
    sure = np.array([0.9, 0.8, 0.8, 0.7, 0.6])
    labels = np.array([0, 0, 1, 0, 1])  # wrong are one of the two equal ones, and the last
    probabilities = np.stack([sure, 1 - sure], axis=1)
    told = steps(probabilities, labels)
    assert told == [Step(0.9, 1, 0), Step(0.7, 4, 1), Step(0.6, 5, 2)]
    assert step_for(told, 0.01) == told[0]
    assert step_for(told, 0.25) == told[1]
    assert step_for(told, 0.4) == told[2]
    assert step_for([Step(0.9, 1, 1)], 0.5) is None


def test_as_many_are_wrong_as_allowed_on_new_images():
    probabilities, labels = drawn(4000, 1.0)
    step = step_for(steps(probabilities[:2000], labels[:2000]), 0.05)
    new, new_labels = probabilities[2000:], labels[2000:]
    answered = new.max(axis=1) >= step.probability
    wrong = (new.argmax(axis=1) != new_labels)[answered].mean()
    assert 0.02 < wrong < 0.08
    assert 0.2 < answered.mean() < 0.9
