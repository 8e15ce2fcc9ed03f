"""How many synthetic images trained a run, of how many that were asked for; old journals tell less than new ones."""

from collections.abc import Mapping

from search.journal.outcomes import Run


def total(run: Run, what: str) -> int | None:
    """Return how many images were asked, admissible or drawn in a run; None where an old journal does not say."""
    counted = run.synthetic.get(what, None if run.synthetic else 0)
    return sum(counted.values()) if isinstance(counted, Mapping) else counted


def shortfalls(run: Run) -> dict[str, tuple[int, int]]:
    """Return (drawn, asked) of each class of which fewer were drawn than asked; old journals do not name classes."""
    demand, supply = run.synthetic.get("asked", {}), run.synthetic.get("drawn", {})
    if not isinstance(demand, Mapping) or not isinstance(supply, Mapping):
        return {}
    return {name: (supply.get(name, 0), number) for name, number in demand.items() if supply.get(name, 0) < number}


def columns(run: Run) -> dict[str, int | str | None]:
    """Return what a table says of a run; ``synthetic_short`` as in "cat: 3 of 8; dog: 0 of 8"."""
    if not run.synthetic:
        return {"synthetic_asked": 0, "synthetic_admissible": 0, "synthetic_drawn": 0, "synthetic_short": ""}
    short = "; ".join(f"{name}: {supply} of {demand}" for name, (supply, demand) in shortfalls(run).items())
    return {
        **{f"synthetic_{what}": total(run, what) for what in ("asked", "admissible", "drawn")},
        "synthetic_short": short,
    }
