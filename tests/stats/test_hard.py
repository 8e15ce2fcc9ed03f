"""Hard images, suspicious labels, confused classes."""

import numpy as np
import pytest

from search.analysis.stats.hard import confused, label_errors, vote_entropy, votes_of, wrong_share

pytestmark = pytest.mark.quick


def test_an_image_is_counted_once_a_recipe():
    labels = np.array([0, 1, 1, 0, 0, 0])
    rows = np.array([0, 2, 2, 3, 3, 3])
    predicted = np.array([[1, 1, 0, 1, 1, 0], [0, 0, 0, 0, 0, 1]])
    wrong, times = wrong_share(predicted, labels, rows)
    # Image 2: half of two predictions is not more than half; image 1 was never predicted.
    assert wrong.tolist() == [1, 0, 1, 1]
    assert times.tolist() == [2, 0, 2, 2]
    none, never = wrong_share(np.zeros((3, 0), int), np.zeros(0, int), np.zeros(0, int))
    assert len(none) == len(never) == 0


def suspects(probabilities, labels):
    """Confident learning, plainly: Northcutt et al. (2021), equations 1 and 2, with the argmax not below them."""
    n, classes = probabilities.shape
    thresholds = []
    for j in range(classes):
        own = [probabilities[i][j] for i in range(n) if labels[i] == j]
        thresholds.append(sum(own) / len(own) if own else float("inf"))
    found = {}
    for i in range(n):
        confident = [j for j in range(classes) if probabilities[i][j] >= thresholds[j]]
        if confident:
            j = max(confident, key=lambda j: probabilities[i][j])
            if j != labels[i] and probabilities[i][j] == max(probabilities[i]):
                found[i] = j
    return found


@pytest.mark.parametrize("seed", range(10))
def test_suspicious_labels_are_those_of_confident_learning(seed):
    rng = np.random.default_rng(seed)
    true = rng.integers(3, size=120)
    labels = np.where(rng.random(120) < 0.1, rng.integers(3, size=120), true)
    probabilities = rng.dirichlet(np.ones(4), 120) * 0.6
    probabilities[np.arange(120), true] += 0.4
    found = label_errors(probabilities, labels)
    assert {each.image: each.suggested for each in found} == suspects(probabilities, labels)
    margins = [each.confidence - each.own for each in found]
    assert margins == sorted(margins, reverse=True)
    assert all(each.label == labels[each.image] != each.suggested for each in found)


def test_swapped_labels_are_found_again():
    true = np.arange(200) % 4
    labels = true.copy()
    labels[:8] = (labels[:8] + 1) % 4
    probabilities = np.full((200, 4), 0.1)
    probabilities[np.arange(200), true] = 0.7
    assert {each.image for each in label_errors(probabilities, labels)} == set(range(8))


def test_confusions_are_counted():
    found = confused(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 4)
    assert found.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert confused(np.zeros(0, int), np.zeros(0, int), 3).sum() == 0


def test_every_vote_on_an_image_counts():
    predicted, rows = np.array([[0, 1, 1], [2, 1, 0]]), np.array([0, 3, 3])
    assert votes_of(predicted, rows, (4, 3)).tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 0], [1, 3, 0]]


def test_vote_entropy_is_that_of_dagan_and_engelson():
    votes = np.array([[6, 0, 0], [3, 3, 0], [2, 2, 2], [5, 1, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0]])
    shares = [5 / 6, 1 / 6]
    half = np.log(2) / np.log(3)
    uneven = -sum(share * np.log(share) for share in shares) / np.log(3)
    assert vote_entropy(votes) == pytest.approx([0, half, 1, uneven, 1, 0, 0])


@pytest.mark.parametrize("seed", range(5))
def test_vote_entropy_stays_in_its_range_and_classes_can_be_renamed(seed):
    votes = np.random.default_rng(seed).integers(0, 6, (50, 4))
    entropy = vote_entropy(votes)
    assert (entropy >= 0).all()
    assert (entropy <= 1 + 1e-12).all()
    assert vote_entropy(votes[:, ::-1]) == pytest.approx(entropy)
