"""Journals written fast."""

import contextlib
import json

from search.journal import replay


@contextlib.contextmanager
def in_one_write(journal):
    """Have the events that are appended meanwhile written in one go, at the end.

    The history takes each in at once. A driver waits for the disk after every line; hundreds of lines of a test
    need not.
    """
    lines = []

    def append(event):
        lines.append(json.dumps(event.to_json(), ensure_ascii=False, allow_nan=False))
        replay([json.loads(lines[-1])], journal.history)

    journal.append = append
    try:
        yield
    finally:
        del journal.append
        with journal.path.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
