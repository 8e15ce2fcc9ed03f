"""Every kind of image comes out as upright RGB, once; damaged ones are named."""

import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from search.data.decoding import read_image, typical_side
from search.data.images import decode
from search.system.digests import file_sha256
from search.system.errors import UserError

pytestmark = pytest.mark.quick

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 40), (20, 40, 210), (255, 255, 255)
ORIENTATION = 0x0112
UPRIGHT = {  # what a viewer does to the stored pixels, by EXIF orientation
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: np.rot90,
}


def quarters(side=32):
    half = side // 2
    pixels = np.empty((side, side, 3), np.uint8)
    pixels[:half, :half], pixels[:half, half:], pixels[half:, :half], pixels[half:, half:] = RED, GREEN, BLUE, WHITE
    return pixels


def noise(side=64):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))


def solid(tmp_path, colour, mode="RGB", name="solid.png", **options):
    Image.new(mode, (8, 8), colour).save(tmp_path / name, **options)
    return read_image(tmp_path / name, 8)


def decode_all(paths, cache, size=8, progress=None):
    return decode(paths, [file_sha256(path) for path in paths], size, cache, progress)


def entries(cache):
    return sorted(path.name for path in (cache / "decoded").iterdir())


@pytest.fixture
def files(tmp_path):
    paths = []
    for number, colour in enumerate((RED, GREEN, BLUE)):
        paths.append(tmp_path / f"{number}.png")
        Image.new("RGB", (10, 10), colour).save(paths[-1])
    return paths


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.mark.parametrize("size", [32, 16, 48])
@pytest.mark.parametrize(("suffix", "tolerance"), [("png", 0), ("bmp", 0), ("gif", 0), ("jpg", 12), ("webp", 12)])
def test_every_format_gives_its_picture(tmp_path, suffix, tolerance, size):
    Image.fromarray(quarters()).save(tmp_path / f"a.{suffix}")
    pixels = read_image(tmp_path / f"a.{suffix}", size)
    assert pixels.shape == (size, size, 3)
    assert pixels.dtype == np.uint8
    near, far = size // 4, size - size // 4
    for at, colour in zip([(near, near), (near, far), (far, near), (far, far)], (RED, GREEN, BLUE, WHITE), strict=True):
        np.testing.assert_allclose(pixels[at], colour, atol=tolerance)


def test_an_oblong_image_is_stretched_not_cut(tmp_path):
    Image.fromarray(np.repeat(quarters(), 3, axis=1)).save(tmp_path / "wide.png")
    pixels = read_image(tmp_path / "wide.png", 32).astype(int)
    assert (abs(pixels - quarters()).max(axis=2) > 1).mean() < 0.15  # the edges between the colours are soft


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_applied(tmp_path, orientation):
    stored = quarters()
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", 32), UPRIGHT[orientation](stored))


def test_a_large_rotated_photograph_is_upright_after_the_quick_decoding(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(np.repeat(quarters(256), 2, axis=1)).save(tmp_path / "a.jpg", exif=exif, quality=95)
    pixels = read_image(tmp_path / "a.jpg", 32)
    np.testing.assert_allclose(pixels[[8, 8, 24, 24], [8, 24, 8, 24]], [BLUE, RED, WHITE, GREEN], atol=12)


def test_a_palette_is_looked_up(tmp_path):
    Image.fromarray(quarters()).quantize(4).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
    np.testing.assert_allclose(read_image(tmp_path / "a.png", 32), quarters(), atol=2)


@pytest.mark.parametrize(("mode", "value", "shade"), [("L", 90, 90), ("1", 1, 255), ("1", 0, 0), ("LA", (90, 255), 90)])
def test_grey_becomes_three_equal_channels(tmp_path, mode, value, shade):
    assert (solid(tmp_path, value, mode) == shade).all()


def test_sixteen_bit_colour_keeps_its_shade(tmp_path):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + struct.pack(">3H", 0xC800, 0x6400, 0x0A00) * 8
    header = struct.pack(">2I5B", 8, 8, 16, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(row * 8)), chunk(b"IEND", b"")]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    assert (read_image(tmp_path / "a.png", 8) == (200, 100, 10)).all()


def test_cmyk_becomes_rgb(tmp_path):
    pixels = solid(tmp_path, (0, 255, 255, 0), "CMYK", "a.jpg", quality=95)
    np.testing.assert_allclose(pixels, np.broadcast_to((255, 0, 0), pixels.shape), atol=6)


@pytest.mark.parametrize(
    ("mode", "colour", "seen"),
    [
        ("RGBA", (0, 0, 0, 0), WHITE),
        ("RGBA", (*RED, 255), RED),
        ("RGBA", (0, 100, 200, 128), (127, 177, 227)),
        ("LA", (0, 0), WHITE),
    ],
)
def test_transparency_lies_on_white(tmp_path, mode, colour, seen):
    np.testing.assert_allclose(solid(tmp_path, colour, mode), np.broadcast_to(seen, (8, 8, 3)), atol=1)


def test_a_transparent_colour_of_a_palette_lies_on_white(tmp_path):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([*RED, *BLUE])
    image.paste(0, (0, 0, 8, 4))
    image.save(tmp_path / "a.gif", transparency=0)
    pixels = read_image(tmp_path / "a.gif", 8)
    assert (pixels[:4] == WHITE).all()
    assert (pixels[4:] == BLUE).all()


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_an_animation_gives_its_first_frame(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE, GREEN)]
    lossless = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], duration=100, **lossless)
    with Image.open(tmp_path / f"a.{suffix}") as image:
        assert image.n_frames == 3
    assert (read_image(tmp_path / f"a.{suffix}", 8) == RED).all()


@pytest.mark.parametrize("part", [0.3, 0.9])
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "webp"])
def test_a_truncated_file_is_unreadable(tmp_path, cache, suffix, part):
    noise().save(tmp_path / f"a.{suffix}")
    data = (tmp_path / f"a.{suffix}").read_bytes()
    assert decode_all([tmp_path / f"a.{suffix}"], cache / "whole").readable == (0,)
    (tmp_path / f"a.{suffix}").write_bytes(data[: int(len(data) * part)])
    decoded = decode_all([tmp_path / f"a.{suffix}"], cache)
    assert decoded.readable == ()
    assert len(decoded.unreadable[0]) > 10


def test_unreadable_files_are_named_by_position_and_the_others_keep_their_order(tmp_path, cache, files):
    (tmp_path / "garbage.png").write_bytes(b"<html>not found</html>")
    (tmp_path / "empty.jpg").write_bytes(b"")
    paths = [tmp_path / "garbage.png", files[2], tmp_path / "empty.jpg", files[0]]
    decoded = decode_all(paths, cache)
    assert decoded.unreadable == {0: "a web page: the image was not downloaded", 2: "an empty file"}
    assert decoded.readable == (1, 3)
    assert decoded.pixels[:, 0, 0].tolist() == [list(BLUE), list(RED)]


def test_the_wrong_suffix_does_no_harm(tmp_path, cache, files):
    shutil.copy(files[0], tmp_path / "a.jpg")
    assert (decode_all([tmp_path / "a.jpg"], cache).pixels == RED).all()


def test_nothing_but_damaged_files_gives_no_pixels(tmp_path, cache):
    (tmp_path / "a.png").write_bytes(b"x")
    decoded = decode_all([tmp_path / "a.png"], cache)
    assert decoded.pixels.shape == (0, 8, 8, 3)
    assert decode([], [], 8, cache).pixels.shape == (0, 8, 8, 3)


def test_decoded_images_are_mapped_not_loaded(cache, files):
    pixels = decode_all(files, cache).pixels
    assert isinstance(pixels, np.memmap)
    assert not pixels.flags.writeable


def test_progress_counts_every_file(tmp_path, cache, files):
    (tmp_path / "bad.png").write_bytes(b"x")
    said = []
    decode_all([*files, tmp_path / "bad.png"], cache, progress=lambda *counts: said.append(counts))
    assert said == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_what_was_decoded_is_found_again_without_the_files(tmp_path, cache, files):
    (tmp_path / "bad.png").write_bytes(b"x")
    paths = [tmp_path / "bad.png", *files]
    contents = [file_sha256(path) for path in paths]
    first = decode(paths, contents, 8, cache)
    for path in paths:
        path.unlink()
    said = []
    again = decode(paths, contents, 8, cache, lambda *counts: said.append(counts))
    np.testing.assert_array_equal(again.pixels, first.pixels)
    assert (again.readable, again.unreadable, again.key) == (first.readable, first.unreadable, first.key)
    assert said == []


def test_renamed_files_are_found_again(cache, files):
    first = decode_all(files, cache)
    again = decode_all([path.rename(path.with_name(f"new_{path.name}")) for path in files], cache)
    assert again.key == first.key
    assert entries(cache) == [first.key]


def test_changed_content_is_decoded_anew(cache, files):
    first = decode_all(files, cache)
    Image.new("RGB", (10, 10), WHITE).save(files[1])
    again = decode_all(files, cache)
    assert again.key != first.key
    assert again.pixels[:, 0, 0].tolist() == [list(RED), list(WHITE), list(BLUE)]
    assert first.pixels[1, 0, 0].tolist() == list(GREEN)


def test_another_size_or_order_is_another_entry(cache, files):
    keys = {decode_all(files, cache).key, decode_all(files, cache, 9).key, decode_all(files[::-1], cache).key}
    assert entries(cache) == sorted(keys)
    assert len(keys) == 3


def test_stopped_decoding_leaves_no_entry(cache, files):
    def stop(done, of):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decode_all(files, cache, progress=stop)
    assert entries(cache) == []
    assert decode_all(files, cache).readable == (0, 1, 2)


def write_sizes(folder, sizes):
    paths = []
    for number, size in enumerate(sizes):
        paths.append(folder / f"{number}.png")
        Image.new("L", size).save(paths[-1])
    return paths


@pytest.mark.parametrize(
    ("sizes", "side"),
    [
        ([(40, 90), (100, 20), (60, 110)], 100),
        ([(8, 9)], 32),
        ([(2000, 10)], 160),
        ([], 160),
    ],
    ids=["median", "low", "high", "none"],
)
def test_the_typical_side_is_the_median_of_the_longest_within_limits(tmp_path, sizes, side):
    assert typical_side(write_sizes(tmp_path, sizes)) == side


def test_the_typical_side_does_without_unreadable_files(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"x")
    assert typical_side([tmp_path / "bad.png", *write_sizes(tmp_path, [(50, 40)])]) == 50


def test_the_typical_side_looks_at_all_of_a_large_set(tmp_path):
    assert typical_side(write_sizes(tmp_path, [(40, 40)] * 6 + [(90, 90)] * 9), sample=5) == 90


def test_sixteen_bit_grey_keeps_its_greys(tmp_path):
    for value, shown in ((0, 0), (300, 1), (32768, 128), (65535, 255)):
        path = tmp_path / f"{value}.png"
        Image.fromarray(np.full((8, 8), value, np.uint16)).save(path)
        assert set(read_image(path, 8).ravel().tolist()) == {shown}


def test_an_image_that_is_gone_or_changed_is_an_error_and_not_remembered(tmp_path):
    path, cache = tmp_path / "late.png", tmp_path / "cache"
    Image.new("RGB", (8, 8), "red").save(path)
    content = file_sha256(path)
    path.unlink()
    with pytest.raises(UserError, match="is gone"):
        decode([path], [content], 8, cache)
    Image.new("RGB", (8, 8), "blue").save(path)
    with pytest.raises(UserError, match="changed while the search ran"):
        decode([path], [content], 8, cache)
    Image.new("RGB", (8, 8), "red").save(path)
    assert decode([path], [content], 8, cache).pixels[0, 0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("name", ["pixels.npy", "about.json"])
def test_a_damaged_cache_entry_is_made_anew(tmp_path, name):
    path, cache = tmp_path / "a.png", tmp_path / "cache"
    Image.new("RGB", (8, 8), "red").save(path)
    decode([path], [file_sha256(path)], 8, cache)
    (entry,) = cache.rglob(name)
    entry.write_bytes(entry.read_bytes()[:10] if name.endswith("npy") else b"")
    decoded = decode([path], [file_sha256(path)], 8, cache)
    assert decoded.pixels[0, 0, 0].tolist() == [255, 0, 0]
