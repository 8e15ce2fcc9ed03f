"""Charts: valid, bounded, told apart by everyone; and the pictures made of them."""

import functools
import itertools
import json
import re

import numpy as np
import pandas as pd
import pytest
import vl_convert
from search.report.charts.gallery import CHARTS, draw
from search.report.charts.winner import gathered
from search.report.colours import DARK, LIGHT
from search.report.pictures import as_data, png, svg, themed, write_pictures
from search.report.reading import BEST, UNJUDGED, WORSE
from tables import KINDS, build, usual

from search.report import captions

# Machado, Oliveira & Fernandes (2009), severity 1: linear RGB as people see it without red, or without green, cones.
BLIND = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


@functools.cache
def made(kind):
    tables = KINDS[kind]()
    return tables, draw(tables)


def rows(spec):
    """All rows of all data of a chart."""
    return list(itertools.chain.from_iterable(spec["datasets"].values()))


def drawn(spec, field):
    return {row[field] for row in rows(spec) if field in row}


@pytest.mark.parametrize("kind", KINDS)
def test_charts_are_valid_and_vega_compiles_them(kind):
    for spec in made(kind)[1].values():  # Altair has validated them
        assert vl_convert.vegalite_to_vega(spec)["marks"]
        json.dumps(spec, allow_nan=False)


def test_every_chart_is_drawn_of_usual_tables():
    assert list(made("usual")[1]) == list(CHARTS) == list(captions.CAPTIONS)


@pytest.mark.parametrize(
    ("kind", "lacking"),
    [
        ("failed", set(CHARTS)),
        ("one", {"cost", "survival", "effects", "parallel", "loss_small", "accuracy_small"}),
        ("one_size", {"survival", "loss_small", "accuracy_small"}),
    ],
)
def test_there_is_no_chart_of_nothing(kind, lacking):
    assert set(CHARTS) - set(made(kind)[1]) == lacking


def test_many_trials_are_drawn_in_part_and_that_is_said():
    tables, specs = made("many")
    for name, most, field in (
        *(("leaderboard", captions.TRIALS, "trial"), ("cost", captions.COSTS, "trial")),
        *(("survival", captions.LINES, "trial"), ("parallel", captions.RECIPES, "trial")),
    ):
        assert len(drawn(specs[name], field)) == most
        assert f"{most} " in captions.caption(name, tables).text
        assert "trials.csv" in captions.caption(name, tables).text
    survival = tables["survival"]
    for name in ("leaderboard", "cost", "survival"):
        assert set(survival[survival["winner"] | survival["recommended"]]["trial"]) <= drawn(specs[name], "trial")
    assert {"b0", "b1"} <= drawn(specs["leaderboard"], "trial") & drawn(specs["cost"], "trial")


def test_few_trials_are_all_drawn_and_nothing_is_said_to_be_left_out():
    tables, specs = made("usual")
    complete = set(tables["trials"].query("status == 'completed'")["trial"])
    for name in ("leaderboard", "cost", "survival", "parallel"):
        assert drawn(specs[name], "trial") == complete
        assert "trials.csv" not in captions.caption(name, tables).text


def test_the_leaderboard_tells_who_is_worse_than_the_best():
    tables, specs = made("usual")
    told = tables["trials"].set_index("trial")["told_apart"]
    standing = {row["trial"]: row["standing"] for row in rows(specs["leaderboard"])}
    assert {BEST, WORSE} == set(standing.values())
    assert all((told[trial] == "yes") == (said == WORSE) for trial, said in standing.items())


def test_the_best_trial_stands_at_the_top():
    tables, specs = made("usual")
    names = [row["name"] for row in rows(specs["leaderboard"])]
    order = next(layer["encoding"]["y"]["sort"] for layer in specs["leaderboard"]["layer"] if "y" in layer["encoding"])
    assert order[0].startswith(tables["trials"].query("rank == 1")["trial"].item())
    assert set(order) == set(names)


@pytest.mark.parametrize("name", ["leaderboard", "cost", "parallel"])
def test_a_score_is_never_called_accuracy(name):
    text = json.dumps({key: part for key, part in made("usual")[1][name].items() if key != "datasets"})
    titles = [title for title in re.findall(r'"(?:title|text)": "([^"]*)"', text) if not title.startswith("accuracy,")]
    assert "score (mean over training sizes)" in " ".join(titles)
    assert "accuracy" not in " ".join(titles)


def test_a_hundred_classes_are_gathered_and_no_image_is_lost():
    tables, specs = made("hundred_classes")
    small, order = gathered(tables["confusion"])
    assert len(order) == captions.CONFUSED + 1
    assert small["images"].sum() == tables["confusion"]["images"].sum()
    diagonal = small.query("label == predicted")["images"].sum()
    assert diagonal >= tables["confusion"].query("label == predicted")["images"].sum()
    assert small.groupby("label")["share"].sum().round(6).eq(1).all()
    assert "24 of 100" in captions.caption("confusion", tables).text
    assert len(drawn(specs["recall"], "class")) == captions.RECALLS
    assert "40 worst of 100" in captions.caption("recall", tables).text


def test_a_class_may_have_the_name_of_the_others():
    classes = ("17 others", *(f"class {number}" for number in range(40)))
    small, order = gathered(build(12, classes=classes, each=10)["confusion"])
    assert len(order) == len(set(order)) == captions.CONFUSED + 1
    assert len(small["label"].unique()) == captions.CONFUSED + 1


def test_a_class_may_have_any_name():
    classes = ("a\u2028b", "c\u2029", 'it\'s "d"', "<e>", "`f`", "\\")
    for name, spec in draw(build(12, classes=classes, each=10)).items():
        assert svg(spec, name).startswith("<svg")


def test_numbers_stand_in_the_cells_of_few_classes_only():
    assert "count" in json.dumps(made("usual")[1]["confusion"]["layer"])
    assert "layer" not in made("hundred_classes")[1]["confusion"]


def test_long_names_stay_distinct():
    spec = made("hundred_classes")[1]["confusion"]
    labels = set(re.findall(r"<text [^>]*>([^<]*)</text>", svg(spec, "confusion")))
    assert len(labels) == captions.CONFUSED + 2  # and the title
    assert sum("…" in label for label in labels) > 10


def test_what_does_not_exist_is_null():
    assert {row["low"] for row in rows(made("one")[1]["leaderboard"])} == {None}


def test_a_factor_that_cannot_be_judged_says_why():
    spec = made("usual")[1]["effects"]
    assert "cannot be separated from backbone" in svg(spec, "effects")


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_contrast_is_enough(colours):
    for name in ("ink", "soft", "best", "recommended", "wrong"):
        for ground in ("paper", "shade"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)  # WCAG 2.2 AA, text
    for name in ("rest", "level3", "level4", "level5"):
        assert contrast(colours[name], colours["paper"]) >= 3, name  # marks; the lower levels recede on purpose
    for name in ("best", "wrong"):  # text on the deepest cell
        cell = 0.5 * rgb(colours[name]) + 0.5 * rgb(colours["paper"])
        assert ratio(luminance(rgb(colours["ink"])), luminance(cell)) >= 4.5, name


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("eyes", [*BLIND, "all"])
def test_colours_are_told_apart_by_everyone(colours, eyes):
    together = [*itertools.combinations(("best", "recommended", "rest", "ink"), 2), ("best", "wrong")]
    for one, other in together:
        difference = np.linalg.norm(seen_by(eyes, colours[one]) - seen_by(eyes, colours[other]))
        assert difference > 15, (one, other)  # 2.3 is just noticeable


def rgb(colour):
    return np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])


def linear(shown):
    return np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)


def luminance(shown):
    return float(linear(shown) @ [0.2126, 0.7152, 0.0722])


def ratio(one, other):
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def contrast(one, other):
    return ratio(luminance(rgb(one)), luminance(rgb(other)))


def seen_by(eyes, colour):
    """Return a colour in CIE Lab as these eyes see it."""
    light = np.clip(np.array(BLIND.get(eyes, np.eye(3))) @ linear(rgb(colour)), 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ light
    x, y, z = np.cbrt(xyz / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_pictures_are_written_beside_the_report(tmp_path):
    specs = {name: made("usual")[1][name] for name in ("strip", "recall")}
    paths = write_pictures(specs, tmp_path)
    assert paths == {"strip": "pictures/strip.png", "recall": "pictures/recall.png"}
    for name, path in paths.items():
        data = (tmp_path / path).read_bytes()
        assert data.startswith(b"\x89PNG")
        width = int.from_bytes(data[16:20])
        assert width == 2 * specs[name]["usermeta"]["width"]
    assert png(specs["strip"])[:4] == b"\x89PNG"


def test_svg_takes_the_colours_of_the_page_and_names_of_its_own():
    tables = usual()
    tables["classes"]["class"] = [LIGHT["best"], *tables["classes"]["class"][1:]]  # a class may be called so
    picture = svg(draw(tables)["recall"], "recall")
    assert 'stroke="var(--best)"' in picture
    assert f">{LIGHT['best']}</text>" in picture
    assert LIGHT["best"] not in picture.replace(f">{LIGHT['best']}<", "")
    assert all(name.startswith("recall-") for name in re.findall(r'\bid="([^"]*)"', picture))


def test_a_themed_specification_leaves_the_data_alone():
    tables = usual()
    tables["classes"]["class"] = [LIGHT["best"], *tables["classes"]["class"][1:]]
    spec = themed(draw(tables)["recall"])
    assert LIGHT["best"] in drawn(spec, "class")
    assert "var(--best)" in json.dumps(spec)
    assert LIGHT["best"] not in json.dumps(
        {key: part for key, part in spec.items() if key != "datasets"}["layer"][0]["mark"]
    )


def test_data_are_harmless_in_a_script():
    held = {"name": "</script><!--\u2028<script>&amp;"}
    text = as_data(held)
    assert not set(text) & set("<>&\u2028")
    assert json.loads(text) == held


def test_what_lacks_may_be_none_or_nan():
    tables = usual()
    objects = {name: table.astype(object).where(table.notna(), None) for name, table in tables.items()}
    assert list(draw(objects)) == list(CHARTS)
    assert rows(draw(objects)["leaderboard"]) == rows(made("usual")[1]["leaderboard"])


def test_long_curves_keep_their_ends_and_what_was_measured_seldom():
    tables = usual()
    curves = tables["curves"]
    longer = curves.assign(epoch=curves["epoch"] * 20)
    often = longer[longer["part"] == "training"].loc[lambda part: part.index.repeat(20)].reset_index(drop=True)
    often["epoch"] -= np.arange(len(often)) % 20
    tables["curves"] = pd.concat([often, longer[longer["part"] == "validation"]])
    loss = rows(draw(tables)["loss"])
    epochs = {part: {row["epoch"] for row in loss if row["part"] == part} for part in ("training", "validation")}
    assert epochs["validation"] == {20 * epoch for epoch in range(1, 16)}
    assert len(epochs["training"]) == captions.EPOCHS
    assert {1, 300} <= epochs["training"]
    assert "60 of 300 epochs" in captions.caption("loss", tables).text


def test_a_baseline_may_win_and_nobody_be_judged():
    tables = usual()
    trials = tables["trials"].assign(told_apart="", behind_p=np.nan)
    trials.loc[trials["rank"] == 1, "baseline"] = "head alone, default settings"
    specs = draw(tables | {"trials": trials, "survival": tables["survival"].assign(recommended=False)})
    assert drawn(specs["leaderboard"], "standing") == {BEST, UNJUDGED}
    assert drawn(specs["leaderboard"], "called") == {"winner", "baseline", ""}
    assert list(specs) == list(CHARTS)
