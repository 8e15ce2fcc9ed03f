"""The terms on which a report is to be read: the images, the study, how it ended, and what may be concluded."""

import platform
from collections.abc import Iterable

import pandas as pd

from search.analysis.judgement import Judgement
from search.analysis.ledger import seen_before
from search.data.finding import Finding
from search.record import Record
from search.report.document import Fact
from search.report.words import listed, spaced


def images(judgement: Judgement) -> list[str]:
    """Return what the images are, and how many were left out."""
    record, about = judgement.record, judgement.record.about
    classes = ", ".join(f"{name} {count}" for name, count in about.classes.items())
    lines = [f"{about.images} images of {about.data}: {classes}."]
    if record.rules.holdout:
        neither = about.left_out
        left = f"; {neither} are in neither, as they share a group with one of those" if neither else ""
        lines.append(f"The folds use {record.rules.images}; {about.holdout} are held out{left}.")
    if about.unreadable:
        names = listed(f"{id_} ({reason})" for id_, reason in about.unreadable)
        lines.append(f"Left out, as they could not be read: {len(about.unreadable)}, such as {names}.")
    lines.append(f"Synthetic images: {about.synthetic or 'none'}.")
    return lines


def study(judgement: Judgement) -> list[str]:
    """Return what was fixed and how it ended."""
    record = judgement.record
    study = ", ".join(f"{spaced(name)} {value}" for name, value in record.about.study.items())
    backbones = ", ".join(record.about.weights)
    return [
        f"Study: {study}.",
        f"Backbones at hand: {backbones}.",
        f"The search ended: {record.history.end_reason or 'not yet'}.",
    ]


def findings(record: Record) -> list[Finding]:
    """Return what an audit of the data found, as study.json has it; older searches have none."""
    return [Finding(**{**finding, "files": tuple(finding["files"])}) for finding in record.about.findings or []]


def limits(judgement: Judgement) -> list[str]:
    """Return what may be concluded from a search, and what not."""
    rules = judgement.rules
    outside = " outside the hold-out" if rules.holdout else ""
    lines = [
        (
            f"Scores describe models trained on {1 - 1 / rules.parts:.0%} of the images{outside} or less, not a model "
            "refitted on all."
        ),
        *_of_intervals(judgement),
        (
            "Recipes that cannot be told apart are not thereby equal: to show that two differ by less than a point "
            "would take some 15,000 images."
        ),
    ]
    if rules.holdout:
        seen = seen_before(judgement.record.history)
        lines.append(
            "The hold-out is scored once, at the end, for the winner, by a model trained on all images of the folds; "
            f"that score is not flattered by the choice{f', but it was {seen}' if seen else ''}."
        )
    lines += [
        (
            "Stopped trials are unproven, not inferior: they were predicted to stay behind. Failed and duplicate "
            "trials are counted and never ranked."
        ),
        "All of it is about images like these: what was not photographed was not tested.",
    ]
    return lines


def _of_intervals(judgement: Judgement) -> list[str]:
    if not judgement.comparable:
        return ["There are no intervals: one split says nothing of how much splits differ; use more folds."]
    lines = [
        (
            "Intervals allow for folds that share training images (Nadeau & Bengio 2003), each of one score or one "
            "pair alone; 'better' and 'worse' also for the number of comparisons (Holm 1979). The set that cannot be "
            "told from the best is not adjusted, so that it seldom loses the true best. A limit that is a bare 0 or 1 "
            "is cut: no score lies beyond."
        ),
        (
            "All folds share these images. Where they happen to suit a recipe in every fold alike, no resampling of "
            "them can tell: only images that no trial saw can."
        ),
    ]
    if judgement.corrected is not None:
        lines.append(
            "The corrected score is what the best on some folds scores on the others (BBC-CV, Tsamardinos et al. 2018, "
            "with whole folds drawn), of all predictions pooled; the raw score is the mean over folds."
        )
    return lines


def versions(record: Record) -> Iterable[Fact]:
    """Yield what must be the same for a search to come out the same: seeds, versions, digests."""
    identity, study, sessions = record.about.identity, record.about.study, record.history.sessions
    if "seed" in study:
        yield Fact("Seed", str(study["seed"]))
    for name, value in (sessions[-1].versions if sessions else {}).items():
        yield Fact(name, str(value))
    yield Fact("Report written with", f"Python {platform.python_version()}, pandas {pd.__version__}")
    for name in ("data", "plan", "space"):
        if identity.get(name):
            yield Fact(f"Digest of the {name}", str(identity[name]))
    for backbone, sha256 in record.about.weights.items():
        yield Fact(f"Weights of {backbone}", sha256 or "from scratch", "SHA-256" if sha256 else "")
    yield Fact("Threads", str(record.about.threads), "of each worker")
