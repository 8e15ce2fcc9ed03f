"""The terms on which a report is to be read: the images, the study, how it ended, and what may be concluded."""

import platform
from collections.abc import Iterable

import pandas as pd

from search.analysis.judgement import Judgement
from search.analysis.ledger import seen_before
from search.data.finding import Finding
from search.record import Record
from search.report.document import Fact
from search.report.words import amount, listed, spaced
from search.system.precision import FLOAT32, precision_in


def images(judgement: Judgement) -> list[str]:
    """Return what the images are, and how many were left out."""
    record, about = judgement.record, judgement.record.about
    classes = ", ".join(f"{name} {count}" for name, count in about.classes.items())
    lines = [f"{amount(about.images, 'image')} in {about.data}: {classes}."]
    if record.rules.holdout:
        neither = about.left_out
        lines.append(f"The folds use {record.rules.images}; {about.holdout} are held out.")
        if neither:
            lines.append(f"In neither, because they share a group with a held-out image: {amount(neither, 'image')}.")
    if about.unreadable:
        names = listed(f"{id_} ({reason})" for id_, reason in about.unreadable)
        lines.append(f"{amount(len(about.unreadable), 'file')} could not be read, and took no part: {names}.")
    lines.append(f"Synthetic images: {about.synthetic or 'none'}.")
    return lines


def study(judgement: Judgement) -> list[str]:
    """Return what was fixed and how it ended."""
    record = judgement.record
    study = ", ".join(f"{spaced(name)} {value}" for name, value in record.about.study.items())
    backbones = ", ".join(record.about.weights)
    return [
        f"Study: {study}.",
        f"Backbones that were available: {backbones}.",
        f"The search ended: {ending}." if (ending := record.history.end_reason) else "The search has not ended.",
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
            f"Scores are those of models that were trained on {1 - 1 / rules.parts:.0%} of the images{outside} or "
            "fewer. The model to take away is trained on all of them."
        ),
        *_of_intervals(judgement),
        (
            "Trials that cannot be told apart are not therefore equal: to show that two differ by less than a point "
            "takes some 15,000 images."
        ),
    ]
    if rules.holdout:
        seen = seen_before(judgement.record.history)
        lines.append(
            "The hold-out is scored once, at the end, for the winner, by a model trained on all images of the folds. "
            f"The choice of the winner does not flatter that score{f', but it was {seen}' if seen else ''}."
        )
    lines += [
        (
            "Stopped trials are unproven, not inferior: they were predicted to stay behind. Stopped, failed and "
            "duplicate trials are counted and never ranked."
        ),
        "All of this is about images like these. What they do not show was not tested.",
    ]
    return lines


def _of_intervals(judgement: Judgement) -> list[str]:
    if not judgement.comparable:
        return ["There are no intervals: one split does not show how much splits differ. Use more folds."]
    lines = [
        (
            "An interval is that of one score, or of one pair of trials, alone. It allows for folds that share "
            "training "
            "images (Nadeau & Bengio 2003). A limit that is a bare 0 or 1 is cut there: no score lies beyond."
        ),
        (
            "A trial is called worse only where p is below .05 after adjustment for the number of comparisons (Holm "
            "1979), and probably worse where only the p of its own pair is. All others cannot be told apart from the "
            "best. These seldom lack the trial that is truly best."
        ),
        (
            "All folds come from the same images. If these happen to suit a recipe, they do so in every fold, and no "
            "calculation can show it. Only images that no trial saw can."
        ),
    ]
    if judgement.corrected is not None:
        lines.append(
            "The corrected score is what the best on some folds scores on the others, on average over many draws "
            "(BBC-CV, Tsamardinos et al. 2018, with whole folds drawn). It pools all predictions, where the raw score "
            "is the mean over folds. It is never above the raw score."
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
    if (precision := precision_in(identity)) != FLOAT32:
        yield Fact("Precision", precision, "of backbones; heads and scores are float32")
    kinds = {kind for session in sessions for kind in (session.gpus or {}).values()}
    if kinds:
        yield Fact("GPUs", ", ".join(sorted(kinds)), "which trained in some session at least")
