"""What random folds would flatter is measured where copies are, and is nothing where there are none."""

import numpy as np

from search.audit.leakage import Flattery, flattery, thumbnail_features


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


def test_features_of_thumbnails_are_means_of_blocks():
    thumbnails = np.zeros((2, 96, 96, 3), np.uint8)
    thumbnails[1, :6, :6] = 60
    features = thumbnail_features(thumbnails)
    assert features.shape == (2, 16, 16, 3)
    assert features[1, 0, 0].tolist() == [60, 60, 60]
    assert features.sum() == 180


def _named(features, labels, groups):
    return features, "noise", labels, groups
