"""Checks of what pictures show: a single colour, one page of several, few of the shades that their files could hold."""

from collections.abc import Iterator

import cv2

from search.audit.inspection import Inspection, count
from search.data.decoding import Facts
from search.data.finding import NOTE, WARNING, Finding
from search.system.machine import release

BLANK = 2.0  # standard deviation of a thumbnail's pixels, of 255
IMAGES_MAPPED = 2048  # whose memory is given back at once
NARROW = 1 / 8  # of the range of deep images: 32 shades of 256
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
    """Find deep images that use a small part of the range of their kind."""
    dataset = inspection.dataset
    for kind, top in dataset.ranges.tops.items():
        rows = [row for row, facts in enumerate(dataset.facts) if facts.deep == kind]
        facts = dataset.facts
        few = [row for row in rows if 0 < facts[row].high - facts[row].low < NARROW * top]
        if few:
            ids = tuple(dataset.ids[row] for row in few)
            highest = max(rows, key=lambda row: facts[row].high)
            text = (
                f"{count(len(few), f'{kind} image')} {'has' if len(few) == 1 else 'have'} values in less than an "
                f"eighth of the range from 0 to {top}, and so {'shows' if len(few) == 1 else 'show'} few shades. The "
                f"highest value of all images of this kind is {facts[highest].high:g}, in {dataset.ids[highest]}"
            )
            way_out = (
                f"If {dataset.ids[highest]} alone has such high values, mend it or leave it out. Else multiply the "
                "values of all these images by one factor, and save them with 8 bits."
            )
            yield Finding(WARNING, "small range", text, way_out, ids)


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
        yield Finding(WARNING, "blank", f"{count(len(flat), 'image')} show a single colour", "Remove them.", ids)
