"""What a space means: a digest of what it declares and gives, and whether another process would find the same.

The order of a set of texts, ``hash``, ``id`` and the number of a process differ from one process to the next, not
within one. A space that depends on them trains to its end, and could then be neither resumed nor exported.
"""

import ast
import contextlib
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import ne
from pathlib import Path
from typing import Any

from search.integrity.differences import REPEATABLE
from search.oracles.hyperparameters import HyperParameters, register, sample_points
from search.oracles.networks import Build, recipe_at, remembering
from search.space import Hand, SpaceFile, read_space
from search.system.digests import digest
from search.system.errors import UserError
from search.system.progress import Say

# DECISIONS: A space is known by what it declares
POINTS_COMPARED = 256

SETS, NUMBERS = ("set", "frozenset"), ("hash", "id", "getpid", "getppid", "get_ident")
OPERATIONS = ("keys", "union", "intersection", "difference", "symmetric_difference")  # they give sets
WAYS_OUT = {
    True: "a set has another order in each process: write a list in its place, or sorted(…)",
    False: "it is another number in each process: write the value out, or take it from hp",
}
PLACES_SHOWN, LONGEST = 3, 60  # places, and letters of each
HASH_SEEDS = range(1, 33)  # under a third of them or more, all texts of a set have other places
PROCESSES = 3  # at most, of some 4 s of one core each
PROGRAM = """import json, sys
request = json.load(sys.stdin)
sys.path[:] = request["path"]
from search.oracles.meaning import answer
print(json.dumps(answer(request)))"""


@dataclass(frozen=True)
class Place:
    """A place in a source text that may give something else in another process; ``is_set`` tells why."""

    file: str
    line: int
    text: str
    is_set: bool

    def __str__(self) -> str:
        """Return where it is, what stands there, and the way out."""
        return f"{self.file}, line {self.line}: {self.text}: {WAYS_OUT[self.is_set]}"


def meaning_of(hyperparameters: HyperParameters, build: Build) -> str:
    """Return a digest of the space itself: its hyperparameters, and its recipes at many points.

    Not of its text: comments are no change, and a value that it imports is one.
    """
    return digest([hyperparameters.get_config()["space"], recipes_of(hyperparameters, build)])


def recipes_of(hyperparameters: HyperParameters, build: Build) -> list[dict[str, Any]]:
    """Return the recipes of a space at many points, always the same."""
    return [build(point).to_dict() for point in sample_points(hyperparameters, POINTS_COMPARED)]


def check_elsewhere(file: SpaceFile, classes: int, image_size: int, hand: Hand, meaning: str, say: Say) -> None:
    """Raise UserError, with the lines, where the space means something else to another process than ``meaning``.

    Only a space whose text has what differs between processes is read in others: they take seconds.
    """
    texts = {str(file.path): file.text} | {str(file.beside.folder / name): each for name, each in file.modules.items()}
    places = [place for name, text in texts.items() for place in _places(name, text)]
    if not file.on_disk or not places:
        return
    say(f"Reading {file.path} in another process, as {places[0].text} may differ there")
    request = json.dumps(
        {
            "path": sys.path,
            "file": str(file.path),
            "home": file.home and str(file.home),
            "files": dict(file.beside.files),
            "classes": classes,
            "image_size": image_size,
            "hand": {
                "weights": hand.weights or {},
                "synthetic": hand.synthetic,
                "sizes": hand.sizes,
                "backbones": hand.backbones,
                "methods": hand.methods,
            },
        }
    )
    for seed in _hash_seeds(texts.values()):
        found, error = _asked(request, seed)
        if found != meaning:
            shown = "".join(f"\n      {place}" for place in places[:PLACES_SHOWN])
            what = f"fails in another process: {error}" if error else "gives other trials in another process."
            raise UserError(f"{file.path} {what} {REPEATABLE} What differs between processes:{shown}")


def answer(request: Mapping[str, Any]) -> tuple[str, str]:
    """Return the meaning of a space that this process reads anew, and "" or the mistake that it finds in it."""
    hand, path = Hand(**request["hand"]), Path(request["file"])
    classes, size = request["classes"], request["image_size"]
    try:
        with contextlib.redirect_stdout(None):
            file = read_space(path, request["home"] and Path(request["home"]), request["files"])
            once = remembering(lambda hp: recipe_at(file, hp, hand, classes, size))
            return meaning_of(register(once, complete=False), once), ""
    except UserError as error:
        return "", str(error)


def _asked(request: str, seed: int) -> tuple[str, str]:
    """Return what ``answer`` says in a process whose hashes begin with ``seed``."""
    process = subprocess.run(  # noqa: S603 our own program
        [sys.executable, "-P", "-c", PROGRAM],
        input=request,
        env={**os.environ, "PYTHONHASHSEED": str(seed)},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    lines = process.stdout.splitlines()
    if process.returncode or not lines:
        last = (process.stderr.strip().splitlines() or ["it says nothing"])[-1]
        return "", f"this ended with exit code {process.returncode}: {last}."
    meaning, error = json.loads(lines[-1])
    return meaning, error


def _places(file: str, text: str) -> Iterator[Place]:
    """Yield the places of a source text that may give something else in another process, in their order."""
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.expr)]
    lines: set[tuple[int, bool]] = set()
    for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset)):
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        is_set = isinstance(node, ast.Set | ast.SetComp) or name in SETS or name in OPERATIONS
        if (is_set or name in NUMBERS) and (node.lineno, is_set) not in lines:
            lines.add((node.lineno, is_set))
            words = f"{name}(…)" if name else " ".join((ast.get_source_segment(text, node) or "").split())
            yield Place(file, node.lineno, textwrap.shorten(words, LONGEST, placeholder=" …"), is_set)


def _hash_seeds(texts: Iterable[str]) -> list[int]:
    """Return a few seeds of hashes under which the texts that stand together all have other places than here.

    A set of two has the same order under every second seed, so that any one seed would miss many.
    """
    together = [group for text in texts for node in ast.walk(ast.parse(text)) if len(group := _group(node)) > 1]
    seeds = [HASH_SEEDS[0]]
    if not together:
        return seeds
    here, groups = [list(set(group)) for group in together], json.dumps(together)
    program = f"import json; print(json.dumps([list(set(group)) for group in json.loads({groups!r})]))"
    differ: dict[int, set[int]] = {}
    for seed in HASH_SEEDS:
        there = subprocess.run(  # noqa: S603 our own program
            [sys.executable, "-S", "-c", program], env={"PYTHONHASHSEED": str(seed)}, stdout=subprocess.PIPE, check=True
        )
        orders = json.loads(there.stdout)
        differ[seed] = {at for at, order in enumerate(here) if all(map(ne, order, orders[at]))}
    seeds, left = [], set(range(len(here)))
    while left and len(seeds) < PROCESSES:
        best = max(differ, key=lambda seed: len(differ[seed] & left))
        seeds.append(best)
        left -= differ[best]
    return seeds


def _group(node: ast.AST) -> list[str]:
    """Return the texts in a set, a list, a tuple or the keys of a dict."""
    if isinstance(node, ast.Dict):
        elements = [key for key in node.keys if key is not None]
    else:
        elements = node.elts if isinstance(node, ast.Set | ast.List | ast.Tuple) else []
    values = [element.value for element in elements if isinstance(element, ast.Constant)]
    return [value for value in values if isinstance(value, str)]
