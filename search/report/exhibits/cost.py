"""What a score costs: scores over seconds."""

import math

import altair as alt

from search.report import words
from search.report.exhibit import Exhibit, Plot, Subject
from search.report.exhibits import trials
from search.report.exhibits.leaderboard import colour, mark_tips, marks, names, shape
from search.report.style import Chart, place, room, values

MOST = 300
HEIGHT, ROOM_ABOVE = 300, 18  # px; a name stands above its dot, and must not reach the legend
TIMES = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 18000, 36000, 86400)
AS_TIME = (
    "datum.value < 60 ? datum.value + ' s' : datum.value < 3600 ? datum.value / 60 + ' min' : datum.value / 3600 + ' h'"
)


def draw(subject: Subject) -> Chart | None:
    """Draw the score against the seconds that a trial took, on a logarithmic scale."""
    best = trials.best(subject.frame, MOST, subject.judgement.recommended)
    if len(best) < 2:
        return None
    rows = marks(subject, best)
    for row in rows:
        row["seconds"] = max(row["seconds"] if words.known(row["seconds"]) else 0.0, 0.01)
    times = [row["seconds"] for row in rows]
    axis = alt.Axis(
        values=[time for time in TIMES if min(times) / 2 <= time <= 2 * max(times)], labelExpr=AS_TIME, grid=False
    )
    x = alt.X(
        "seconds:Q",
        scale=alt.Scale(type="log", domain=[min(times) / 1.3, max(times) * 1.3], nice=False),
        axis=axis,
        title="time of all runs of a trial (logarithmic)",
    )
    scores = alt.Scale(domain=room(row["score"] for row in rows), range=[HEIGHT, ROOM_ABOVE], nice=False)
    y = alt.Y("score:Q", scale=scores, title=None)
    base = alt.Chart(values(rows)).encode(x=x, y=y, tooltip=mark_tips(subject))
    dots = base.mark_point(filled=True, size=80, opacity=0.9).encode(color=colour(best), shape=shape())
    middle = math.sqrt(min(times) * max(times))
    return place(dots + names(base, f"datum.seconds > {middle}"), height=HEIGHT, above=words.SCORE)


def reading(subject: Subject) -> str:
    """Return how to read the chart."""
    cheaper = "Higher is better, further left is cheaper. A trial's time is that of all its runs."
    return cheaper + trials.only_best(MOST, subject.frame)


def in_words(subject: Subject) -> str:
    """Return the chart in words."""
    by_trial = subject.frame.set_index("trial")
    costs = [
        f"the {name} {trial} took {words.seconds(by_trial.loc[trial, 'seconds'])} for "
        f"{words.number(by_trial.loc[trial, 'score'])}"
        for trial, name in subject.choices.items()
    ]
    return f"Scatter plot of score against seconds: {', '.join(costs)}. The table of trials has the numbers."


EXHIBIT = Exhibit("cost", trials.SHEET, Plot("What a score costs", draw, reading, in_words))
