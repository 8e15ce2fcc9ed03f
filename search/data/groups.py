"""Groups of images that must stay together: near-duplicates, equal files, and what the user names."""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from search.data.dataset import MANIFEST_COLUMN, Dataset
from search.study import AUTO, Study
from search.system.errors import UserError

COPIES = "copies"  # the column of a data set that is equal for images that show the same picture


def regrouped(dataset: Dataset, study: Study, near: Sequence[int] | np.ndarray, *, strict: bool = True) -> Dataset:
    """Return the data set with the groups that the study asks for, and which images are copies.

    Equal files always share a group. ``near`` is the number of each image's group of near-duplicates, shape (n,);
    it counts unless the study leaves near-duplicates apart. Under ``groups="auto"`` the column ``group`` of a
    manifest counts too. Raises UserError, if ``strict``, for a column that is not there, and for a pattern that does
    not fit a name; else such an image stands for itself.
    """
    bonds: list[Sequence[object] | np.ndarray] = [dataset.contents]
    if study.joins_copies:
        bonds.append(near)
    if study.group_column is not None:
        names = _column(dataset, study.group_column, strict=strict)
    elif study.group_pattern is not None:
        names = [_matched(id_, study.group_pattern, strict=strict) for id_ in dataset.ids]
    elif study.groups == AUTO and f"{MANIFEST_COLUMN}group" in dataset.table:
        names = _column(dataset, "group")
    else:
        names = dataset.ids
    groups, copies = joined(names, bonds), _copies(dataset, near)
    return dataclasses.replace(dataset, table=dataset.table.assign(**{"group": groups, COPIES: copies}))


def _copies(dataset: Dataset, near: Sequence[int] | np.ndarray) -> list[str]:
    """Return for each image the first of those that show the same picture, "" for an image without copies."""
    names = joined(dataset.ids, [dataset.contents, near])
    sizes = Counter(names)
    return [name if sizes[name] > 1 else "" for name in names]


def _column(dataset: Dataset, column: str, *, strict: bool = True) -> list[str]:
    """Return a column of the manifest; where it is empty, the image stands for itself."""
    names = [name.removeprefix(MANIFEST_COLUMN) for name in dataset.table if name.startswith(MANIFEST_COLUMN)]
    folder = re.fullmatch(r"folder([1-9])", column)
    if column not in names and folder:
        return _folders(dataset, int(folder[1]), strict=strict)
    if column not in names and not strict:
        return dataset.ids
    if column not in names:
        has = (
            f"has the columns {', '.join(names)} besides image and label"
            if names
            else "is no manifest with more columns"
        )
        raise UserError(
            f'groups={column!r} names a column, but {dataset.source} {has}. Give groups="auto", one of its columns, or '
            r'a pattern on file names with one (group) in brackets, such as r"(\d+)_".'
        )
    values = dataset.table[MANIFEST_COLUMN + column]
    return values.where(values != "", dataset.table["id"]).tolist()


def _folders(dataset: Dataset, level: int, *, strict: bool) -> list[str]:
    """Return the folder of each image on a level below the data; an image that has none stands for itself."""
    parts = [PurePosixPath(id_).parts for id_ in dataset.ids]
    if strict and not any(len(names) > level for names in parts):
        raise UserError(
            f"groups='folder{level}': no image of {dataset.source} lies in a folder of level {level} below it. Give "
            'groups="auto", or a level that there is.'
        )
    return ["/".join(names[:level]) if len(names) > level else "/".join(names) for names in parts]


def _matched(id_: str, pattern: str, *, strict: bool) -> str:
    match = re.search(pattern, PurePosixPath(id_).name)
    if match is None or match[1] is None:
        if not strict:
            return id_
        raise UserError(
            f"groups={pattern!r} does not fit the file name of {id_}. Mend the pattern, or leave it out: "
            'groups="auto" keeps near-duplicates together.'
        )
    return match[1]


def joined(names: Iterable[str], bonds: Iterable[Sequence[object] | np.ndarray]) -> list[str]:
    """Return the group of each image: ``names``, merged where images share a value in one of ``bonds``.

    A merged group bears the name of its first image's.
    """
    names = list(names)
    links = [pd.factorize(np.asarray(values, dtype=object))[0] for values in (names, *bonds)]
    n = len(names)
    nodes, offset = [], n
    for link in links:
        nodes.append(offset + link)
        offset += n
    rows = np.tile(np.arange(n), len(links))
    graph = coo_array((np.ones(n * len(links)), (rows, np.concatenate(nodes))), shape=(offset, offset))
    _, component = connected_components(graph, directed=False)
    first: dict[int, str] = {}
    return [first.setdefault(component[row], name) for row, name in enumerate(names)]
