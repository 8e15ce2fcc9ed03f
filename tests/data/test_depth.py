"""Deep images: one range for each kind in a data set, as the 8-bit originals of the pictures look."""

import dataclasses
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from kit.shapes import write_shapes
from PIL import Image

from search.data.decoding import BESIDE, PNG, extent_of, read_image, read_or_reason
from search.data.depth import BY_FILE, COLOUR, FLOATS, GREY, INTEGERS, Extent, Ranges, UnfitError
from search.data.images import decode, extents
from search.data.loading import read_inputs, read_synthetic
from search.options import Options
from search.study import Study
from search.system.digests import file_sha256

pytestmark = pytest.mark.quick

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8)
PICTURE[0, :2] = [[0], [255]]
SHADES = PICTURE[..., 0]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def deep_png(values, more=b""):
    """Return a PNG of 16 bits; Pillow writes none in colour."""
    height, width, channels = values.shape
    header = struct.pack(">2I5B", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    body = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return PNG + chunk(b"IHDR", header) + more + body


def by_opencv(values, suffix, *options):
    return cv2.imencode(suffix, values[..., ::-1], options)[1].tobytes()


def by_pillow(values, kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, kind, **options)
    return buffer.getvalue()


def pixel_map(values, white=65535):
    height, width = values.shape[:2]
    kind = "P5" if values.ndim == 2 else "P6"
    return f"{kind}\n{width} {height}\n{white}\n".encode() + values.astype(">u2").tobytes()


def with_alpha(values, alpha=65535):
    return np.dstack([values, np.full(values.shape[:2], alpha, np.uint16)])


def deep(bits):
    return PICTURE.astype(np.uint16) << (bits - 8)


DEEP = {  # bits -> file, kind; whose picture is PICTURE or its first channel
    "grey PNG": (lambda bits: by_pillow(deep(bits)[..., 0], "PNG"), GREY),
    "grey TIFF": (lambda bits: by_pillow(deep(bits)[..., 0], "TIFF"), GREY),
    "packed grey TIFF": (lambda bits: by_pillow(deep(bits)[..., 0], "TIFF", compression="tiff_lzw"), GREY),
    "PGM": (lambda bits: pixel_map(deep(bits)[..., 0]), GREY),
    "32-bit TIFF": (lambda bits: by_pillow(deep(bits)[..., 0].astype(np.int32), "TIFF"), INTEGERS),
    "colour PNG": (lambda bits: deep_png(deep(bits)), COLOUR),
    "colour PNG with alpha": (lambda bits: deep_png(with_alpha(deep(bits))), COLOUR),
    "grey PNG with alpha": (lambda bits: deep_png(with_alpha(deep(bits)[..., 0])), COLOUR),
    "colour TIFF": (lambda bits: by_opencv(deep(bits), ".tif", cv2.IMWRITE_TIFF_COMPRESSION, 1), COLOUR),
    "packed colour TIFF": (lambda bits: by_opencv(deep(bits), ".tif", cv2.IMWRITE_TIFF_COMPRESSION, 5), COLOUR),
    "PPM": (lambda bits: pixel_map(deep(bits)), COLOUR),
}


def seen(data, ranges, shape=(24, 32)):
    """Return an image as it is read, at its own size: nothing is scaled where it is a square of that size."""
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == shape[::-1]
    return read_image(io.BytesIO(data), 32, ranges)


def plain(values):
    return seen(by_pillow(values, "PNG"), BY_FILE)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("case", DEEP)
def test_a_deep_image_looks_like_its_8_bit_original(case, bits):
    make, kind = DEEP[case]
    data = make(bits)
    extent = extent_of(data)
    assert extent == Extent(kind, 0, 255 << (bits - 8))
    ranges = Ranges().of([extent])
    assert ranges.tops == {kind: 2**bits - 1}
    picture = PICTURE if kind == COLOUR and not case.startswith("grey") else SHADES
    np.testing.assert_array_equal(seen(data, ranges), plain(picture))


def test_floats_of_0_to_1_and_of_0_to_255():
    for factor, top in ((1 / 255, 1), (1, 255)):
        data = by_pillow(SHADES.astype(np.float32) * np.float32(factor), "TIFF")
        ranges = Ranges().of([extent_of(data)])
        assert ranges.tops == {FLOATS: top}
        np.testing.assert_array_equal(seen(data, ranges), plain(SHADES))


@pytest.mark.parametrize(
    ("kind", "dtype", "top"), [(INTEGERS, np.int32, 65535), (FLOATS, np.float32, 255), (GREY, np.uint16, 65535)]
)
def test_one_dark_file_among_others_stays_dark(kind, dtype, top):
    bright, dark = (by_pillow((SHADES * (top / 255) * part).astype(dtype), "TIFF") for part in (1, 0.002))
    ranges = Ranges().of([extent_of(bright), extent_of(dark)])
    assert ranges.tops == {kind: top}
    np.testing.assert_array_equal(seen(bright, ranges), plain(SHADES))
    assert seen(dark, ranges).max() <= 1
    if kind != GREY:
        assert seen(dark, BY_FILE).max() > 100  # as versions before saw it


def test_a_declared_highest_value_is_white():
    data = pixel_map(deep(12)[..., 0], white=4095)
    extent = extent_of(data)
    assert extent.high > 65000
    assert np.abs(seen(data, Ranges().of([extent])).astype(int) - plain(SHADES)).max() <= 1


@pytest.mark.parametrize("orientation", [3, 6, 8])
@pytest.mark.parametrize("case", ["grey PNG", "colour PNG", "grey TIFF"])
def test_deep_images_are_turned_upright(case, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    values = np.ascontiguousarray(deep(12)[:24, :24])
    if case == "colour PNG":
        data = deep_png(values, chunk(b"eXIf", exif.tobytes()[6:]))
        original = by_pillow(PICTURE[:24, :24], "PNG", exif=exif)
    else:
        data = by_pillow(values[..., 0], case.split()[1], exif=exif)
        original = by_pillow(SHADES[:24, :24], "PNG", exif=exif)
    ranges = Ranges().of([extent_of(data)])
    pixels = read_image(io.BytesIO(data), 24, ranges)
    np.testing.assert_array_equal(pixels, read_image(io.BytesIO(original), 24))
    assert read_or_reason(data, [24], ranges, "")[0].turned


def test_an_image_of_8_bits_has_no_extent():
    for kind in ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "PPM"):
        assert extent_of(by_pillow(PICTURE, kind)) is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full((8, 8), -5, np.int32), "its whole numbers go from -5 to -5"),
        (np.full((8, 8), 70_000, np.int32), "its whole numbers go from 70000 to 70000"),
        (np.full((8, 8), np.nan, np.float32), "its floating-point values go from nan to nan"),
        (np.full((8, 8), 300, np.float32), "its floating-point values go from 300 to 300"),
    ],
)
def test_values_of_no_range_are_refused_and_choose_none(values, words):
    data = by_pillow(values, "TIFF")
    ranges = Ranges().of([extent_of(data)])
    assert ranges.tops == {}
    assert read_or_reason(data, [8], ranges, "").startswith(words)


def test_a_range_that_is_recorded_stays():
    ranges = Ranges.recorded({GREY: 4095})
    assert ranges.of([Extent(GREY, 0, 200)]).tops == {GREY: 4095}
    assert ranges.of([Extent(FLOATS, 0, 0.5)]).tops == {FLOATS: 1}
    assert Ranges.recorded(None).by_file
    assert Ranges.recorded(None).of([Extent(GREY, 0, 200)]).by_file
    assert not Ranges.recorded(None).of([]).by_file


def test_few_values_above_the_range_are_white_and_many_are_refused():
    values = np.full((20, 20), 1000, np.uint16)
    values[0, :4] = 5000
    ranges = Ranges({GREY: 4095})
    assert ranges.eight_bits(values, GREY)[0].tolist() == [255] * 4 + [62] * 16
    values[0, 4] = 5000
    with pytest.raises(UnfitError, match="1% of its values lie above 4095, which is white in the 16-bit grey images"):
        ranges.eight_bits(values, GREY)
    with pytest.raises(UnfitError, match="a 16-bit colour image, of which there was none in the data set"):
        ranges.eight_bits(np.dstack([values] * 3), COLOUR)


def test_a_cut_deep_image_is_cut_off():
    for case in ("PGM", "PPM", "colour PNG", "grey PNG"):
        data = DEEP[case][0](12)
        assert "cut off" in read_or_reason(data[: len(data) // 2], [8], Ranges({GREY: 4095, COLOUR: 4095}), "")


@pytest.fixture
def scans(tmp_path):
    for number, path in enumerate(sorted(write_shapes(tmp_path / "scans", {"across": 12, "down": 12}).rglob("*.png"))):
        with Image.open(path) as image:
            grey = np.asarray(image.convert("L")).astype(np.uint16)
        Image.fromarray((grey << 4) // (20 if number % 12 == 3 else 1)).save(path)
    return tmp_path / "scans"


def test_a_data_set_has_one_range_and_says_it(scans, tmp_path):
    said = []
    inputs = read_inputs(Study(scans), Options(cache=str(tmp_path / "cache")), said.append)
    assert inputs.dataset.ranges == Ranges({GREY: 4095})
    assert "Range of 16-bit grey images (24): 0 is black and 4095 is white, as no value is higher" in said
    assert {facts.deep for facts in inputs.dataset.facts} == {GREY}
    means = inputs.images.pixels.mean(axis=(1, 2, 3))
    assert max(means[[3, 15]]) < 13
    assert min(np.delete(means, [3, 15])) > 20


def test_a_search_of_an_earlier_version_goes_on_file_by_file(scans, tmp_path):
    said = []
    options = Options(cache=str(tmp_path / "cache"))
    inputs = read_inputs(Study(scans), options, said.append, ranges=Ranges.recorded(None))
    assert inputs.dataset.ranges.by_file
    assert "Deep images: the range of each is guessed from its values, as when the search began" in said
    assert inputs.images.pixels.max() <= 15  # 12 of 16 bits, in full
    assert inputs.images.key != read_inputs(Study(scans), options, said.append).images.key


def test_images_of_8_bits_are_the_same_entries_of_the_cache(tmp_path):
    paths = sorted(write_shapes(tmp_path / "shapes", {"across": 3, "down": 3}).rglob("*.png"))
    contents = [file_sha256(path) for path in paths]
    assert extents(paths, contents, tmp_path / "cache") == {}
    by_file, now = (decode(paths, contents, 16, tmp_path / "cache", ranges=ranges) for ranges in (BY_FILE, Ranges()))
    assert by_file.key == now.key
    assert all(dataclasses.astuple(facts)[7:] == ("", 0, 0) for facts in now.facts)


def test_a_long_text_in_a_png_is_no_damage():
    whole = by_pillow(PICTURE, "PNG")
    texts = {
        b"tEXt": b"Comment\0" + bytes([97]) * 2**21,
        b"zTXt": b"Comment\0\0" + zlib.compress(bytes(2**22)),
        b"iTXt": b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(2**22)),
        b"iCCP": b"profile\0\0" + zlib.compress(bytes(2**22)),
    }
    assert set(texts) == BESIDE
    expected = read_image(io.BytesIO(whole), 32)
    for kind, text in texts.items():
        for at in (33, whole.index(b"IEND") - 4):  # before the pixels and after them
            data = whole[:at] + chunk(kind, text) + whole[at:]
            facts, [pixels] = read_or_reason(data, [32], Ranges(), "")
            np.testing.assert_array_equal(pixels, expected)
            assert facts.bytes == len(data)


def test_synthetic_images_share_the_ranges_of_the_real_ones(scans, tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    rows = ["image,label,sources"]
    for number, source in enumerate(sorted((scans / "down").iterdir())[:3]):
        with Image.open(source) as image:
            values = np.asarray(image)
        Image.fromarray(values // 8 + number).save(made / f"{number}.png")
        Image.fromarray((values / 4095).astype(np.float32)).save(made / f"{number}.tif")
        rows += [f"{number}.{suffix},down,down/{source.name}" for suffix in ("png", "tif")]
    (made / "manifest.csv").write_text("\n".join(rows))
    options = Options(cache=str(tmp_path / "cache"))
    study = Study(scans, synthetic=made)
    pool = read_synthetic(read_inputs(study, options, print), options, print)
    assert pool.ranges == Ranges({GREY: 4095, FLOATS: 1})
    earlier = Ranges({GREY: 16383, FLOATS: 255})
    inputs = read_inputs(study, options, print, ranges=earlier)
    assert inputs.dataset.ranges == Ranges({GREY: 16383})
    assert read_synthetic(inputs, options, print).ranges == earlier
