"""Pretraining, for real but short: the same at each repeat, also after an interruption, and something is learnt."""

import json
import shutil

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from search.cli.main import cli
from search.pretraining import drawing, plan, pretrain
from search.pretraining.drawing import Pictures
from search.pretraining.plan import PretrainingPlan, clear, finish, work_folder
from search.pretraining.pretrain import FusedNorm, Lessons, Student
from search.pretraining.scenes import scene
from search.pretraining.teachers import GRID, Bases, Basis, Teachers
from search.repertoire.backbones.embedded import embedded, load_weights, weights_bytes
from search.repertoire.backbones.table import BACKBONES
from search.system.errors import UserError
from search.system.files import LOCK, locked
from search.system.tf import keras, tf

SMALL = PretrainingPlan(("MobileNet_0.25",), 256, 7, 5)


class StopError(Exception):
    """Somebody pulls the plug."""


def silent(*_):
    pass


def stop_at(number):
    def pulled(_, done, __):
        if done == number:
            raise StopError

    return pulled


@pytest.fixture
def few(monkeypatch):
    """Small parts, kept often."""
    monkeypatch.setattr(drawing, "PART", 100)
    monkeypatch.setattr(pretrain, "SAVE_EVERY", 4)


def parts(folder, seed=5, count=20):
    return Pictures(folder, seed, count)


def test_pictures_are_drawn_once_and_are_those_of_their_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "PART", 8)
    pictures = parts(tmp_path)
    shown = []
    pictures.draw(2, lambda *progress: shown.append(progress))
    assert [len(part) for part in pictures.parts] == [8, 8, 4]
    assert shown[0] == ("Drawing pictures", 0, 20)
    assert shown[-1] == ("Drawing pictures", 20, 20)
    drawn = np.concatenate([pictures.load(part) for part in pictures.parts])
    np.testing.assert_array_equal(drawn[13], scene(np.random.default_rng([5, 13]), drawing.SIDE))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    pictures.file(pictures.parts[1]).unlink()
    pictures.draw(1, silent)
    after = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert [path.name for path in before if before[path] != after[path]] == ["pictures-0001-8.npy"]
    np.testing.assert_array_equal(pictures.load(pictures.parts[1]), drawn[8:16])


def test_a_basis_keeps_what_maps_differ_in():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(50, 3, 3, 4)) * (5, 3, 2, 1)
    maps = hidden @ rng.normal(size=(4, 30)) + 7
    basis = Basis.of(maps, 10, seed=1)
    told = basis.of_maps(maps)
    assert told.shape == (50, 3, 3, 10)
    spread = told.reshape(-1, 10).var(axis=0)
    assert (np.diff(spread) <= 1e-4).all(), "the most important first"
    assert spread.mean() == pytest.approx(1, abs=0.02)
    assert spread[4:].max() < 1e-4 < spread[3], "four numbers are behind it all"


def test_bases_are_as_they_were_saved(tmp_path):
    rng = np.random.default_rng(0)
    bases = Bases.of([rng.normal(size=(20, 6, 6, 80)) for _ in range(4)], seed=1)
    bases.save(tmp_path / "bases.npz")
    maps = [rng.normal(size=(2, 6, 6, 80)) for _ in range(4)]
    for one, other in zip(bases.lessons(maps), Bases.load(tmp_path / "bases.npz").lessons(maps), strict=True):
        np.testing.assert_array_equal(one, other)
    middle, last = bases.lessons(maps)
    assert middle.shape == (2, 6, 6, 2 * 64)
    assert last.shape == (2, 6, 6, 2 * 80)


def test_teachers_are_asked_at_two_depths(imagenet):
    pictures = np.stack([scene(np.random.default_rng(number), 64) for number in range(3)])
    maps = Teachers(["MobileNet_0.25", "MobileNetV2_0.35"]).maps(pictures)
    assert [one.shape for one in maps] == [(3, GRID, GRID, channels) for channels in (128, 256, 32, 1280)]
    network = keras.applications.MobileNet(
        input_shape=(None, None, 3), alpha=0.25, include_top=False, weights=str(next(imagenet.glob("models/*_2_5_*")))
    )
    enlarged = keras.ops.image.resize(pictures.astype("float32"), (192, 192))
    np.testing.assert_allclose(maps[1], network(enlarged / 127.5 - 1), atol=1e-3)


@pytest.fixture(scope="module")
def taught(tmp_path_factory, keras_home):
    """A folder with what a teacher sees in 256 pictures; asking it is interrupted once."""
    folder = tmp_path_factory.mktemp("taught")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_HOME", str(keras_home))
        patch.setattr(drawing, "PART", 100)
        pictures = Pictures(folder, SMALL.seed, SMALL.pictures)
        pictures.draw(2, silent)
        lessons = Lessons(pictures)
        with pytest.raises(StopError):
            lessons.prepare(SMALL, stop_at(100))
        assert len(list(folder.glob("last-*"))) == 1
        lessons.prepare(SMALL, silent)
    return folder


@pytest.fixture
def lessons(taught, tmp_path, imagenet, few):
    """The lessons of that folder, in one of its own."""
    shutil.copytree(taught, tmp_path, dirs_exist_ok=True)
    lessons = Lessons(Pictures(tmp_path, SMALL.seed, SMALL.pictures))
    lessons.prepare(SMALL, silent)
    return lessons


def test_each_pass_shows_each_picture_once_with_its_own_lesson(lessons):
    stored = np.concatenate([lessons.pictures.load(part) for part in lessons.pictures.parts])
    whole = np.concatenate([np.load(lessons._files(part)[1]) for part in lessons.pictures.parts])
    for at in (0, 3, 6):
        side = SMALL.side(2 * at)
        resized = pretrain._resized(stored, side)
        known = {one[:, ::way].tobytes(): (row, way) for row, one in enumerate(resized) for way in (1, -1)}
        seen = []
        for step in (2 * at, 2 * at + 1):
            shown, middle, last = lessons.batch(SMALL, step)
            rows, ways = zip(*(known[np.ascontiguousarray(one).tobytes()] for one in shown), strict=True)
            seen += rows
            assert len(set(ways)) == 1, "a batch is mirrored as a whole"
            assert middle.shape[1:3] == last.shape[1:3] == (side // 16, side // 16)
            wanted = pretrain._at_places(whole[list(rows)], side // 16)
            np.testing.assert_array_equal(last, wanted[:, :, :: ways[0]])
        assert sorted(seen) == list(range(SMALL.pictures))
    assert [SMALL.side(step) for step in range(SMALL.steps)] == [64] * 12 + [96] * 2


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def emptied(file):
    file.write_bytes(b"")


def shortened(file):
    np.save(file, np.load(file)[:1])


@pytest.mark.parametrize("spoil", [cut, emptied, shortened])
@pytest.mark.parametrize("spoilt", ["pictures-0001-100.npy", "last-pictures-0000-100.npy"])
def test_a_damaged_part_is_named_and_made_anew(lessons, spoilt, spoil):
    shown = lessons.batch(SMALL, 0)
    file = lessons.pictures.folder / spoilt
    spoil(file)
    fresh = Lessons(lessons.pictures)
    with pytest.raises(UserError, match=rf"{spoilt} is damaged .*Delete it and run the same line again"):
        fresh.batch(SMALL, 0)
    file.unlink()
    lessons.pictures.draw(1, silent)
    fresh.prepare(SMALL, silent)
    for one, other in zip(shown, fresh.batch(SMALL, 0), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("spoil", [cut, emptied])
def test_a_damaged_state_is_named(lessons, tmp_path, few, spoil):
    with pytest.raises(StopError):
        learnt(lessons, tmp_path / "student.npz", stop_at(4))
    spoil(tmp_path / "student.npz")
    with pytest.raises(UserError, match=r"student\.npz is damaged .*Delete it"):
        learnt(lessons, tmp_path / "student.npz")


def learnt(lessons, kept, progress=silent):
    student = Student(SMALL)
    said = []
    student.learn(lessons, kept, said.append, progress)
    return student.network.get_weights(), said


def test_an_interrupted_pretraining_ends_as_one_that_was_not(lessons, tmp_path):
    whole, said = learnt(lessons, tmp_path / "whole.npz")
    assert [line.split(":")[0] for line in said] == [f"Pass {number} of 7" for number in range(1, 8)]
    with pytest.raises(StopError):
        learnt(lessons, tmp_path / "pulled.npz", stop_at(6))  # the last state kept is that after four steps
    again, told = learnt(lessons, tmp_path / "pulled.npz")
    assert len(told) == 5
    for one, other in zip(whole, again, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_the_fused_norm_learns_as_the_usual_one():
    rng = np.random.default_rng(0)
    maps, wanted = rng.normal(3, 2, size=(2, 32, 8, 8, 5)).astype("float32")
    told = []
    for norm in (keras.layers.BatchNormalization(momentum=0.99, name="norm"), FusedNorm("norm")):
        norm.build(maps.shape)
        norm.gamma.assign(np.arange(1, 6))
        source = tf.Variable(maps)
        with tf.GradientTape() as tape:
            out = norm(source, training=True)
            loss = tf.reduce_sum(tf.square(out - wanted))
        gradients = tape.gradient(loss, [source, norm.gamma, norm.beta])
        told.append([out, *gradients, norm.moving_mean, norm.moving_variance, norm(maps)])
        assert norm.gamma.path == "norm/gamma"
    for one, other in zip(*told, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def test_weights_go_through_their_file_as_16_bit_floats(tmp_path):
    keras.utils.set_random_seed(3)
    network, other = embedded(), embedded()
    (tmp_path / "some.npz").write_bytes(weights_bytes(network))
    load_weights(other, tmp_path / "some.npz")
    for one, two in zip(network.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one.astype(np.float16), two)
    assert (tmp_path / "some.npz").stat().st_size < 3_000_000


def test_weights_that_16_bits_do_not_hold_are_not_written():
    network = embedded()
    network.get_layer("features").gamma.assign(np.full(512, 1e5))
    with pytest.raises(OverflowError, match="features/gamma"):
        weights_bytes(network)


def run(*options):
    return CliRunner().invoke(cli, ["pretrain", *map(str, options)], catch_exceptions=True)


def test_the_verb_makes_a_file_that_the_network_loads(tmp_path, imagenet, few):
    file = tmp_path / "mine.npz"
    told = run("--to", file, "--teacher", "MobileNet_0.25", "--pictures", 128, "--passes", 2)
    assert told.exit_code == 0, told.output
    assert [path.name for path in tmp_path.iterdir()] == ["mine.npz"]
    assert "Pass 2 of 2: last loss " in told.output
    assert f"Weights: {file}, SHA-256 " in told.output
    network = embedded()
    before = network.get_layer("block_4_conv").get_weights()[0]
    load_weights(network, file)
    assert not np.allclose(network.get_layer("block_4_conv").get_weights()[0], before)
    again = run("--to", file, "--teacher", "MobileNet_0.25")
    assert isinstance(again.exception, UserError)
    assert "nothing is overwritten" in str(again.exception)


@pytest.fixture
def at_hand(tmp_path, monkeypatch):
    """Weights of one teacher, as far as anyone looks before they are loaded."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "keras" / "models").mkdir(parents=True)
    h5py.File(tmp_path / "keras" / "models" / BACKBONES["MobileNet_0.25"].weights.file, "w").close()
    return tmp_path


def test_a_plan_is_kept_to(at_hand):
    folder = work_folder(SMALL, at_hand / "mine.npz")
    assert folder == at_hand / "mine.npz.part"
    assert json.loads((folder / "plan.json").read_text())["pictures"] == 256
    assert work_folder(SMALL, at_hand / "mine.npz") == folder
    with pytest.raises(UserError, match=r"begun otherwise: pictures was 256 and is 512 now\. Give what it was"):
        work_folder(PretrainingPlan(SMALL.teachers, 512, 7, 5), at_hand / "mine.npz")


def test_nobody_elses_files_are_taken_over_or_removed(at_hand):
    folder = at_hand / "mine.npz.part"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"mine\.npz\.part is in the way"):
        work_folder(SMALL, at_hand / "mine.npz")
    begun = work_folder(SMALL, at_hand / "other.npz")
    for name in ("thesis.txt", "pictures-0000-100.npy", "student.npz", ".last-pictures-0001-100.npy.123"):
        (begun / name).write_text("")
    ours = ("features.npy", "my-student.npz", ".notes.npz.old", "pictures-2024.npy")
    for name in ours:
        (begun / name).write_text("mine")
    (begun / "bases.npz").symlink_to(begun / "thesis.txt")
    clear(begun)
    assert {path.name for path in begun.iterdir()} == {"thesis.txt", "bases.npz", *ours}


def test_what_was_interrupted_while_clearing_up_is_ended(at_hand, monkeypatch):
    file = at_hand / "mine.npz"
    folder = work_folder(SMALL, file)
    with monkeypatch.context() as patched:
        patched.setattr(plan, "clear", lambda _: stop_at(0)("clear", 0, 0))
        with pytest.raises(StopError):
            finish(folder, file, b"weights")
    assert work_folder(SMALL, file) == folder
    (folder / "plan.json").unlink()
    assert work_folder(SMALL, file) == folder
    pretrain.pretrain(SMALL, file, folder, 1, silent, silent)
    assert file.read_bytes() == b"weights"
    assert not folder.exists()


def test_a_file_that_was_put_there_meanwhile_costs_nothing(at_hand):
    file = at_hand / "mine.npz"
    folder = work_folder(SMALL, file)
    (folder / "student.npz").write_bytes(b"hours")
    file.write_bytes(b"")
    with pytest.raises(UserError, match="was put there meanwhile"):
        finish(folder, file, b"weights")
    with pytest.raises(UserError, match="is there already, and nothing is overwritten"):
        work_folder(SMALL, file)
    assert (folder / "student.npz").read_bytes() == b"hours"
    assert file.read_bytes() == b""


def test_a_dangling_link_is_in_the_way(at_hand):
    (at_hand / "mine.npz").symlink_to(at_hand / "nowhere" / "mine.npz")
    with pytest.raises(UserError, match="is there already"):
        work_folder(SMALL, at_hand / "mine.npz")
    (at_hand / "other.npz.part").symlink_to(at_hand / "nowhere")
    with pytest.raises(UserError, match="is in the way"):
        work_folder(SMALL, at_hand / "other.npz")


@pytest.mark.parametrize("held", [b"", b"\xff\xfe", b"[1]", b"null", b'"x"', b"{"])
def test_a_damaged_plan_names_the_way_out(at_hand, held):
    folder = work_folder(SMALL, at_hand / "mine.npz")
    (folder / "plan.json").write_bytes(held)
    with pytest.raises(UserError, match=r"plan\.json is damaged: delete the folder"):
        work_folder(SMALL, at_hand / "mine.npz")


def test_what_another_version_began_is_not_gone_on_with(at_hand, monkeypatch):
    work_folder(SMALL, at_hand / "mine.npz")
    monkeypatch.setattr(plan, "PRETRAINING_VERSION", 0)
    with pytest.raises(UserError, match="another version of this program began: delete the folder"):
        work_folder(SMALL, at_hand / "mine.npz")


def test_teachers_keep_their_order(at_hand):
    models = at_hand / "keras" / "models"
    shutil.copy(*(models / BACKBONES[name].weights.file for name in ("MobileNet_0.25", "MobileNet")))
    work_folder(PretrainingPlan(("MobileNet_0.25", "MobileNet"), 256, 7, 5), at_hand / "mine.npz")
    with pytest.raises(UserError, match="begun otherwise: teachers was"):
        work_folder(PretrainingPlan(("MobileNet", "MobileNet_0.25"), 256, 7, 5), at_hand / "mine.npz")


def test_two_at_once_are_refused(at_hand):
    file = at_hand / "mine.npz"
    with locked(file.with_name(f".mine.npz{LOCK}")):
        told = run("--to", file, "--teacher", "MobileNet_0.25", "--pictures", 128, "--passes", 1)
    assert "at work" in str(told.exception)


def test_a_teacher_without_weights_is_named_and_nothing_is_begun(at_hand):
    with pytest.raises(UserError, match=r"from VGG16 without its weights: .* is not in .*name other teachers"):
        work_folder(PretrainingPlan(("MobileNet_0.25", "VGG16"), 256, 7, 5), at_hand / "mine.npz")
    assert not (at_hand / "mine.npz.part").exists()


def test_a_disk_that_is_too_small_is_told_before_anything_is_drawn(at_hand, monkeypatch):
    monkeypatch.setattr(plan, "LESSON_BYTES", 10**15)
    with pytest.raises(UserError, match=r"256 pictures need 256000000\.1 GB .* are free"):
        work_folder(SMALL, at_hand / "mine.npz")
    monkeypatch.setattr(plan, "LESSON_BYTES", 10)
    monkeypatch.setattr(plan, "PROCESS_BYTES", 10**15)
    with pytest.raises(UserError, match=r"256 pictures need 1000000\.0 GB of memory"):
        work_folder(SMALL, at_hand / "mine.npz")
    assert not (at_hand / "mine.npz.part").exists()
