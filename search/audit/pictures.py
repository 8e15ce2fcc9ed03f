"""Checks of what pictures show: a single colour, one page of several, few of the shades that their files could hold."""

from collections.abc import Iterator

import cv2
import numpy as np

from search.audit.inspection import Inspection, count
from search.data.dataset import Dataset
from search.data.decoding import Facts
from search.data.finding import NOTE, WARNING, Finding
from search.system.machine import release

BLANK = 2.0  # standard deviation of a thumbnail's pixels, of 255
IMAGES_MAPPED = 2048  # whose memory is given back at once
NARROW = 1 / 8  # of the range of deep images: 32 shades of 256
NEARLY_ALL = 99  # percentile of an image's pixels; a mark, a dead pixel or a scale bar may lie above it
PREVIEWED = frozenset({"MPO", "HEIF"})  # formats whose further frames are previews of the first


def pages(inspection: Inspection) -> Iterator[Finding]:
    """Find stacks and animations, of which the first page is read: a warning where that shows nothing."""
    several = [row for row, facts in enumerate(inspection.dataset.facts) if holds_pages(facts)]
    if several:
        dark = set(several) & set(_flat(inspection))
        hold = "holds" if len(several) == 1 else "hold"
        text = f"{count(len(several), 'image')} {hold} several pages or frames, of which only the first is read"
        text += f"; that of {len(dark)} shows a single colour" if dark else ""
        ids = tuple(inspection.dataset.ids[row] for row in sorted(dark or several))
        way_out = "If the subject is on another page, save that one as an image of its own."
        yield Finding(WARNING if dark else NOTE, "pages", text, way_out, ids)


def narrow(inspection: Inspection) -> Iterator[Finding]:
    """Find deep images that use a small part of the range of their kind, but for a few bright pixels."""
    dataset = inspection.dataset
    facts = dataset.facts
    for kind, top in dataset.ranges.tops.items():
        rows = [row for row, fact in enumerate(facts) if fact.deep == kind and fact.low < fact.high]
        few = [row for row in rows if facts[row].high - facts[row].low < NARROW * top]
        wide = sorted(set(rows) - set(few))
        dark = [row for row in wide if np.percentile(inspection.thumbnails[row], NEARLY_ALL) < NARROW * 256]
        release(inspection.thumbnails)
        if few:
            yield _few_shades(dataset, kind, few, max(rows, key=lambda row: facts[row].high))
        if dark:
            yield _nearly_black(dataset, kind, dark)


def _few_shades(dataset: Dataset, kind: str, few: list[int], highest: int) -> Finding:
    text = (
        f"{_deep_images(kind, few)} values in less than an eighth of the range from 0 to {dataset.ranges.tops[kind]}, "
        f"and so {'shows' if len(few) == 1 else 'show'} few shades. The highest value of all images of this kind is "
        f"{dataset.facts[highest].high:g}, in {dataset.ids[highest]}"
    )
    way_out = (
        f"If {dataset.ids[highest]} alone has such high values, mend it or leave it out. Else multiply the "
        "values of all these images by one factor, and save them with 8 bits."
    )
    return Finding(WARNING, "small range", text, way_out, tuple(dataset.ids[row] for row in few))


def _nearly_black(dataset: Dataset, kind: str, dark: list[int]) -> Finding:
    top = dataset.ranges.tops[kind]
    text = (
        f"{_deep_images(kind, dark)} all but a hundredth of {'its' if len(dark) == 1 else 'their'} pixels in the "
        f"darkest eighth of the range from 0 to {top}, and so {'looks' if len(dark) == 1 else 'look'} nearly black"
    )
    way_out = (
        "If few pixels are much brighter than the others, such as dead ones or a mark, give them the highest value of "
        "the others. Else multiply the values of all these images by one factor, and save them with 8 bits."
    )
    return Finding(WARNING, "nearly black", text, way_out, tuple(dataset.ids[row] for row in dark))


def _deep_images(kind: str, rows: list[int]) -> str:
    return f"{count(len(rows), f'{kind} image')} {'has' if len(rows) == 1 else 'have'}"


def holds_pages(facts: Facts) -> bool:
    """Return whether a file holds further pictures beside the one that is read."""
    return facts.frames > 1 and facts.format not in PREVIEWED


def _flat(inspection: Inspection) -> list[int]:
    flat = []
    for row, image in enumerate(inspection.thumbnails):
        if cv2.meanStdDev(image)[1].max() < BLANK:
            flat.append(row)
        if row % IMAGES_MAPPED == 0:
            release(inspection.thumbnails)
    release(inspection.thumbnails)
    return flat


def blank(inspection: Inspection) -> Iterator[Finding]:
    """Find images of a single colour, unless their other pages, or a small part of a range, may show something."""
    facts = inspection.dataset.facts
    flat = [row for row in _flat(inspection) if not holds_pages(facts[row]) and facts[row].low == facts[row].high]
    if flat:
        ids = tuple(inspection.dataset.ids[row] for row in flat)
        text = f"{count(len(flat), 'image')} {'shows' if len(flat) == 1 else 'show'} a single colour"
        way_out = "Remove it." if len(flat) == 1 else "Remove them."
        yield Finding(WARNING, "blank", text, way_out, ids)
