"""What a program reads of a report stays small, however many classes and rows there are."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
from kinds import Searched, document, judgement

from search.analysis.judgement import Judgement
from search.report.exhibits import confusion
from search.report.json import MOST, as_json, schema


def test_pairs_of_many_classes_are_those_that_hold_images(tmp_path):
    classes = tuple(f"class {number}" for number in range(confusion.CLASSES + 60))
    made = Searched(tmp_path, classes, each=6, folds=2, fractions=(1.0,))
    made.complete(0.5)
    whole = Judgement.of(made.record)
    frame = confusion.EXHIBIT.sheet.frame(whole)
    size = whole.winners_size
    images = np.unique(size.image).size
    assert frame["images"].sum() == len(size.labels)
    assert len(frame) <= images + len(classes)
    assert set(frame["label"]) == set(classes)
    own = frame[frame["label"] == frame["predicted"]]
    assert len(own) == len(classes)  # also those of which none is right
    assert own["images"].sum() == (size.predictions[0] == size.labels).sum()
    assert frame.drop(own.index)["images"].gt(0).all()


def test_pairs_of_few_classes_are_all_there():
    frame = confusion.EXHIBIT.sheet.frame(judgement("usual"))
    assert len(frame) == len(judgement("usual").classes) ** 2


def test_long_tables_are_shortened_and_that_is_said():
    whole = document("usual")
    rows = MOST + 7

    def lengthened(display):
        if display.exhibit.name != "folds":
            return display
        return replace(display, frame=pd.concat([display.frame] * (rows // len(display.frame) + 1)).head(rows))

    sections = [
        replace(section, rows=tuple(tuple(map(lengthened, row)) for row in section.rows)) for section in whole.sections
    ]
    told = as_json(judgement("usual"), replace(whole, sections=sections))
    assert told["shortened"] == {"folds": rows}
    assert len(told["tables"]["folds"]) == MOST
    assert set(told) == set(schema()["properties"])
    usual = as_json(judgement("usual"), whole)
    assert usual["shortened"] == {}
    assert len(json.dumps(usual)) < 1_000_000
