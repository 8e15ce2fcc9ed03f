"""Reports and the terminal: only complete trials are ranked, and every number can be traced to the journal."""

import dataclasses
import hashlib
import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from search import folder as folders
from search import stats
from search.data.dataset import Dataset
from search.data.folds import plan_folds, plan_table
from search.files import npz_bytes
from search.journal import Journal
from search.racing import Job, next_step
from search.recipe import Augment, Recipe
from search.report import console as terminal
from search.report.leaderboard import interval, ledger, ranked, runs_table, score, trials_table
from search.report.pages import predictions_table, write_report
from search.study import Study

ODD = ("<script>", "a|b", "größer, 'ß'", "日本", "[bold]x", "NA", "[/]", "`", '"', "7")


class Search:
    """A search folder, written as the driver writes it; runs are made up, their scores are not."""

    def __init__(self, folder, classes=("across", "down"), each=12, fractions=(1.0, 0.25)):
        rows = [(f"{name}/{number}.png", label) for label, name in enumerate(classes) for number in range(each)]
        table = pd.DataFrame(
            [(id_, label, id_, "") for id_, label in rows], columns=["id", "label", "group", "content"]
        )
        self.dataset = Dataset(folder / "data", table, tuple(classes))
        self.folds = plan_folds(self.dataset, Study("data", folds=3, train_fractions=fractions))
        about = {
            "identity": {"study": {"objective": "balanced_accuracy"}},
            "weights": {"SmallCNN": ""},
            "data": "images",
            "synthetic": None,
            "threads": 2,
            "images": len(rows),
            "classes": self.dataset.counts,
            "unreadable": [["across/torn.png", "truncated | file"]],
            "folds": [{"id": fold.id, "split": list(fold.split), "fraction": fold.fraction} for fold in self.folds],
        }
        self.folder = folder / "made"
        folders.make(self.folder)
        folders.begin(self.folder, about, "", plan_table(self.folds, self.dataset.ids).to_csv(index=False))
        self.journal = Journal(self.folder)
        self.journal.append("session", max_trials=20, racing=True)
        self.rules = folders.rules_of(about, self.history)

    @property
    def history(self):
        return self.journal.history

    @property
    def record(self):
        return folders.read_record(self.folder)

    def begin(self, recipe=None):
        number = len(self.history.trials)
        recipe = recipe or Recipe("MobileNetV2", 1, image_size=96, learning_rate=1e-3 + 1e-6 * number)
        self.journal.append("trial", trial=f"{number:04d}", values={"n": number}, recipe=recipe.to_dict())
        return self.history.trials[f"{number:04d}"]

    def train(self, trial, skill, folds=None, synthetic=None):
        """Run folds, one job each, right with a chance of ``skill``."""
        rng = np.random.default_rng([int(trial.id), 7])
        for fold in self.folds if folds is None else folds:
            arrays = self.predict(fold, skill, rng)
            data = npz_bytes({f"{fold.id}/{name}": array for name, array in arrays.items()})
            file = f"runs/{trial.id}-{trial.jobs + 1}.npz"
            (self.folder / file).write_bytes(data)
            run = {
                "fold": fold.id,
                "scores": stats.scores(arrays["labels"], arrays["probabilities"]),
                "seconds": 1.5,
                "synthetic": synthetic or {},
            }
            sha256 = hashlib.sha256(data).hexdigest()
            self.journal.append("job", trial=trial.id, job=trial.jobs + 1, file=file, sha256=sha256, runs=[run])

    def predict(self, fold, skill, rng):
        labels = self.dataset.labels[fold.validation]
        guessed = np.where(
            rng.random(len(labels)) < skill, labels, rng.integers(len(self.dataset.classes), size=len(labels))
        )
        probabilities = rng.dirichlet(np.ones(len(self.dataset.classes)), len(labels)).astype(np.float32)
        probabilities[np.arange(len(labels)), guessed] += 1
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        return {
            "ids": np.array([self.dataset.ids[row] for row in fold.validation]),
            "labels": labels,
            "probabilities": probabilities,
            "curve": np.ones(3),
        }

    def judge(self, trial):
        """Give the verdict that the rules give."""
        verdict = next_step(self.history, trial, self.rules)
        self.conclude(trial, verdict.status, verdict.score, verdict.reason)
        return trial

    def conclude(self, trial, status, score, reason):
        self.journal.append("verdict", trial=trial.id, status=status, score=score, reason=reason)

    def complete(self, skill, recipe=None):
        trial = self.begin(recipe)
        self.train(trial, skill)
        return self.judge(trial)

    def stop(self, predicted):
        trial = self.begin()
        self.train(trial, 0.0, self.folds[:2], {"asked": 8, "drawn": 6})
        self.conclude(trial, "stopped", predicted, "9.9 points behind 0000 after 2 of 6 runs")
        return trial

    def fail(self):
        trial = self.begin()
        self.journal.append("failure", trial=trial.id, job=1, error="ValueError: a|b", final=True)
        return self.judge(trial)

    def duplicate(self, of):
        return self.judge(self.begin(of.recipe))


@pytest.fixture
def made(tmp_path):
    return Search(tmp_path)


def fill(made):
    """Trials of every kind: a stopped one is predicted above all others."""
    first = made.complete(0.5)
    made.complete(0.95, Recipe("SmallCNN", None, image_size=32, augment=Augment("color", 0.3), class_weight="balanced"))
    made.stop(0.999)
    made.fail()
    made.duplicate(first)
    made.complete(0.7)
    made.begin()
    made.journal.append("end", reason="all 6 trials are done")


def nothing(made):
    pass


def one_complete(made):
    made.complete(0.9)


def all_failed(made):
    for _ in range(3):
        made.fail()


def all_stopped(made):
    for _ in range(3):
        made.stop(0.9)


def under_way(made):
    made.train(made.begin(), 0.9, made.folds[:1])


def duplicates(made):
    first = made.complete(0.9)
    for _ in range(3):
        made.duplicate(first)


def hundreds(made):
    for number in range(300):
        trial = made.begin()
        runs = [
            {
                "fold": fold.id,
                "scores": dict.fromkeys(
                    ("accuracy", "balanced_accuracy", "macro_f1", "log_loss"), number / 300 + index / 1e4
                ),
                "seconds": 1.0,
                "synthetic": {},
            }
            for index, fold in enumerate(made.folds)
        ]
        made.journal.append("job", trial=trial.id, job=1, file=f"runs/{trial.id}-1.npz", sha256="", runs=runs)
        made.judge(trial)


KINDS = (nothing, one_complete, all_failed, all_stopped, under_way, duplicates, fill, hundreds)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def any_search(request, tmp_path):
    made = Search(tmp_path)
    request.param(made)
    return made


@pytest.fixture
def filled(made):
    fill(made)
    return made


@pytest.fixture
def odd(tmp_path):
    made = Search(tmp_path, ODD, each=6)
    fill(made)
    return made


def strict_json(text):
    def refuse(name):
        pytest.fail(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def written(made):
    return {path.name: path.read_text(encoding="utf-8") for path in write_report(made.record)}


# --- tables


def test_only_complete_trials_are_ranked_best_first(filled):
    best = ranked(filled.history.trials.values())
    assert [trial.id for trial in best] == ["0001", "0005", "0000"]
    assert score(best[0]) > score(best[1]) > score(best[2])
    table = trials_table(filled.record)
    assert table["trial"].tolist() == ["0001", "0005", "0000", "0002", "0003", "0004", "0006"]
    assert table["rank"].dropna().tolist() == [1, 2, 3]
    assert table["status"].tolist() == ["completed"] * 3 + ["stopped", "failed", "duplicate", "open"]


def test_equal_scores_are_ranked_by_cost(made):
    made.complete(1.0)
    made.complete(1.0)
    slow, cheap = made.history.trials.values()
    assert score(slow) == score(cheap)
    cheap.runs = {name: dataclasses.replace(run, seconds=0.1) for name, run in cheap.runs.items()}
    assert [trial.id for trial in ranked(made.history.trials.values())] == ["0001", "0000"]


def test_stopped_failed_and_duplicate_trials_never_get_a_score(filled):
    table = trials_table(filled.record).set_index("trial")
    others = table[table["status"] != "completed"]
    assert others[["rank", "score", "score_low", "score_high"]].isna().all(axis=None)
    assert others["predicted"].dropna().to_dict() == {"0002": 0.999}
    assert table.loc["0002", "accuracy@1":"accuracy@0.25"].isna().all()  # two of three runs are no size


def test_scores_and_intervals_are_those_of_the_folds_sizes_averaged_first(filled):
    table = trials_table(filled.record).set_index("trial")
    runs = runs_table(filled.record)
    for trial in ranked(filled.history.trials.values()):
        own = runs[runs["trial"] == trial.id]
        by_fold = own.groupby(own["fold"].str.split("@").str[0])["balanced_accuracy"].mean()
        limits = stats.corrected_interval(by_fold.tolist(), folds=3)
        assert interval(trial, filled.rules) == limits
        row = table.loc[trial.id]
        assert (row["score"], row["score_low"], row["score_high"]) == pytest.approx(
            (limits.mean, limits.low, limits.high)
        )
        assert row["score"] == pytest.approx(trial.verdict.score)
        assert row["accuracy@0.25"] == pytest.approx(own.loc[own["fraction"] == 0.25, "accuracy"].mean())
        assert row["balanced_accuracy@1"] == pytest.approx(own.loc[own["fraction"] == 1, "balanced_accuracy"].mean())


def test_runs_tell_what_was_asked_and_drawn(filled):
    runs = runs_table(filled.record)
    assert len(runs) == 3 * 6 + 2
    assert runs.loc[runs["trial"] == "0002", ["synthetic_asked", "synthetic_drawn"]].to_numpy().tolist() == [[8, 6]] * 2


def test_ledger_counts_everything_once(filled):
    assert ledger(filled.record) == {
        "trials": 7,
        "trials_completed": 3,
        "trials_stopped": 1,
        "trials_failed": 1,
        "trials_duplicate": 1,
        "trials_open": 1,
        "runs_planned": 6 * 6,
        "runs_trained": 3 * 6 + 2,
        "synthetic_asked": 16,
        "synthetic_drawn": 12,
        "failures": 1,
        "training_seconds": 30.0,
        "sessions": 1,
    }


# --- files


def test_every_search_has_a_whole_report(any_search):
    texts = written(any_search)
    told = strict_json(texts["report.json"])
    trials = any_search.history.trials
    assert len(told["trials"]) == told["ledger"]["trials"] == len(trials)
    assert sum(told["ledger"][f"trials_{status}"] for status in terminal.STYLES) == len(trials)
    assert len(told["runs"]) == told["ledger"]["runs_trained"]
    best = ranked(trials.values())
    assert (told["winner"] or {}).get("trial") == (best[0].id if best else None)
    assert ("no winner" in texts["report.md"]) == (not best)
    assert "nan" not in re.findall(r"\w+", texts["report.md"])
    if trials:
        assert len(pd.read_csv(io.StringIO(texts["trials.csv"]), dtype={"trial": str})) == len(trials)


def test_numbers_that_do_not_exist_are_null(filled):
    rows = {row["trial"]: row for row in strict_json(written(filled)["report.json"])["trials"]}
    assert rows["0002"]["score"] is rows["0002"]["rank"] is rows["0001"]["predicted"] is None
    assert rows["0001"]["rank"] == 1


def cells_of(line):
    return re.split(r"(?<!\\)\|", line.strip())


@pytest.mark.parametrize("kind", [fill, hundreds])
def test_rows_of_markdown_tables_have_as_many_cells_as_their_header(tmp_path, kind):
    made = Search(tmp_path, ODD, each=6)
    kind(made)
    lines = [line for line in written(made)["report.md"].splitlines() if line.startswith("|")]
    assert len(lines) == 2 + min(20, len(made.history.trials))
    assert {len(cells_of(line)) for line in lines} == {len(cells_of(lines[0]))}
    for line in lines[2:]:
        _, rank, _, status, score_cell, limits, *_ = (cell.strip() for cell in cells_of(line))
        assert bool(rank) == bool(score_cell) == bool(limits) == (status == "completed")


def test_markdown_says_how_many_trials_it_leaves_out(made):
    hundreds(made)
    text = written(made)["report.md"]
    assert "The best of 300 complete trials is **0299**" in text
    assert "280 more are in trials.csv" in text


def test_markdown_names_what_was_left_out_and_how_it_ended(filled):
    text = written(filled)["report.md"]
    assert "across/torn.png" in text
    assert "search ended: all 6 trials are done" in text


def test_predictions_carry_the_labels_of_their_images(odd):
    texts = written(odd)
    told = pd.read_csv(io.StringIO(texts["predictions.csv"]), dtype=str, keep_default_na=False)
    plan = pd.read_csv(odd.folder / folders.FOLDS, dtype=str, keep_default_na=False)
    planned = plan[plan["part"] == "validation"]
    assert told[["fold", "id"]].to_numpy().tolist() == planned[["fold", "id"]].to_numpy().tolist()
    assert set(told["trial"]) == {"0001"}
    assert (told["id"].str.rsplit("/", n=1).str[0] == told["label"]).all()
    columns = [f"p({name})" for name in ODD]
    assert told.columns.tolist() == ["trial", "fold", "id", "label", "predicted", *columns]
    chances = told[columns].astype(float)
    assert np.allclose(chances.sum(axis=1), 1, atol=1e-3)
    assert (chances.idxmax(axis=1) == "p(" + told["predicted"] + ")").all()
    for fold, rows in told.groupby("fold"):
        right = (rows["label"] == rows["predicted"]).mean()
        assert right == pytest.approx(odd.history.trials["0001"].runs[fold].scores["accuracy"])


def remove(path):
    path.unlink()


def change(path):
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def cut(path):
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("harm", [remove, change, cut])
def test_harmed_runs_are_said_and_left_out(filled, harm):
    whole, lost = predictions_table(filled.record)
    assert lost == []
    run = filled.history.trials["0001"].runs["f1"]
    harm(filled.folder / run.file)
    rest, lost = predictions_table(filled.record)
    assert lost == [run.file]
    assert set(whole["fold"]) - set(rest["fold"]) == {"f1"}
    assert rest.equals(whole[whole["fold"] != "f1"].reset_index(drop=True))
    assert f"left out of predictions.csv: {run.file}." in written(filled)["report.md"]


def test_report_without_any_stored_run_is_still_written(filled):
    for path in (filled.folder / "runs").iterdir():
        path.unlink()
    texts = written(filled)
    assert len(texts["predictions.csv"].splitlines()) <= 1  # a header at most
    assert all(f"runs/0001-{job}.npz" in texts["report.md"] for job in range(1, 7))
    assert strict_json(texts["report.json"])["winner"]["trial"] == "0001"


# --- the terminal


def shown(draw, width):
    console = Console(record=True, width=width, file=io.StringIO())
    draw(console)
    return console.export_text()


def rows_of(text):
    return {cells[0]: line for line in text.splitlines() if (cells := re.findall(r"(?<![\d.])\d{4}(?!\d)", line))}


@pytest.mark.parametrize("width", [80, 140])
def test_leaderboard_shows_scores_at_any_width(odd, width):
    rules = odd.rules
    text = shown(lambda console: console.print(terminal.leaderboard(odd.history, rules, 10, width)), width)
    assert max(map(len, text.splitlines())) <= width
    rows = rows_of(text)
    assert list(rows) == ["0001", "0005", "0000", "0002", "0003", "0006"]  # no row for the duplicate
    for trial in ranked(odd.history.trials.values()):
        limits = interval(trial, rules)
        assert f"{score(trial):.3f}" in rows[trial.id]
        assert f"{limits.high - limits.mean:.3f}" in rows[trial.id]
    for name, word in {"0002": "stopped", "0003": "failed", "0006": "running"}.items():
        assert word in rows[name]
        before_marks = re.split("[▁-█·]", rows[name])[0]
        assert "." not in before_marks


@pytest.mark.parametrize("width", [80, 140])
def test_leaderboard_keeps_rows_for_trials_under_way(made, width):
    hundreds(made)
    made.begin()
    text = shown(lambda console: console.print(terminal.leaderboard(made.history, made.rules, 10, width)), width)
    assert list(rows_of(text)) == [f"0{number}" for number in range(299, 290, -1)] + ["0300"]


@pytest.mark.parametrize("width", [80, 140])
def test_summary_tells_the_winner_and_the_ledger(filled, width):
    text = shown(lambda console: terminal.summary(filled.record, console), width)
    assert f"{score(filled.history.trials['0001']):.3f}" in text
    assert "Trials: 3 completed, 1 stopped, 1 failed, 1 duplicate. Runs trained: 20." in text
    assert "Winner: trial 0001" in text
    assert "  augment = color 0.3" in text


def test_summary_of_every_search_can_be_printed(any_search):
    text = shown(lambda console: terminal.summary(any_search.record, console), 80)
    assert ("there is no winner" in text) == (not any_search.history.with_status("completed"))
    assert "nan" not in text


def plain():
    console = Console(file=io.StringIO(), width=80)
    return terminal.Lines(console), console.file


def test_lines_are_printed_once_for_each_beginning_and_each_end(made):
    rules = made.rules
    lines, file = plain()
    lines.begin(3)
    lines.show(made.history, rules, [])
    assert file.getvalue() == ""
    trial = made.begin()
    for _ in range(3):
        lines.show(made.history, rules, [])
    assert file.getvalue() == f"0000 begins: {trial.recipe.summary()}\n"
    made.train(trial, 0.9)
    made.judge(trial)
    for _ in range(3):
        lines.show(made.history, rules, [])
    _, ended = file.getvalue().splitlines()
    assert ended.startswith(f"0000 completed: {trial.verdict.reason}; about ")


def test_lines_of_a_resumed_search_tell_only_what_is_new(filled):
    lines, file = plain()
    lines.begin(9)
    lines.show(filled.history, filled.rules, [])
    assert file.getvalue() == "Resuming after 6 trials and 20 runs.\n"
    made = filled.complete(0.8)
    lines.show(filled.history, filled.rules, [])
    _, begun, ended = file.getvalue().splitlines()
    assert begun.startswith(f"{made.id} begins: ")
    assert ended.startswith(f"{made.id} completed: ")


def test_lines_print_markup_as_it_is():
    lines, file = plain()
    lines.say("[bold]x[/] [/nothing]")
    assert file.getvalue() == "[bold]x[/] [/nothing]\n"


def test_lines_of_a_long_decoding_are_ten_or_so():
    lines, file = plain()
    for done in range(1, 2001):
        lines.progress(done, 2000)
    assert len(file.getvalue().splitlines()) == 11


def interrupted(made, console):
    with terminal.screen(console) as view:
        view.say("[bold]said[/]")
        view.progress(1, 2)
        view.progress(2, 2)
        view.begin(9)
        view.show(made.history, made.rules, [])
        fill(made)
        trial = made.history.trials["0006"]
        view.show(made.history, made.rules, [Job(trial.id, 1, trial.recipe, ("f0@0.25",))])
        raise KeyboardInterrupt


def test_live_view_of_an_interrupted_search_leaves_scores_jobs_and_the_last_events(made):
    console = Console(force_terminal=True, file=io.StringIO(), width=140, height=40)
    with pytest.raises(KeyboardInterrupt):
        interrupted(made, console)
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", console.file.getvalue())
    assert "[bold]said[/]" in text
    assert f"{score(made.history.trials['0001']):.3f}" in text
    assert "0006 f0@0.25" in text
    assert re.search(r"\d\d:\d\d:\d\d  0005 completed: balanced_accuracy", text)
    assert "0003 failed" not in text  # five events are shown
    assert "5/9" in text  # ended and no duplicates


def test_live_view_of_every_search_can_be_drawn(any_search):
    console = Console(force_terminal=True, file=io.StringIO(), width=80)
    with terminal.LiveView(console) as view:
        view.begin(300)
        view.show(any_search.history, any_search.rules, [])
        view.show(any_search.history, any_search.rules, [])
    text = console.file.getvalue()
    assert text.count("Resuming after") == bool(any_search.history.trials)
    assert "nan" not in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599.6, "1 h 00 min"), (90061, "25 h 01 min")],
)
def test_durations_are_said_in_two_units_at_most(seconds, words):
    assert terminal.duration(seconds) == words


def test_screen_is_plain_where_there_is_no_terminal():
    assert isinstance(terminal.screen(Console(file=io.StringIO())), terminal.Lines)
