"""How much single folds differ: the scores of the winner and of the recommended trial."""

from collections.abc import Iterable

import altair as alt

from search.analysis.judgement import Judgement
from search.report import words
from search.report.exhibit import Exhibit, Plot, Row, Sheet, Subject, number, string, trial
from search.report.style import CHOICES, PALETTE, Chart, colours, place, room, tips, values
from search.report.table import records

COLUMNS = (trial(), string("fold"), number("fraction", nullable=False), number("score"))


def rows(judgement: Judgement) -> Iterable[Row]:
    """Yield the score of each run of the winner, and of the recommended trial if that is another."""
    for name in dict.fromkeys(one.id for one in (judgement.winner, judgement.recommended) if one):
        runs = judgement.record.history.trials[name].runs
        for fold in judgement.rules.folds:
            score = runs[fold.id].scores[judgement.rules.objective]
            yield {"trial": name, "fold": fold.id, "fraction": fold.fraction, "score": score}


def draw(subject: Subject) -> Chart | None:
    """Draw the score of every fold, of the winner and the recommended trial, with the mean of each training size."""
    if subject.frame.empty:
        return None
    choices, judgement = subject.choices, subject.judgement
    images = dict(zip(judgement.rules.fractions, judgement.images, strict=True))
    rows = [
        {
            **row,
            "called": choices.get(row["trial"], "winner"),
            "size": _size(row["fraction"], images[row["fraction"]]),
        }
        for row in records(subject.frame)
    ]
    order = [_size(size, images[size]) for size in subject.sizes]
    scale = alt.Scale(domain=room([row["score"] for row in rows], 0.08), nice=False)
    trials = [name for name in CHOICES if name in choices.values()]
    base = alt.Chart(values(rows)).encode(
        y=alt.Y("size:N", sort=order, axis=alt.Axis(title=None, labelColor=PALETTE["ink"])),
        yOffset=alt.YOffset("called:N", sort=trials, scale=alt.Scale(paddingInner=0.2)),
        color=alt.Color("called:N", scale=colours(CHOICES, choices.values()), title=None),
    )
    x = alt.X("score:Q", scale=scale, title=f"{subject.objective} of a fold")
    hover = tips({"trial": "trial", "fold": "fold", "size": "training size", "score": "score"}, ("score",))
    dots = base.mark_point(filled=True, size=75, opacity=0.65).encode(x=x, tooltip=hover)
    mean = base.mark_tick(thickness=3, size=20).encode(x=alt.X("mean(score):Q", scale=scale))
    return place(dots + mean, height=max(90, 34 * len(order) * len(trials)))


def _size(fraction: float, images: float) -> str:
    return f"{words.size(fraction)}: {images:.0f} images"


def in_words(subject: Subject) -> str:
    """Return the chart in words."""
    ranges = [
        f"{choice}, {words.size(fraction)}: {words.number(part['score'].min())} to "
        f"{words.number(part['score'].max())}, mean {words.number(part['score'].mean())}"
        for name, choice in subject.choices.items()
        for fraction, part in subject.frame[subject.frame["trial"] == name].groupby("fraction", sort=False)
    ]
    return f"Scores of single folds. {'; '.join(ranges)}."


def sentences(subject: Subject) -> list[str]:
    """Return how much the runs of the winner differ."""
    winner, objective = subject.judgement.winner, subject.judgement.rules.objective
    if winner is None:
        return ["There is no winner."]
    scores = [run.scores[objective] for run in winner.runs.values()]
    name = words.objective(objective)
    if len(scores) == 1:
        return [f"Its only run has a {name} of {scores[0]:.3f}."]
    return [f"Over its {len(scores)} runs, its {name} goes from {min(scores):.3f} to {max(scores):.3f}."]


EXHIBIT = Exhibit(
    "strip",
    Sheet("strip", "Score of each run of the winner and the recommended trial.", COLUMNS, rows),
    Plot(
        "How much single folds differ",
        draw,
        "Each dot is a fold, the bar is the mean. All trials have the same folds.",
        in_words,
    ),
    sentences=sentences,
)
