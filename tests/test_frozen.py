"""What the program did when `tests/frozen` was made it does still; the README there says what each thing is."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from kit import freezing
from kit.freezing import BEGUN, FROZEN, SHARED, alike, events, first_difference, machine, outcome, text_of

from search import Augment, Recipe

# On another processor, or with another TensorFlow, sums are taken in another order. What that changed in these few
# epochs stayed below a thousandth (oneDNN on and off, see the README): a step that is another step changes more.
CLOSE = 2e-3
ROUNDED = 1e-6  # of a report, whose numbers come from stored predictions: last decimals alone


def frozen(name):
    return json.loads((FROZEN / name).read_text(encoding="utf-8"))


def assert_same(was, now):
    assert was == now, first_difference(was, now)


# --- recipes


RECIPES = frozen("recipes.json")


@pytest.mark.parametrize("row", RECIPES, ids=lambda row: row["digest"])
def test_a_recipe_has_the_digest_and_the_fields_that_it_had(row):
    told = row["arguments"]
    recipe = Recipe(**{**told, "augment": Augment(*told.get("augment", []))})
    assert_same(text_of(row["recipe"]), text_of(recipe.to_dict()))  # as text: 1 is one image, 1.0 as many as real ones
    assert list(recipe.to_dict()) == list(row["recipe"])
    assert (recipe.digest, recipe.summary()) == (row["digest"], row["summary"])
    assert Recipe.from_dict(row["recipe"]) == recipe  # as a journal has it


def test_frozen_recipes_vary_every_field():
    recipes = [row["recipe"] for row in RECIPES]
    assert len({row["digest"] for row in RECIPES}) == len(RECIPES) == 40
    assert {text_of(recipe["synthetic_per_class"]) for recipe in recipes} >= {"1\n", "1.0\n", "0.5\n", "0\n"}
    assert len({recipe["backbone"] for recipe in recipes}) == 12
    for name in recipes[0]:
        assert len({text_of(recipe[name]) for recipe in recipes}) >= 2, name


# --- what takes longer, two at a time, begun where the first test needs one of them


def resumed(place):
    """Go on with the search that was killed: (its folder, what was printed)."""
    freezing.digits(place / "digits", freezing.uneven)
    freezing.space_file(place, "begun")
    folder = freezing.lay_out(place, FROZEN / "begun")
    return folder, freezing.command(place, *freezing.run(*BEGUN))


LONG = {
    "resumption": resumed,
    "trained": freezing.training,
    "photographed": freezing.photographs,
    "reported": freezing.report,
    "identified": freezing.identities,
}


@pytest.fixture(scope="module")
def long(request, tmp_path_factory):
    """What the chosen tests need of LONG, as futures."""
    wanted = {name for item in request.session.items if item.path == request.path for name in item.fixturenames}
    if not (SHARED / "keras" / "models").is_dir():
        wanted.discard("photographed")
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(make, tmp_path_factory.mktemp(name)) for name, make in LONG.items() if name in wanted}


@pytest.fixture(scope="module")
def resumption(long):
    return long["resumption"].result()


@pytest.fixture(scope="module")
def trained(long):
    return long["trained"].result()


@pytest.fixture(scope="module")
def photographed(long):
    if "photographed" not in long:
        pytest.skip(f"needs the real photographs and ImageNet weights in {SHARED}")
    return long["photographed"].result()


@pytest.fixture(scope="module")
def reported(long):
    return long["reported"].result()


@pytest.fixture(scope="module")
def identified(long):
    return long["identified"].result()


# --- the command line


def test_help_is_what_it_was(tmp_path):
    told = freezing.helps(tmp_path)
    assert set(told) == {path.stem for path in (FROZEN / "help").iterdir()}
    for name, text in told.items():
        assert_same((FROZEN / "help" / f"{name}.txt").read_text(encoding="utf-8"), text)


# --- identities


def test_the_digits_are_the_same_images(identified):
    assert identified["data"] == frozen("identities.json")["data"]


@pytest.mark.parametrize("name", ["finetune", "pretraining"])
def test_a_shipped_space_begins_with_the_same(identified, name):
    was, now = frozen("identities.json"), identified
    if was["versions"] == freezing.versions(*freezing.PLANNED_BY):
        assert_same(text_of(was[name]), text_of(now[name]))
    for part in ("space", "study", "training", "decoding", "planning"):  # whoever made the digits and their groups
        assert now[name]["about"]["identity"][part] == was[name]["about"]["identity"][part], part


# --- training


def assert_arrays(name, now):
    with np.load(FROZEN / f"{name}.npz", allow_pickle=False) as was:
        assert sorted(was.files) == sorted(now)
        for key in was.files:
            if frozen(f"{name}.json") == machine():
                np.testing.assert_array_equal(now[key], was[key], err_msg=key)
            else:
                np.testing.assert_allclose(now[key], was[key], atol=CLOSE, rtol=CLOSE, err_msg=key)


def test_runs_are_what_they_were(trained):
    assert_arrays("runs", trained[0])


def test_runs_with_imagenet_weights_on_photographs_are_what_they_were(photographed):
    assert_arrays("photographs", photographed)


@pytest.mark.parametrize("oracle", freezing.ORACLES)
def test_an_oracle_proposes_what_it_did(trained, oracle):
    was = frozen("proposals.json")
    rows = [json.loads(row) for row in was[oracle]]
    if was["machine"] == machine():
        assert_same(text_of(rows), text_of(trained[1][oracle]))
    elif oracle == "random":  # the others are told scores
        assert [values for values, _ in rows] == [values for values, _ in trained[1][oracle]]


# --- a search that was begun before


def test_a_search_begun_before_is_finished_without_doing_anything_twice(resumption):
    folder, printed = resumption
    before = (FROZEN / "begun" / "journal.jsonl").read_bytes()
    before = before[: before.rfind(b"\n") + 1]
    journal = folder / "journal.jsonl"
    assert journal.read_bytes().startswith(before)
    more = events(journal)[before.count(b"\n") :]
    assert [event["event"] for event in more].count("session") == 1
    jobs = [(event["trial"], event["job"]) for event in freezing.of_kind(journal, "job")]
    assert max(Counter(jobs).values()) == 1
    done = {(e["trial"], e["job"]) for e in freezing.of_kind(FROZEN / "begun" / "journal.jsonl", "job", "ahead")}
    assert not done & {(event["trial"], event["job"]) for event in more if event["event"] == "attempt"}
    assert "Resuming after" in printed
    assert (folder / "report" / "index.html").is_file()


def test_it_ends_as_one_that_was_never_interrupted(resumption):
    folder, _ = resumption
    was, now = (outcome(path) for path in (FROZEN / "begun.whole.jsonl", folder / "journal.jsonl"))
    assert [trial["trial"] for trial in was["trials"]] == [trial["trial"] for trial in now["trials"]]
    assert [trial["recipe"] for trial in was["trials"]] == [trial["recipe"] for trial in now["trials"]]
    if frozen("begun.json")["machine"] == machine():
        assert_same(text_of(was), text_of(now))
        files = [
            {(e["trial"], e["file"], e["sha256"]) for e in freezing.of_kind(path, "job", "holdout")}
            for path in (FROZEN / "begun.whole.jsonl", folder / "journal.jsonl")
        ]
        assert files[0] == files[1]  # every probability of every run
    both = was["runs"].keys() & now["runs"].keys()
    behind = [now["runs"][name]["scores"]["accuracy"] - was["runs"][name]["scores"]["accuracy"] for name in both]
    assert len(both) >= 30
    assert np.abs(behind).mean() < 0.05


# --- a report


def without_drawings(page):
    """Return a page without what a machine's fonts decide, and without the digests of its scripts."""
    for begin, end in (("<svg", "</svg>"), ('id="specifications">', "</script>"), ("script-src", ";")):
        parts = page.split(begin)
        page = begin.join([parts[0], *(part.split(end, 1)[-1] for part in parts[1:])])
    return page


def test_the_report_of_a_finished_search_is_the_same_to_the_letter(reported):
    texts, _, _ = reported
    here = frozen("report.sha256.json")["machine"] == freezing.drawn_by()
    assert sorted(texts) == sorted(path.name for path in (FROZEN / "report").iterdir())
    for name, now in texts.items():
        was = (FROZEN / "report" / name).read_text(encoding="utf-8")
        if here:
            assert was == now, f"{name}: {first_difference(was, now)}"
        else:
            was, told = (without_drawings(page) if name == "index.html" else page for page in (was, now))
            assert alike(was, told, ROUNDED), f"{name}: {first_difference(was, told)}"


def test_its_pictures_are_the_same(reported):
    was = frozen("report.sha256.json")
    assert set(was["pictures"]) == set(reported[1])
    if was["machine"] != freezing.drawn_by():
        pytest.skip("pictures are the same to the byte with the same fonts, libraries and processor only")
    assert was["pictures"] == reported[1]


def test_terminals_show_the_same(reported):
    for name, now in reported[2].items():
        was = (FROZEN / "terminal" / f"{name}.txt").read_text(encoding="utf-8")
        assert alike(was, now, ROUNDED), first_difference(was, now)
        if frozen("report.sha256.json")["machine"] == freezing.drawn_by():
            assert_same(was, now)


def test_the_frozen_report_has_something_in_every_part():
    told = json.loads((FROZEN / "report" / "report.json").read_text(encoding="utf-8"))
    absent = {"synthetic_gains", "synthetic_parts"}  # of equal recipes with and without synthetic images
    absent |= {"looked"}  # where an exported model looked: nobody asked for that
    assert {name for name, rows in told["tables"].items() if not rows} <= absent
    assert all(told["words"].values())
    assert told["winner"]["corrected_score"]
    assert told["curve"]
    assert told["slope"]
    assert told["holdout"]["looks"]
    assert {row["status"] for row in told["tables"]["trials"]} == {"completed", "stopped", "failed", "duplicate"}
