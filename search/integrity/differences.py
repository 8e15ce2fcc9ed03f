"""What differs between a search as it began and as it would go on now, in words: fields, lines of the space, files."""

import ast
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from search.data.finding import listed
from search.journal.journal import read_events, replay
from search.study import UNWRITTEN
from search.system.errors import UserError
from search.system.precision import precision_in

LINES_SHOWN = 20
SAME_TEXT = (
    "the space gives other recipes than when the search began, though its text is the same. It depends on something "
    "else, which changed: a module that it imports, an environment variable, the time, the order of a set, or chance"
)
OTHER_CODE = (
    "the code that builds the networks changed, and all trials of a search need the same (the verb resume goes on with "
    "the code as it was)"
)
VERSION = "this version {} otherwise than the one that began the search: finish it with that one"
VERSIONS = {"training": "trains", "decoding": "decodes images", "planning": "plans folds"}
KEYS = ("id", "image")  # columns that name a file, of images and of synthetic ones

REPEATABLE = (
    "A search of it could never be resumed or exported. Take every choice from hp, and draw nothing by chance, by the "
    "time or by the process."
)

Identity = Mapping[str, Any]
Tables = tuple[pd.DataFrame | None, pd.DataFrame | None]  # as recorded, and as it is now


def check_equal(first: list[dict[str, Any]], second: list[dict[str, Any]], what: str, when: str) -> None:
    """Raise UserError where recipes at the same values differ; ``what`` gave them each time that it was ``when``."""
    for one, other in zip(first, second, strict=True):
        if one != other:
            changes = "; ".join(
                f"{name} is {was!r} and then {other[name]!r}" for name, was in one.items() if other[name] != was
            )
            raise UserError(
                f"{what} gives another recipe each time it is {when}: at the same values {changes}. {REPEATABLE}"
            )


def fields_that_differ(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a phrase for each field of ``was`` that is another one now."""
    return [f"{name} was {value!r} and is now {now.get(name)!r}" for name, value in was.items() if now[name] != value]


def code_of(texts: Mapping[str, str]) -> list[str]:
    """Return what the code of a space and of its modules says.

    Comments, layout, documentation and the study, which is compared field by field, are no part of it.
    """
    return [_code(text) for _, text in sorted(texts.items())]


def _code(text: str) -> str:
    try:
        tree = ast.parse(text)
    except SyntaxError:  # of a function that stands within an expression
        return text
    tree.body = [node for node in tree.body if not _gives_study(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [each for each in node.body if not _is_text(each)]
    return ast.dump(tree)


def _gives_study(node: ast.stmt) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(target, ast.Name) and target.id == "study" for target in targets)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def changed_versions(first: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return which libraries have another version ``now`` than at ``first``, "" where none has."""
    return ", ".join(f"{name} {first.get(name)} -> {now[name]}" for name in now if first.get(name) != now[name])


def versions_since(journal: Path, now: Mapping[str, str]) -> list[str]:
    """Return a phrase that says which libraries changed since a search began, in a list; none where none did."""
    sessions = replay(read_events(journal), path=journal).sessions if journal.exists() else []
    changes = changed_versions(sessions[0].versions, now) if sessions else ""
    return [f"versions changed since it began, which may be why: {changes}"] if changes else []


def differences(
    old: Identity,
    new: Identity,
    texts: tuple[str, str],
    images: Tables,
    synthetic: Tables,
    other_code: bool = False,
) -> list[str]:
    """Return what differs between two identities, a paragraph each; none of them is empty.

    ``texts`` are those of the space, recorded and now; ``images`` and ``synthetic`` the tables of both. ``other_code``
    says whether code that is part of the search changed.
    """
    found = [
        f"{line} (--groups none is what it was)" if line.startswith("groups was None ") else line
        for line in fields_that_differ(
            UNWRITTEN | old["study"], {**dict.fromkeys(old["study"]), **UNWRITTEN, **new["study"]}
        )
    ]
    was, now = precision_in(old), precision_in(new)
    found += [f"precision was {was!r} and is now {now!r} (--precision {was} is what it was)"] if was != now else []
    networks = [name for name, sha256 in old.get("networks", {}).items() if new.get("networks", {}).get(name) != sha256]
    if networks:
        found.append(f"the network of {listed(networks)} changed: its code, its weights or its file")
    if old.get("space") != new["space"] and (not networks or texts[0] != texts[1]):
        found.append(_of_spaces(*texts))
    elif other_code:
        found.append(_of_spaces(*texts, words=OTHER_CODE))
    others = [field for field in VERSIONS if old.get(field) != new[field]]
    found += [VERSION.format(VERSIONS[field]) for field in others]
    if old.get("data") != new["data"]:
        found.append(of_tables("images", "the images, their labels or groups changed", images))
    if old.get("synthetic") != new["synthetic"]:
        found.append(of_tables("synthetic images", "the synthetic images changed", synthetic))
    if old.get("plan") != new["plan"] and "planning" not in others and old.get("data") == new["data"]:
        found.append("the planned folds differ")
    return found


def _of_spaces(recorded: str, now: str, words: str = "the space changed") -> str:
    """Return ``words`` with the lines of a space that changed."""
    diff = difflib.unified_diff(recorded.splitlines(), now.splitlines(), "recorded", "now", n=0, lineterm="")
    changed = list(diff)[2:]
    rest = len(changed) - LINES_SHOWN
    more = [f"… {rest} {'line' if rest == 1 else 'lines'} more"] if rest > 0 else []
    lines = [f"      {line}" for line in [*changed[:LINES_SHOWN], *more]]
    return f"{words}:\n" + "\n".join(lines) if lines else SAME_TEXT


def of_tables(what: str, words: str, tables: Tables) -> str:
    """Return ``words`` with the files that were added, removed or changed, as far as the tables tell."""
    was, now = tables
    key = next((name for name in KEYS if was is not None and now is not None and name in was and name in now), None)
    if key is None or was is None or now is None:
        return words
    old, new = was.astype(str).set_index(key), now.astype(str).set_index(key)
    both = old.index.intersection(new.index)
    lines = [
        _counted(what, "more", sorted(new.index.difference(old.index))),
        _counted(what, "fewer", sorted(old.index.difference(new.index))),
    ]
    kinds = {"content": "with another content", "label": "of another class", "group": "in another group"}
    kinds |= {"split": "of another split", "sources": "with other sources"}
    for column, phrase in kinds.items():
        if column in old and column in new:
            differ = (old.loc[both, column] != new.loc[both, column]).to_numpy()
            lines.append(_counted(what, phrase, sorted(both[differ])))
    told = [f"      {line}" for line in lines if line]
    return "\n".join([f"{words}:", *told]) if told else words


def change_of(name: str, was: pd.DataFrame | None, now: pd.DataFrame) -> str:
    """Return how the table that a search recorded differs from what it must be, "" where it does not.

    Columns that only one of them has are those of another version, and no change.
    """
    if was is None:
        return ""
    if len(was) != len(now):
        return f"{name} was changed: it has {len(was)} row{'s' * (len(was) != 1)}, where the search has {len(now)}"
    for column in [column for column in was if column in now]:
        old, new = was[column].astype(str), now[column].astype(str)
        for row in (old.to_numpy() != new.to_numpy()).nonzero()[0][:1]:
            return (
                f"{name} was changed: in row {row + 1} below its header, {column} is {old.iloc[row]!r}, where the "
                f"search has {new.iloc[row]!r}"
            )
    return ""


def _counted(what: str, phrase: str, names: list[str]) -> str:
    noun = what if len(names) > 1 else what.removesuffix("s")
    return f"{len(names)} {noun} {phrase}: {listed(names)}" if names else ""
