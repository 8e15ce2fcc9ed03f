"""What random folds would flatter is measured where copies are, and is nothing where there are none."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from search.audit.leakage import MOST_IMAGES, Flattery, flattery, sample_in_words, sample_of, thumbnail_features


def blobs(copies):
    """Return features of noise, labels without relation to them, and who is a copy of whom."""
    rng = np.random.default_rng(0)
    originals = rng.normal(size=(60, 40))
    labels = rng.integers(0, 2, 60)
    features = np.repeat(originals, copies, axis=0) + rng.normal(scale=0.05, size=(60 * copies, 40))
    return features, np.repeat(labels, copies), np.repeat(np.arange(60), copies)


def test_copies_flatter_random_folds_and_not_grouped_ones():
    found = flattery(*_named(*blobs(6)), folds=5, seed=7)
    assert found.random > 0.9
    assert found.grouped < 0.7
    assert f"flatter by about {100 * (found.random - found.grouped):.0f} points" in str(found)


def test_without_copies_both_are_alike():
    features, labels, groups = blobs(1)
    features[:, 0] += 3 * labels
    found = flattery(*_named(features, labels, groups), folds=5, seed=7)
    assert abs(found.random - found.grouped) < 0.1


def test_what_may_be_luck_is_not_called_flattery():
    for random, images in ((0.805, 10**6), (0.79, 10**6), (0.84, 100)):
        assert str(Flattery(random, 0.8, "thumbnails", images)).startswith("Whether random folds would flatter cannot")
    assert "flatter by about 4 points" in str(Flattery(0.84, 0.8, "thumbnails", 10**4))
    assert "flatter by about 1 point of accuracy" in str(Flattery(0.8104, 0.8, "thumbnails", 10**4))


def test_a_small_set_is_classified_whole():
    labels = np.arange(MOST_IMAGES) % 7
    rows = sample_of(labels, np.arange(MOST_IMAGES), seed=3)
    assert rows.tolist() == list(range(MOST_IMAGES))
    assert sample_in_words(labels, rows) == ""


def test_of_many_classes_some_are_classified_whole_and_the_answer_says_of_how_many():
    labels = np.repeat(np.arange(300), 67)
    groups = np.arange(len(labels)) // 2
    rows = sample_of(labels, groups, seed=3)
    assert np.bincount(labels[rows]).tolist().count(67) == 44
    assert len(rows) == 44 * 67
    assert rows.tolist() == sorted(rows.tolist()) == sample_of(labels, groups, seed=3).tolist()
    assert rows.tolist() != sample_of(labels, groups, seed=4).tolist()
    words = sample_in_words(labels, rows)
    assert words == "2948 of 20100 images and 44 of 300 classes, drawn at random"
    assert f"thumbnails of {words}: 0.900 over random folds" in str(Flattery(0.9, 0.8, "thumbnails", 2948, words))


@pytest.mark.parametrize("counts", [(20000, 30), (9000, 9000), (4000, 4000, 4000)])
def test_of_large_classes_equal_numbers_are_classified_in_whole_groups(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    groups = np.array([f"g{row // 3}" for row in range(len(labels))], dtype=object)
    rows = sample_of(labels, groups, seed=3)
    classes, drawn = np.unique(labels[rows], return_counts=True)
    assert len(classes) == 2
    assert all(abs(n - min(counts[label], MOST_IMAGES // 2)) <= 2 for label, n in zip(classes, drawn, strict=True))
    within = np.isin(groups, groups[rows])
    assert (within.sum() - len(rows)) <= 2 * len(counts)  # a group at the border of two classes may be cut


def test_the_accuracy_is_that_of_scikit_learns_own_cross_validation():
    features, labels, groups = blobs(3)
    steps = []
    found = flattery(features, "noise", labels, groups, 5, 7, lambda what, done, total: steps.append((done, total)))
    model = make_pipeline(Normalizer(), LogisticRegression(C=100, max_iter=300, tol=3e-4))
    splits = StratifiedGroupKFold(5, shuffle=True, random_state=7).split(features, labels, groups)
    predicted = cross_val_predict(model, features.astype(np.float32), labels, cv=list(splits))
    assert found.grouped == pytest.approx((predicted == labels).mean())
    assert steps == [(done, 10) for done in range(11)]


def test_features_of_thumbnails_are_means_of_blocks():
    thumbnails = np.zeros((2, 96, 96, 3), np.uint8)
    thumbnails[1, :6, :6] = 60
    features = thumbnail_features(thumbnails)
    assert features.shape == (2, 16, 16, 3)
    assert features[1, 0, 0].tolist() == [60, 60, 60]
    assert features.sum() == 180


def _named(features, labels, groups):
    return features, "noise", labels, groups
