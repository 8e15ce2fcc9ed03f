"""The backbone that comes with the package: its file is whole, small, and worth more than random weights."""

import dataclasses
import re
import shutil

import numpy as np
import probes
import pytest
from sklearn.model_selection import cross_val_score

from search.repertoire import weights as hand
from search.repertoire.backbones.construction import construct
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.weights import check_weights, resolve, weights_file, weights_sha256
from search.space import at_hand
from search.system.digests import file_sha256
from search.system.errors import UserError

EMBEDDED, SCRATCH = BACKBONES["Embedded"], BACKBONES["Embedded_scratch"]
FILE = weights_file(EMBEDDED)
CARD = FILE.with_suffix(".md")


def test_the_file_is_the_one_of_the_table_and_small():
    assert weights_sha256(EMBEDDED) == EMBEDDED.weights.sha256 == file_sha256(FILE)
    assert FILE.stat().st_size < 3_000_000
    assert EMBEDDED.weights.sha256 in CARD.read_text()


def test_it_is_at_hand_without_a_network(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert at_hand(["MobileNet", "Embedded", "Embedded_scratch"]) == ["Embedded", "Embedded_scratch"]
    weights, missing = resolve([EMBEDDED, SCRATCH], offline=True, announce=lambda _: None)
    assert weights == {"Embedded": EMBEDDED.weights.sha256, "Embedded_scratch": ""}
    assert not missing


def test_its_weights_are_loaded_each_time_and_others_are_not():
    one, other, fresh = construct(EMBEDDED, True), construct(EMBEDDED, True), construct(SCRATCH, False)
    for first, second in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
        assert np.isfinite(first).all()
    kernels = [network.get_layer("stem_conv").get_weights()[0] for network in (one, fresh)]
    assert not np.allclose(*kernels)
    assert [weight.shape for weight in one.weights] == [weight.shape for weight in fresh.weights]


@pytest.mark.parametrize("side", [64, 96, 160])
def test_its_maps_are_a_sixteenth_of_the_picture(side):
    base = construct(EMBEDDED, True)
    assert tuple(base(np.zeros((1, side, side, 3), "float32")).shape) == (1, side // 16, side // 16, 512)
    assert [base.get_layer(name).output.shape[-1] for name in EMBEDDED.cuts] == [32, 64, 128]


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A package whose weights may be spoilt."""
    shutil.copy(FILE, tmp_path / FILE.name)
    monkeypatch.setattr(hand, "PACKAGED", tmp_path)
    return tmp_path / FILE.name


def test_a_spoilt_file_is_refused_before_anything_is_trained(copied):
    data = bytearray(copied.read_bytes())
    data[len(data) // 2] ^= 1
    copied.write_bytes(data)
    for use in (
        lambda: check_weights(EMBEDDED),
        lambda: construct(EMBEDDED, True),
        lambda: resolve([EMBEDDED], offline=False, announce=lambda _: None),
    ):
        with pytest.raises(UserError, match=rf"come with this package, are damaged: {re.escape(str(copied))}"):
            use()


def test_a_file_that_is_gone_is_named(copied):
    copied.unlink()
    with pytest.raises(UserError, match=r"are gone: .*Install it again"):
        check_weights(EMBEDDED)


def test_a_file_of_another_network_is_refused(copied):
    np.savez(copied, something=np.zeros(3))
    weights = dataclasses.replace(EMBEDDED.weights, sha256=file_sha256(copied))
    other = dataclasses.replace(EMBEDDED, weights=weights)
    with pytest.raises(UserError, match="weights of Embedded cannot be loaded"):
        construct(other, True)


def scores(images):
    """Return how well pretrained and random features tell images."""
    for name, pretrained in (("Embedded", True), ("Embedded_scratch", False)):
        features = probes.features_of(name, pretrained).predict(images.at(64), verbose=0)
        yield cross_val_score(probes.probe(), features, images.labels, cv=3).mean()


def test_its_features_tell_digits():
    assert next(scores(probes.digits().first(30))) > 0.85


def test_its_features_tell_photographs_better_than_random_ones(photographs):
    pretrained, random = scores(probes.photographs(photographs / "sign_digits").first(30))
    assert pretrained > random + 0.1


def table(number):
    """Return a table of the card: its headings, and its scores by set."""
    lines = [line for line in CARD.read_text().split("\n\n") if line.startswith("| set |")][number].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return rows[0][1:], {row[0]: [float(cell) for cell in row[1:]] for row in rows[2:]}


def test_the_card_has_every_set_and_column():
    for number, sets in ((0, set(probes.WITH_FEW)), (1, None)):
        headings, rows = table(number)
        assert headings == [column[0] for column in probes.COLUMNS]
        assert sets is None or set(rows) == sets


def test_the_card_has_every_set_of_photographs(photographs):
    assert set(table(1)[1]) == {"digits", *(path.stem for path in photographs.glob("*.csv"))}


def test_the_card_says_what_is_measured(photographs, imagenet):
    columns = [column for column in probes.COLUMNS if column[0] == "Embedded, 96 px"]
    kinds = {"few": table(0), "all": table(1)}
    small = {"hymenoptera", "tiny_flowers3", "cats_dogs"}
    compared = 0
    for kind, name, column, score in probes.measured(photographs, columns, only=small):
        headings, rows = kinds[kind]
        assert score == pytest.approx(rows[name][headings.index(column)], abs=0.02), (kind, name)
        compared += 1
    assert compared == 5
