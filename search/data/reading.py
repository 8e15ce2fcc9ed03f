"""Reading: what a person says of a data set where its form does not say it."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd

from search.study import Study, check_pattern
from search.system.errors import UserError


@dataclass(frozen=True)
class Reading:
    """How to read a data set; each field is as in Study.

    ``single`` is whether one class alone will do: to evaluate a model, not to train one.
    """

    label_level: int | None = None
    labels_from: str | None = None
    root: Path | None = None
    keep_masks: bool = False
    single: bool = False

    def __post_init__(self) -> None:
        """Validate the fields that contradict each other."""
        if self.labels_from is not None:
            check_pattern("labels_from", self.labels_from, "the part that is the label")
        if self.labels_from is not None and self.label_level is not None:
            raise UserError("Labels come from a level of folders or from a pattern: give label_level or labels_from.")

    @classmethod
    def of(cls, study: Study) -> Self:
        """Return what a study says of its data."""
        root = None if study.root is None else Path(study.root)
        return cls(study.label_level, study.labels_from, root, study.keep_masks)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults, as JSON types and as options take them."""
        fields = asdict(self) | {"root": None if self.root is None else str(self.root.absolute())}
        return {name: value for name, value in fields.items() if value}

    def check_no_table(self, data: Path) -> None:
        """Raise UserError where a field makes no sense for ``data``, which is no table."""
        if self.root is not None:
            raise UserError(
                f"root={str(self.root)!r} says where the images of a table are, but {data} is no table. Leave it out."
            )

    def check_file(self, data: Path) -> None:
        """Raise UserError where a field makes no sense for ``data``, which is a file."""
        for name in ("label_level", "labels_from"):
            if getattr(self, name) is not None:
                raise UserError(
                    f"{name}={getattr(self, name)!r} takes labels from folders or file names, but {data} is a file "
                    "that has labels of its own. Leave it out, or name the folder of the images."
                )


AS_IT_IS = Reading()


def as_before(images: pd.DataFrame | None, data: Path) -> dict[str, Any]:
    """Return what to say of the data of a search that is older than Reading, so that it is read as it was then.

    ``images`` is its table of images (images.csv), None where it has none, and ``data`` where they are. Then no image
    was taken for a mask, and the first folders were the classes unless these were splits.
    """
    said: dict[str, Any] = {"keep_masks": True}
    if images is None or not data.is_dir() or not {"id", "label"} <= set(images):
        return said
    firsts = images["id"].str.split("/").str[0]
    return said | {"label_level": 1} if (firsts == images["label"]).all() else said
