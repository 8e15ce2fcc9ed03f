"""What the benchmark prints."""

from typing import Any

from rich.console import Console
from rich.table import Table

TARGETS = {  # (work, variant): how many times faster than the naive loop it should be
    ("head-only", "cold"): 100,
    ("mixed", "cold"): 6,
    ("mixed", "cold, racing"): 10,
    ("everything-unfrozen", "cold"): 1.2,
    ("everything-unfrozen", "cold, racing"): 2,
}


def show(results: dict[str, Any], console: Console) -> None:
    """Print the table of all works, and what stands beside it."""
    table = Table(title="The naive loop and this project, wall clock, medians", caption=_caption(results))
    table.add_column("work")
    for heading in ("runs", "naive loop", "this project", "faster", "target", "floor", "above floor", "accuracy"):
        table.add_column(heading, justify="right")
    for name, work in results["works"].items():
        for variant, row in work["ours"].items():
            target = TARGETS.get((name, variant))
            table.add_row(
                f"{name}, {variant}",
                f"{row['runs']} of {work['runs']}",
                _time(work["naive seconds"]),
                _time(row["seconds"]),
                f"{row['faster']:.1f} ×",
                "" if target is None else f"{target:g} ×",
                _time(row["floor"]),
                f"{row['times the floor']:.1f} ×",
                f"{100 * work['accuracy, ours minus naive']:+.1f}" if variant == "cold" else "",
            )
    console.print(table)
    for line in _beside(results):
        console.print(line)


def _caption(results: dict[str, Any]) -> str:
    timed = sum(work["naive runs timed"] for work in results["works"].values())
    of = sum(work["runs"] for work in results["works"].values())
    return (
        f"The naive loop's time is scaled up from {timed} timed runs (of {of}, some for each depth and augmentation), "
        "with one start-up. Ours is timed from start to exit. Floor: the forward and backward passes of the runs that "
        "happened, and nothing else. Accuracy: ours minus naive on the timed runs, in points."
    )


def _beside(results: dict[str, Any]) -> list[str]:
    lines = []
    for name, work in results["works"].items():
        kinds = ", ".join(f"{kind} {seconds:.1f} s" for kind, seconds in sorted(work["naive seconds a run"].items()))
        lines.append(f"A naive run of {name}: {kinds}")
        for variant, row in work["ours"].items():
            lines.append(f"The driver, {name}, {variant}: {1000 * row['overhead a run']:.1f} ms a run")
    if pair := results.get("pair"):
        lines.append(f"Each further pair of policy and strength: {pair['seconds']:.1f} s")
    if again := results.get("resume"):
        lines.append(
            f"Resuming a search of {again['runs']} runs: {again['seconds to the first new run']:.1f} s to the first "
            f"new run, {again['seconds of our own']:.1f} s without the {again['seconds of imports']:.1f} s of imports"
        )
    return lines


def _time(seconds: float) -> str:
    """Return a time to three digits or so."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 100 else f"{minutes / 60:.1f} h"
