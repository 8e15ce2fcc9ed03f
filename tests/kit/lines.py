"""Events as they stand in a journal."""

from search.journal.events import event_of


def event(kind, **fields):
    """Return the event of the line that has these fields."""
    return event_of({"event": kind, **fields})
