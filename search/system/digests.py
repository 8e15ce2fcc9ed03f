"""Short names for content: digests of values and files, and seeds drawn from names.

A digest names what a thing *is*, so that equal work is found again and changed input is noticed.
A seed comes from the names of what it is for, so that no draw depends on the order of the work.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

DIGEST_LENGTH = 16
SEEDS = 2**31 - 1


def canonical(value: Any) -> str:
    """Return ``value`` (JSON types only) as one text, equal for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """Return 16 hexadecimal digits that name ``value`` (JSON types only)."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:DIGEST_LENGTH]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_md5(path: Path) -> str:
    """Return the MD5 of a file's bytes, in hexadecimal: it shows damage, and that another file was put there."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def seed_from(*parts: Any) -> int:
    """Return a seed in [1, 2**31) that belongs to these parts (JSON types) and to no others.

    Never 0, which Keras Tuner takes for "no seed"; neighbouring parts give unrelated seeds.
    """
    number = int.from_bytes(hashlib.sha256(canonical(list(parts)).encode()).digest()[:8], "big")
    return 1 + number % SEEDS
