"""Contact sheets: what they hold, how large they are, and that captions fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from search.report.sheets import (
    CAPTION,
    COLUMNS,
    CUT,
    FRAME,
    GAP,
    MARGIN,
    SIDE,
    TALLEST,
    Group,
    Tile,
    contact_sheets,
    cut,
    font,
    write_sheets,
)

RED, GREEN = (200, 30, 30), (30, 200, 30)


def plain(colour, height=SIDE, width=SIDE):
    return np.full((height, width, 3), colour, np.uint8)


def pixels(sheet):
    return np.asarray(sheet)


def count(sheet, colour):
    return int((pixels(sheet) == colour).all(axis=-1).sum())


def test_nothing_makes_no_sheet():
    assert contact_sheets([]) == []
    assert contact_sheets([Group("empty", [])]) == []


def test_images_stand_in_rows_each_group_in_its_own():
    groups = [Group("reds", [Tile(plain(RED), "red")] * 3), Group("greens", [Tile(plain(GREEN), "green")])]
    (sheet,) = contact_sheets(groups, columns=2)
    assert sheet.width == 2 * MARGIN + 2 * (SIDE + 2 * FRAME) + GAP
    assert (count(sheet, RED), count(sheet, GREEN)) == (3 * SIDE**2, SIDE**2)
    rows = [sorted({int(y) for y in np.nonzero((pixels(sheet) == colour).all(axis=-1))[0]}) for colour in (RED, GREEN)]
    assert len(rows[0]) == 2 * SIDE
    assert rows[0][-1] < rows[1][0]


@pytest.mark.parametrize(
    ("height", "width", "shown"), [(40, 60, (80, 120)), (400, 200, (144, 72)), (100, 100, (100, 100))]
)
def test_images_keep_their_proportions_and_small_ones_their_pixels(height, width, shown):
    (sheet,) = contact_sheets([Group("", [Tile(plain(RED, height, width))])])
    assert count(sheet, RED) == shown[0] * shown[1]


def test_a_frame_has_the_colour_that_it_is_given():
    (sheet,) = contact_sheets([Group("", [Tile(plain(RED), frame="#00ff00")])])
    assert count(sheet, (0, 255, 0)) == (SIDE + 2 * FRAME) ** 2 - SIDE**2


def test_where_there_is_no_picture_the_place_is_kept():
    tile = Tile(None, "moved.png")
    with_it, without = (contact_sheets([Group("", [*start, Tile(plain(RED))])])[0] for start in ((tile,), ()))
    assert with_it.width - without.width == SIDE + 2 * FRAME + GAP
    assert count(with_it, RED) == count(without, RED)


def test_many_images_fill_several_sheets_none_too_high_and_none_lost():
    tiles = [Tile(plain(RED), f"{number}\nlabel") for number in range(200)]
    sheets = contact_sheets([Group("many", tiles)], title="All")
    assert len(sheets) > 1
    assert all(sheet.height <= TALLEST for sheet in sheets)
    assert sum(count(sheet, RED) for sheet in sheets) == 200 * SIDE**2
    assert len({sheet.width for sheet in sheets}) == 1
    assert sheets[0].width == 2 * MARGIN + COLUMNS * (SIDE + 2 * FRAME + GAP) - GAP


def test_a_row_higher_than_a_sheet_still_stands_on_one():
    sheets = contact_sheets([Group("tall", [Tile(plain(RED))] * 4)], columns=2, tallest=100)
    assert [count(sheet, RED) for sheet in sheets] == [2 * SIDE**2] * 2


@settings(deadline=None)
@given(text=st.text(max_size=300), width=st.integers(30, 400))
def test_a_caption_fits_and_a_short_one_is_whole(text, width):
    shown = cut(text, width, font(CAPTION))
    assert font(CAPTION).getlength(shown) <= max(width, font(CAPTION).getlength(CUT))
    assert "\n" not in shown
    assert cut(shown, width, font(CAPTION)) == shown


def test_a_long_caption_keeps_both_ends():
    shown = cut("cats/a-very-long-name-of-a-photograph-0001.jpg", 150, font(CAPTION))
    start, _, end = shown.partition(CUT)
    assert "cats/a-very".startswith(start[:10])
    assert end.endswith("0001.jpg")


def test_letters_that_the_font_lacks_are_told_apart():
    assert cut("größer Жα", 500, font(CAPTION)) == "größer Жα"
    assert cut("日本", 500, font(CAPTION)) == r"\u65e5\u672c"


def test_sheets_are_written_and_those_of_an_earlier_command_removed(tmp_path):
    sheets = contact_sheets([Group("", [Tile(plain(RED))] * 2)], columns=1, tallest=100)
    for name in ("hard-7.png", "hard.png", "harder.png", "hard-8.csv"):
        (tmp_path / name).write_bytes(b"earlier")
    paths = write_sheets(sheets, tmp_path, "hard")
    assert [path.name for path in paths] == ["hard-1.png", "hard-2.png"]
    assert {path.name for path in tmp_path.iterdir()} == {"hard-1.png", "hard-2.png", "harder.png", "hard-8.csv"}
    assert (pixels(Image.open(paths[1])) == pixels(sheets[1])).all()
    (only,) = write_sheets(sheets[:1], tmp_path, "hard")
    assert {path.name for path in tmp_path.iterdir()} == {only.name, "harder.png", "hard-8.csv"}
