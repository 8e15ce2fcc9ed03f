"""Journals written fast, and journals changed by hand."""

import contextlib
import hashlib
import json
import os
import re

from search.system.chain import Chain

SUM = re.compile(r', "sum": "[0-9a-f]{16}"\}$', re.MULTILINE)


@contextlib.contextmanager
def unsynced():
    """Have journals written without waiting for the disk: a driver waits after each line; those of a test need not."""
    fsync = os.fsync
    os.fsync = lambda _file: None
    try:
        yield
    finally:
        os.fsync = fsync


def unsealed(text):
    """Return the text of a journal without checksums and format, as older versions wrote it."""
    return SUM.sub("}", text.replace('"format": 5, ', ""))


def sealed(text):
    """Return the text of a journal with checksums that fit, whatever they were."""
    chain = Chain()
    lines = SUM.sub("}", text).encode().splitlines()
    return b"".join(chain.seal(line) + b"\n" for line in lines).decode()


def changed(path, old, new):
    """Change a journal so that its checksums still fit."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(sealed(text.replace(old, new)), encoding="utf-8")


def restudied(folder, **values):
    """Change what study.json says, in a search that fits it all the same."""
    study = folder / "study.json"
    old = study.read_bytes()
    study.write_text(json.dumps({**json.loads(old), **values}))
    digests = [hashlib.sha256(data).hexdigest() for data in (old, study.read_bytes())]
    changed(folder / "journal.jsonl", *digests)
