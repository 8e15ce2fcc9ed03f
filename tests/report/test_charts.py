"""Charts: valid, bounded, told apart by everyone; and the pictures made of them."""

import io
import itertools
import json
import re

import altair as alt
import kinds
import numpy as np
import pytest
import vl_convert
from kinds import KINDS, Searched, figures, frames, judgement
from PIL import Image, ImageChops

from search.analysis.judgement import Judgement
from search.analysis.stats.comparing import Standing
from search.repertoire.recipe import Recipe
from search.report import contents
from search.report.drawing import DrawingError, svg_of
from search.report.exhibits import classes, confusion, cost, curves, leaderboard, parallel, survival
from search.report.figures import Pictures, as_data, bundle, png, specification, svg, themed
from search.report.style import DARK, LIGHT

# Machado, Oliveira & Fernandes (2009), severity 1: linear RGB as people see it without red, or without green, cones.
BLIND = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}

OPTIONAL = contents.exhibits([chapter for chapter in contents.CHAPTERS if chapter.is_optional])
CHARTS = [exhibit.figure for exhibit in contents.exhibits() if exhibit.plot and exhibit not in OPTIONAL]


def charts(made):
    """The charts of a search, by their names."""
    displays = contents.document(Judgement.of(made.record)).displays
    return {display.figure.name: display.figure for display in displays if display.figure}


def rows(figure):
    """All rows of all data of a chart."""
    return list(itertools.chain.from_iterable(figure.spec["datasets"].values()))


def values(figure, field):
    return {row[field] for row in rows(figure) if field in row}


@pytest.mark.parametrize("kind", KINDS)
def test_charts_are_valid_and_vega_compiles_them(kind):
    for figure in figures(kind).values():
        alt.TopLevelSpec.validate(figure.spec)  # against the schema of Vega-Lite, which a report leaves out
        assert vl_convert.vegalite_to_vega(figure.spec)["marks"]
        json.dumps(figure.spec, allow_nan=False)


def test_the_script_of_charts_is_made_once_for_all_reports(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = bundle.__wrapped__()
    assert "vegaEmbed" in made
    monkeypatch.setattr("search.report.figures.script", lambda: pytest.fail("made again"))
    assert bundle.__wrapped__() == made


def test_a_cache_of_something_else_is_done_without(tmp_path, monkeypatch):
    thesis = tmp_path / "finetune-search" / "thesis"
    thesis.mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "vegaEmbed" in bundle.__wrapped__()
    assert list(thesis.parent.iterdir()) == [thesis]


def test_every_chart_is_drawn_of_a_usual_search_or_of_a_study():
    assert list(figures("usual")) == CHARTS
    drawn = figures("study")
    assert {exhibit.figure for exhibit in OPTIONAL if exhibit.plot} <= set(drawn)


@pytest.mark.parametrize(
    ("kind", "lacking"),
    [
        ("failed", set(CHARTS)),
        ("empty", set(CHARTS)),
        ("one", {"cost", "survival", "effects", "interaction", "parallel", "loss_small", "accuracy_small"}),
        ("two", {"survival", "effects", "interaction", "parallel", "loss_small", "accuracy_small"}),
    ],
)
def test_there_is_no_chart_of_nothing(kind, lacking):
    assert set(CHARTS) - set(figures(kind)) == lacking


def test_many_trials_are_drawn_in_part_and_that_is_said():
    many, trials = figures("many"), "trials.csv"
    for name, most in (
        *(("leaderboard", leaderboard.MOST), ("cost", cost.MOST)),
        *(("survival", survival.MOST), ("parallel", parallel.MOST)),
    ):
        assert len(values(many[name], "trial")) == most
        assert f"{most} " in many[name].reading
        assert trials in many[name].reading
    for name in ("leaderboard", "cost", "survival"):
        assert {judgement("many").winner.id, judgement("many").recommended.id} <= values(many[name], "trial")
    assert {"b0", "b1"} <= values(many["leaderboard"], "trial") & values(many["cost"], "trial")


def test_of_many_recipes_the_lines_are_the_best_and_some_of_all_the_rest():
    drawn = values(figures("many")["parallel"], "trial")
    ranks = [rank for rank, trial in enumerate(proposed(judgement("many"))) if trial.id in drawn]
    best = parallel.MOST // 2
    assert ranks[:best] == list(range(best))
    assert ranks[-1] == len(proposed(judgement("many"))) - 1
    steps = np.diff(ranks[best:])
    assert steps.max() - steps.min() <= 1


def proposed(told):
    """The complete trials without the baselines, best first."""
    return [trial for trial in told.complete if not trial.baseline]


def test_few_trials_are_all_drawn_and_nothing_is_said_to_be_left_out():
    complete = {trial.id for trial in judgement("usual").complete}
    for name in ("leaderboard", "cost", "survival", "parallel"):
        drawn = complete - {"b0", "b1"} if name == "parallel" else complete
        assert values(figures("usual")[name], "trial") == drawn
        assert "trials.csv" not in figures("usual")[name].reading


def test_the_leaderboard_tells_who_is_worse_than_the_best():
    contenders = {trial.id for trial in judgement("usual").contenders}
    standing = {row["trial"]: row["standing"] for row in rows(figures("usual")["leaderboard"])}
    assert set(standing.values()) > {Standing.BEST, Standing.ALIKE}
    assert all((trial in contenders) == (told in {Standing.BEST, Standing.ALIKE}) for trial, told in standing.items())


def test_word_colour_and_p_follow_one_rule():
    told = frames("usual")["trials"].query("rank > 1").set_index("trial")
    marks = {row["trial"]: row["standing"] for row in rows(figures("usual")["leaderboard"])}
    for name, row in told.iterrows():
        if row["behind_p"] < 0.05:
            expected = "worse"
        else:
            expected = "probably worse" if row["behind_p_alone"] < 0.05 else "cannot be told apart"
        assert row["standing"] == marks.get(name, expected) == expected
    assert len(marks) > 10


def test_the_best_trial_stands_at_the_top():
    spec = figures("usual")["leaderboard"].spec
    names = [row["name"] for row in rows(figures("usual")["leaderboard"])]
    order = next(layer["encoding"]["y"]["sort"] for layer in spec["layer"] if "y" in layer["encoding"])
    assert order[0].startswith(judgement("usual").winner.id)
    assert set(order) == set(names)


@pytest.mark.parametrize("name", ["leaderboard", "cost", "parallel"])
def test_a_score_is_never_called_accuracy(name):
    spec = figures("usual")[name].spec
    text = json.dumps({key: part for key, part in spec.items() if key != "datasets"})
    titles = [title for title in re.findall(r'"(?:title|text)": "([^"]*)"', text) if not title.startswith("accuracy,")]
    assert "score (mean over training sizes)" in " ".join(titles)
    assert "accuracy" not in " ".join(titles)


def test_a_hundred_classes_are_gathered_and_no_image_is_lost():
    whole = frames("hundred_classes")["confusion"]
    small, order = confusion.gather(whole)
    assert len(order) == confusion.WORST + 1
    assert small["images"].sum() == whole["images"].sum()
    diagonal = small.query("label == predicted")["images"].sum()
    assert diagonal >= whole.query("label == predicted")["images"].sum()
    assert small.groupby("label")["share"].sum().round(6).eq(1).all()
    drawn = figures("hundred_classes")
    assert "24 of 100" in drawn["confusion"].reading
    assert len(values(drawn["recall"], "class")) == classes.MOST
    assert "40 worst of 100" in drawn["recall"].reading


def test_a_class_may_have_the_name_of_the_others(tmp_path):
    made = Searched(tmp_path, ("17 others", *(f"class {number}" for number in range(40))), each=6, folds=2)
    made.complete(0.8)
    frame = confusion.EXHIBIT.sheet.frame(Judgement.of(made.record))
    small, order = confusion.gather(frame)
    assert len(order) == len(set(order)) == confusion.WORST + 1
    assert len(small["label"].unique()) == confusion.WORST + 1


def test_a_class_may_have_any_name(tmp_path):
    made = Searched(tmp_path, ("a\u2028b", "c\u2029", 'it\'s "d"', "<e>", "`f`", "\\"), each=6, folds=2)
    made.complete(0.8)
    for name, figure in charts(made).items():
        assert svg(figure.spec, name).startswith("<svg")


def test_numbers_stand_in_the_cells_of_few_classes_only():
    assert "count" in json.dumps(figures("usual")["confusion"].spec["layer"])
    assert "layer" not in figures("hundred_classes")["confusion"].spec


def test_long_names_stay_distinct():
    picture = svg(figures("hundred_classes")["confusion"].spec, "confusion")
    labels = set(re.findall(r"<text [^>]*>([^<]*)</text>", picture))
    assert len(labels) == confusion.WORST + 2  # and the title
    assert sum("…" in label for label in labels) > 10


def test_what_does_not_exist_is_null():
    assert {row["low"] for row in rows(figures("one")["leaderboard"])} == {None}


def test_a_factor_that_cannot_be_judged_says_why(tmp_path):
    made = Searched(tmp_path, each=6)
    for number in range(12):
        twins = {"backbone": kinds.BACKBONES[number % 3], "dropout": 0.1 * (number % 3)}
        recipe = Recipe(unfrozen_blocks=number // 3 % 2, learning_rate=1e-3 * (1 + number // 6), image_size=96, **twins)
        made.complete(kinds.skill_of(recipe, number), recipe)
    note = "cannot be separated from"
    assert any(note in row.get("said", "") for row in rows(charts(made)["effects"]))
    assert note in svg(charts(made)["effects"].spec, "effects")


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
    several = {name: figures("usual")[name] for name in ("strip", "recall")}
    with Pictures() as pictures:
        for figure in several.values():
            pictures.begin(figure)
        paths = pictures.write(tmp_path)
    assert paths == {"strip": "pictures/strip.png", "recall": "pictures/recall.png"}
    for name, path in paths.items():
        data = (tmp_path / path).read_bytes()
        assert data.startswith(b"\x89PNG")
        width = int.from_bytes(data[16:20])
        assert width == 2 * several[name].spec["usermeta"]["width"]


def test_a_picture_says_what_it_shows_above_it():
    strip = figures("usual")["strip"]
    bare, titled = (Image.open(io.BytesIO(png(strip.spec, title))) for title in ("", "<A & B>, " * 30))
    assert titled.width == bare.width
    above = titled.height - bare.height
    assert above > 4 * 22  # several lines
    below = titled.convert("L").crop((0, above, titled.width, titled.height))
    assert ImageChops.difference(below, bare.convert("L")).getextrema()[1] < 60  # the same chart, to its few colours
    assert titled.convert("L").crop((0, 0, titled.width, above)).getextrema()[0] < 90  # there is ink


@pytest.fixture
def coloured(tmp_path):
    """The recall of classes, one of which is called as a colour is written."""
    made = Searched(tmp_path, (LIGHT["best"], "other"), each=6, folds=2)
    made.complete(0.8)
    return charts(made)["recall"]


def test_svg_takes_the_colours_of_the_page_and_names_of_its_own(coloured):
    picture = svg(coloured.spec, "recall")
    assert 'stroke="var(--best)"' in picture
    assert f">{LIGHT['best']}</text>" in picture
    assert LIGHT["best"] not in picture.replace(f">{LIGHT['best']}<", "")
    assert all(name.startswith("recall-") for name in re.findall(r'\bid="([^"]*)"', picture))


def test_a_themed_specification_leaves_the_data_alone(coloured):
    spec = themed(coloured.spec)
    assert LIGHT["best"] in {row.get("class") for some in spec["datasets"].values() for row in some}
    assert "var(--best)" in json.dumps(spec)
    assert LIGHT["best"] not in json.dumps(spec["layer"][0]["mark"])


def test_data_are_harmless_in_a_script():
    held = {"name": "</script><!--\u2028<script>&amp;"}
    text = as_data(held)
    assert not set(text) & set("<>&\u2028")
    assert json.loads(text) == held


def test_long_curves_keep_their_ends_and_what_was_measured_seldom():
    loss = rows(figures("many")["loss"])
    epochs = {part: {row["epoch"] for row in loss if row["part"] == part} for part in ("training", "validation")}
    assert epochs["validation"] == set(range(286, 301))
    assert len(epochs["training"]) == curves.EPOCHS
    assert {1, 300} <= epochs["training"]
    assert "60 of 300 epochs" in figures("many")["loss"].reading


def test_a_baseline_may_win_and_nobody_be_judged(tmp_path):
    made = Searched(tmp_path, splits="shuffle", folds=1, val=0.25)
    made.baseline(0.95)
    kinds.add_trials(made, 4)
    drawn = charts(made)
    assert values(drawn["leaderboard"], "standing") == {Standing.BEST, Standing.UNJUDGED}
    assert "baseline" in values(drawn["leaderboard"], "what")
    assert values(drawn["leaderboard"], "called") <= {"winner, recommended", "winner", "recommended", "baseline", ""}


def test_a_chart_is_the_same_whatever_was_drawn_before_it():
    chart = alt.Chart(alt.Data(values=[{"x": 1, "y": 1}])).mark_line(clip=True).encode(x="x:Q", y="y:Q")
    spec = json.dumps(chart.to_dict())
    first = svg_of(spec)
    assert 'id="clip1"' in first
    assert "url(#clip1)" in first
    assert svg_of(spec) == first


def test_a_text_that_makes_the_chart_library_abort_ends_no_process_and_is_replaced():
    values = alt.Data(values=[{"name": f"a{letter}b", "n": 1} for letter in "\uffff\ufffe\x00\x1b\u2028"])
    chart = alt.Chart(values).mark_bar().encode(x="name:N", y="n:Q").properties(usermeta={"width": 200}, width=200)
    with pytest.raises(DrawingError, match="the chart library died"):
        svg_of(json.dumps(chart.to_dict()))
    drawn = svg(specification(chart), "x")
    assert drawn.count("a\ufffdb") >= 1
    assert "a␤b" in drawn
