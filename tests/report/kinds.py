"""Searches of every kind that a report must show, made by the program but for the training, and their judgements.

cd tests/report && PYTHONPATH=../..:.. python kinds.py    # writes what their reports say into wording.json
"""

import functools
import hashlib
import json
import os
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from kit.lines import event
from kit.searches import Search, all_failed, nothing
from PIL import Image

from search.analysis import stats
from search.analysis.judgement import Judgement
from search.repertoire.augmentation import Augment
from search.repertoire.recipe import Recipe
from search.report import contents
from search.report.html import page
from search.report.thumbnails import thumbnails
from search.system.files import npz_bytes

NASTY = ("<script>alert(1)</script>", "a|b", "*bold* `code` [x](http://y.z)", "</script><!--", 'ants & "bees"\'')
LONG = (
    "很长的中文类别名称用来检查版面是否会被破"
    "坏因为真实数据里的文件夹名称可能非常长甚"
    "至超过六十个字符并且没有任何空格可以换行"
)
MATERIALS = ("glass", "metal", "paper", "plastic")
FINDINGS = [
    {"level": "warning", "topic": "near-duplicates", "text": "12 images form 6 groups", "way_out": "Look at them."}
    | {"files": [f"{number}.jpg" for number in range(15)]},
    {"level": "note", "topic": "sizes", "text": "images are 24 px", "way_out": "", "files": []},
]
ABOUT = {"findings": FINDINGS, "synthetic": "images-synthetic", "synthetic_unsourced": 3, "beside_holdout": 2}
BACKBONES = ("MobileNetV2", "MobileNet_0.25", "EfficientNetV2B0")


class Searched(Search):
    """A search whose runs are one job of a trial, with curves of the validation part; some images are told badly."""

    def __init__(self, folder, classes=MATERIALS, **how):
        super().__init__(folder, classes, about={"root": str(folder / "images"), **how.pop("about", {})}, **how)
        self.epochs, self.alike, self.memory = 3, False, {}

    def predict(self, fold, skill, rng):
        arrays = super().predict(fold, skill, rng)
        hard = np.array([id_.endswith(("/3.png", "/5.png")) for id_ in arrays["ids"]])
        other = (arrays["labels"][hard] + 1) % len(self.dataset.classes)
        arrays["probabilities"][hard] *= 0.1
        arrays["probabilities"][hard, other] += 0.9
        epochs = np.arange(1, self.epochs + 1)
        loss, accuracy = 1.1 * np.exp(-epochs / 4), 1 - np.exp(-epochs / 4) / 3
        arrays["curve"] = np.column_stack([loss + 0.01 * rng.random(len(epochs)), accuracy])
        arrays["validation"] = np.column_stack([epochs, loss + 0.3, accuracy - 0.1])[-15:]
        return arrays

    def train(self, trial, skill, folds=None, synthetic=None):
        """Run folds in one job, as heads do."""
        arrays, runs = {}, []
        rng = np.random.default_rng([*trial.id.encode(), 7])
        for fold in self.folds if folds is None else folds:
            own, scores = self.score(fold, skill, rng)
            arrays |= {f"{fold.id}/{name}": array for name, array in own.items()}
            seconds = 1.5 + 0.1 * (int(trial.id[-1]) + len(trial.id))
            seconds *= 9 if trial.recipe.unfrozen_blocks else 1
            runs.append({"fold": fold.id, "scores": scores, "seconds": seconds, "synthetic": synthetic or {}})
        data, file = npz_bytes(arrays), f"runs/{trial.id}-{trial.jobs + 1}.npz"
        (self.folder / file).write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        line = event("job", trial=trial.id, job=trial.jobs + 1, file=file, sha256=sha256, runs=runs)
        self.journal.append(line)

    def score(self, fold, skill, rng):
        """Return the arrays and scores of a run, the same for equal skills where trials may be alike."""
        key = (fold.id, skill, self.epochs)
        if not self.alike or key not in self.memory:
            own = self.predict(fold, skill, rng)
            self.memory[key] = own, stats.scores(own["labels"], own["probabilities"])
        return self.memory[key]

    def stop(self, predicted, recipe=None):
        trial = self.begin(recipe)
        asked = {"asked": {"glass": 8, "metal": 4}, "admissible": {"glass": 3, "metal": 9}}
        self.train(trial, predicted, self.folds[:2], asked | {"drawn": {"glass": 3, "metal": 4}})
        self.conclude(trial, "stopped", predicted, "9.9 points behind 0000 after 2 of 6 runs")
        return trial

    def write_images(self):
        """Write the images and their table, some of them in groups, one group with different labels."""
        table = self.dataset.table.copy()
        for number, id_ in enumerate(table["id"]):
            path = Path(str(self.dataset.root.parent / "images")) / id_
            path.parent.mkdir(parents=True, exist_ok=True)
            draw = np.random.default_rng(number)
            pixels = np.tile(draw.integers(0, 255, 3), (24, 16 + number % 16, 1))
            pixels[6:12, 4:9] = draw.integers(0, 255, 3)
            Image.fromarray(pixels.astype("uint8")).save(path)
            table.loc[number, "content"] = hashlib.sha256(path.read_bytes()).hexdigest()
        table["label"] = [self.dataset.classes[label] for label in table["label"]]
        first, last = table["id"].iloc[0], table["id"].iloc[-1]
        table.loc[table["id"].isin([first, last]), "group"] = first
        table.loc[1:10, "group"] = table["id"].iloc[1]
        table.to_csv(self.folder / "images.csv", index=False)


def proposal(number):
    """Return a recipe: what is searched in a space of usual width."""
    policy = ("none", "flip_crop", "color", "randaugment")[number * 7 % 4]
    return Recipe(
        BACKBONES[number % 3],
        number // 3 % 3,
        image_size=96,
        dropout=(0.0, 0.2, 0.4)[number % 5 % 3],
        augment=Augment(policy, 0.3 if policy in {"color", "randaugment"} else None),
        class_weight=("none", "balanced")[number % 7 % 2],
        learning_rate=1e-4 * (1 + number),
        synthetic_per_class=(0, 8, 0.5)[number % 11 % 3],
    )


def skill_of(recipe, number):
    """Return how often a recipe is right: it depends on the backbone, and a little on luck."""
    best = {"MobileNetV2": 0.8, "MobileNet_0.25": 0.45, "EfficientNetV2B0": 0.84}[recipe.backbone]
    return best + 0.02 * np.random.default_rng(number).normal()


def add_trials(made, count, stopped=5):
    """Add trials, every ``stopped``-th of them stopped."""
    for number in range(count):
        recipe = proposal(number)
        if stopped and number % stopped == stopped - 1:
            made.stop(0.4, recipe)
        else:
            made.complete(skill_of(recipe, number), recipe)


def usual(folder):
    """Everything at once: groups, a hold-out, baselines, confirmed trials, trials of every ending."""
    made = Searched(folder, each=12, folds=3, fractions=(1.0, 0.5, 0.25), holdout=4, about=ABOUT)
    made.write_images()
    made.baseline(0.7)
    made.baseline(0.3, 1, Recipe("SmallCNN", None, image_size=32), "training from scratch")
    add_trials(made, 24)
    made.fail()
    made.duplicate(made.history.trials["0000"])
    best = sorted(made.history.with_status("completed"), key=lambda trial: -trial.verdict.score)
    for trial in best[:2]:
        made.confirm(trial, 0.8)
    made.look(best[0], 0.8)
    made.journal.append(event("profile", stages={"wait": 3.25, "ask": 0.5}, beside={"views": 1.0}))
    made.journal.append(event("end", reason="all 28 trials are done"))
    return made


def one(folder):
    """A single trial of a single training size, on one split: nothing has limits."""
    made = Searched(folder, fractions=(1.0,), splits="shuffle", folds=1, val=0.25)
    made.complete(0.8)
    return made


def failed(folder):
    """No trial was completed."""
    made = Search(folder)
    all_failed(made)
    return made


def empty(folder):
    """A search that has only begun."""
    made = Search(folder)
    nothing(made)
    return made


def two(folder):
    """Two complete trials at one training size, two classes, under way."""
    made = Searched(folder, ("ants", "bees"), fractions=(1.0,))
    add_trials(made, 2, 0)
    made.begin()
    return made


def hundred_classes(folder):
    """A hundred classes with the worst of names, and a file of predictions that is lost."""
    names = (*NASTY, LONG, *(f"{LONG[:44]}第{number}类" for number in range(94)))
    made = Searched(folder, names, each=6, folds=2)
    add_trials(made, 12)
    (made.folder / "runs" / "0006-1.npz").unlink()
    return made


def many(folder):
    """More complete trials than any chart draws, long curves, and more images than a page shows."""
    made = Searched(folder, each=30, folds=2, fractions=(1.0, 0.5), about={"findings": FINDINGS})
    made.baseline(0.7)
    made.baseline(0.3, 1, Recipe("SmallCNN", None, image_size=32), "training from scratch")
    made.epochs = 300
    made.complete(0.95, Recipe("MobileNetV2", 1, image_size=96))
    made.epochs, made.alike = 1, True
    for number in range(320):
        made.complete(0.2 + 0.6 * (number % 40) / 40, proposal(number))
    return made


SYNTHETIC = (  # amount, method, share of real images replaced, and how often such a recipe is right
    (0, None, 0.0, 0.5),
    (8, "copies", 0.0, 0.52),
    (8, "compose", 0.0, 0.85),
    (20, "compose", 0.0, 0.6),
    (8, "gan", 0.0, 0.45),
    (8, "gan", 0.3, 0.5),
)


def study(folder):
    """One recipe with and without synthetic images of several methods: one of them helps, the others do not."""
    made = Searched(folder, each=60, folds=5, fractions=(1.0, 0.5), about={"synthetic": "images-synthetic"})
    for amount, method, share, skill in SYNTHETIC:
        recipe = Recipe(
            "MobileNetV2",
            1,
            image_size=96,
            synthetic_per_class=amount,
            synthetic_method=method,
            synthetic_replacing=share,
        )
        made.complete(skill, recipe)
    return made


KINDS = {make.__name__: make for make in (usual, one, failed, empty, two, hundred_classes, many, study)}
WORDING = Path(__file__).with_name("wording.json")
FOLDER = tempfile.TemporaryDirectory(prefix="kinds-")


@functools.cache
def search(kind):
    """Return a search of this kind, made once; a test that changes one makes its own."""
    folder = Path(FOLDER.name) / kind
    folder.mkdir()
    with mock.patch.object(os, "fsync", return_value=None):  # what lives as long as a test need not be safe
        return KINDS[kind](folder)


@functools.cache
def judgement(kind):
    """Return the judgement on the search of this kind."""
    return Judgement.of(search(kind).record)


@functools.cache
def document(kind):
    """Return what its report says and shows."""
    return contents.document(judgement(kind))


def displays(kind):
    """Return its exhibits by name."""
    return {display.exhibit.name: display for display in document(kind).displays}


def frames(kind):
    """Return the numbers of its report by the names of their files."""
    return {display.exhibit.sheet.name: display.frame for display in document(kind).displays}


def figures(kind):
    """Return its charts by their names, in order."""
    return {display.figure.name: display.figure for display in document(kind).displays if display.figure}


@functools.cache
def html(kind):
    """Return its page, with thumbnails."""
    made, whole = search(kind), document(kind)
    ids = [id_ for display in whole.displays if display.gallery for id_ in display.gallery.ids]
    return page(whole, thumbnails(made.record, ids))


def wording(kind):
    """Return all sentences of its report."""
    whole = document(kind)
    return {
        "answer": list(whole.answer),
        "facts": [[fact.label, fact.value, fact.note] for fact in whole.facts],
        "cautions": list(whole.cautions),
        "limits": list(whole.limits),
        "parts": {section.chapter.title: list(section.words) for section in whole.sections},
        "charts": {figure.title: [figure.reading, figure.in_words] for figure in figures(kind).values()},
        "tables": {name: display.table.caption for name, display in displays(kind).items() if display.table},
        "absent": [display.absent for display in whole.displays if display.absent],
    }


if __name__ == "__main__":
    texts = {kind: wording(kind) for kind in ("usual", "one", "failed", "two")}
    WORDING.write_text(json.dumps(texts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
