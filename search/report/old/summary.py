"""The words of a report, put together: what its page and its Markdown say beside their tables and pictures."""

import platform
import shlex
from collections.abc import Iterable

import pandas as pd

from search.analysis.caveats import warnings
from search.analysis.judgement import Judgement
from search.analysis.ledger import interval, on_holdout
from search.analysis.stats.scores import proportion
from search.data.finding import Finding
from search.journal import Trial
from search.record import Record
from search.report import reading, terms, words
from search.report.document import Document, Fact
from search.report.tables import Tables
from search.report.thumbnails import thumbnails


def document(judgement: Judgement, tables: Tables) -> Document:
    """Return what a report of a search says in words."""
    record = judgement.record
    return Document(
        title=record.name,
        answer=words.answer(judgement),
        command=command(judgement),
        facts=list(_facts(judgement)),
        cautions=[*words.cautions(judgement), *warnings(record)],
        words={
            "answer": words.confirmation(judgement),
            "survival": words.survival(judgement),
            "matters": [*words.matters(tables), *words.interplay(judgement)],
            "winner": words.winner(judgement, tables),
            "images": words.images(judgement, tables),
            "audit": terms.data(record),
            "record": terms.study(record),
        },
        pictures=thumbnails(record, _shown(tables)),
        findings=[Finding(**{**found, "files": tuple(found["files"])}) for found in record.about.get("findings", [])],
        versions=list(_versions(record)),
        limits=terms.limits(judgement),
        unfinished=not record.history.ended,
    )


def command(judgement: Judgement) -> str:
    """Return the line that retrains the recommended recipe on all images, "" where there is none."""
    if judgement.recommended is None:
        return ""
    name = judgement.record.name
    return f"python -m search export {shlex.quote(name)} --to {shlex.quote(f'{name}-model')}"


def _facts(judgement: Judgement) -> Iterable[Fact]:
    winner, corrected = judgement.winner, judgement.corrected
    if winner is None:
        return
    raw = interval(winner, judgement.rules)
    yield Fact("Raw score", f"{raw.mean:.3f}", words.between(raw))
    if corrected is None:
        yield Fact("Corrected for having been picked", "cannot be had", judgement.uncorrected)
    else:
        yield Fact("Corrected for having been picked", f"{corrected.score.mean:.3f}", words.between(corrected.score))
        told = f"corrected, {words.between(corrected.full_accuracy)}; raw, pooled, {corrected.raw_full_accuracy:.3f}"
        yield Fact("Accuracy with all training images", f"{corrected.full_accuracy.mean:.3f}", told)
    for trial, again in judgement.confirmed[:1]:
        yield Fact(f"Trained again on reshuffled folds ({trial.id})", f"{again.mean:.3f}", words.between(again))
    if judgement.rules.holdout:
        yield _on_holdout(judgement, winner)
    if judgement.recommended is not None and judgement.recommended is not winner:
        yield Fact("Recommended", judgement.recommended.id, judgement.recommended.recipe.summary())


def _on_holdout(judgement: Judgement, winner: Trial) -> Fact:
    look = judgement.record.history.look_at(winner.id)
    if look is None:
        return Fact("Hold-out", "not scored", on_holdout(judgement.record))
    of = judgement.record.about["holdout"]
    right = proportion(round(look.run.scores["accuracy"] * of), of)
    note = (
        f"{on_holdout(judgement.record)}; 95 % interval of that accuracy {right.low:.3f} to {right.high:.3f} (Wilson)"
    )
    return Fact("Hold-out", f"{look.run.scores[judgement.rules.objective]:.3f}", note)


def _shown(tables: Tables) -> Iterable[str]:
    """Yield the ids of the images that a page shows."""
    for name in ("hard", "label_errors"):
        yield from tables[name]["id"].head(reading.CARDS)
    for rows in reading.kept_together(tables)[: reading.GROUPS]:
        yield from rows["id"].head(reading.GROUP_IMAGES)


def _versions(record: Record) -> Iterable[Fact]:
    identity, last = record.about["identity"], (record.history.sessions or [{}])[-1]
    study = identity["study"]
    if "seed" in study:
        yield Fact("Seed", str(study["seed"]))
    for name, value in last.get("versions", {}).items():
        yield Fact(name, str(value))
    yield Fact("Report written with", f"Python {platform.python_version()}, pandas {pd.__version__}")
    for name in ("data", "plan", "space"):
        if identity.get(name):
            yield Fact(f"Digest of the {name}", str(identity[name]))
    for backbone, sha256 in record.about["weights"].items():
        yield Fact(f"Weights of {backbone}", sha256 or "from scratch", "SHA-256" if sha256 else "")
    yield Fact("Threads", str(record.about["threads"]), "of each worker")
