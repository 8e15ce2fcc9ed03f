"""Study: what a search fixes."""

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.system.errors import UserError
from search.system.validation import named_fields, one_of, real, whole

AUTO, NONE = "auto", "none"
OBJECTIVES = ("accuracy", "balanced_accuracy", "macro_f1")
GRID = "grid"
ORACLES = ("tpe", "random", "bayesian", GRID)
SPLITS = ("kfold", "shuffle")
UNWRITTEN: dict[str, Any] = {"lag": 1}  # fields that a search records only where they have another value
RACERS = ("hyperband", "asha", "bohb", "dehb", "successive_halving", "successivehalving", "median_stopping")


@named_fields
@dataclass(frozen=True)
class Study:
    r"""What stays the same over all trials of a search.

    ``data`` is a folder of class folders (also below ``train/``, ``val/``, ``test/``), a CSV
    manifest, a ``.npz`` or pickled arrays; or a function that makes one and returns its path.
    ``synthetic`` is a folder of generated images with a ``manifest.csv``; None looks for
    ``<data>-synthetic`` beside the data. ``trust_unsourced`` admits synthetic images that name no
    source, which may leak.

    ``groups`` says which images must share a fold: "auto" the near-duplicates, and the ``group``
    column of a manifest; None equal files only. A column of the manifest, or a pattern on the file name whose
    one bracket names the group, such as ``r"(\d+)_"``, or ``folder1``, ``folder2`` … for the first, second …
    folder of each image below the data, joins those of one group and the near-duplicates, as does
    ``("auto", r"(\d+)_")``; ``(None, r"(\d+)_")`` leaves near-duplicates apart. As text these are
    ``"auto+(\d+)_"`` and ``"none+(\d+)_"``.

    Four fields say of the data what their form does not. ``label_level`` is the level of the folders whose
    names are the classes: 1 for those in the data folder itself. ``labels_from`` is a pattern whose one
    bracket finds the label in the file name, or, where the pattern has a slash, in the path below the
    data. ``root`` is the folder below which the paths of a manifest lie, absolute ones too.
    ``keep_masks`` trains masks, annotations and previews of other images as pictures.

    ``splits`` is "kfold", or "shuffle": ``folds`` random splits with a part ``val`` in (0, 1) for
    validation. ``holdout`` is kept from all trials and scored once, for the winner: a part in
    (0, 1), a number of images of each class, or the name of a given split such as "test".
    ``baselines`` says whether two recipes that need no search are trained first, to compare with.
    ``train_fractions`` are the training sizes, as parts of each fold's training part in (0, 1]; their mean score
    ranks the trials. ``image_size`` is the side in px of recipes that name none (None: the typical longest side of
    the images, from 32 to 160). The ``objective`` is always maximised. ``lag`` is how many trials may be open at a
    time: trial n is proposed, raced and judged from the verdicts of trials up to n - lag alone. ``backbones`` are
    names that ``at_hand`` gives in place of those that the space writes (None: its own).

    Raises UserError for a value out of range, naming the field.
    """

    data: str | Path | Callable[[], Path]
    synthetic: str | Path | None = None
    trust_unsourced: bool = False
    label_level: int | None = None
    labels_from: str | None = None
    root: str | Path | None = None
    keep_masks: bool = False
    groups: str | tuple[str | None, str] | None = "auto"
    objective: str = "balanced_accuracy"
    folds: int = 5
    repeats: int = 1
    splits: str = "kfold"
    val: float = 0.2
    holdout: float | str | None = None
    train_fractions: tuple[float, ...] = (1.0, 0.25)
    oracle: str = "tpe"
    max_trials: int = 20
    lag: int = 1
    baselines: bool = True
    image_size: int | None = None
    backbones: tuple[str, ...] | None = None
    seed: int = 7

    def __post_init__(self) -> None:
        """Validate every field."""
        one_of("objective", self.objective, OBJECTIVES)
        if isinstance(self.oracle, str) and self.oracle.lower() in RACERS:
            raise UserError(
                f"oracle={self.oracle!r} is not needed: racing does its work here, with every oracle. It stops a trial "
                "early that is clearly behind after some of its runs (run --no-racing switches it off). Choose one of: "
                f"{', '.join(ORACLES)}."
            )
        one_of("oracle", self.oracle, ORACLES)
        one_of("splits", self.splits, SPLITS)
        fewest = 2 if self.splits == "kfold" else 1
        for name, low in (("folds", fewest), ("repeats", 1), ("max_trials", 1), ("lag", 1), ("seed", 0)):
            object.__setattr__(self, name, whole(name, getattr(self, name), low))
        if self.image_size is not None:
            object.__setattr__(self, "image_size", whole("image_size", self.image_size, 32, 1024))
        if not (callable(self.data) or isinstance(self.data, str | Path)):
            raise UserError(f"Study(data={self.data!r}) must be a folder, or a function that returns one.")
        if self.synthetic is not None and not isinstance(self.synthetic, str | Path):
            raise UserError(f"Study(synthetic={self.synthetic!r}) must be a folder, or None.")
        for name in ("trust_unsourced", "baselines", "keep_masks"):
            if not isinstance(getattr(self, name), bool):
                raise UserError(f"{name}={getattr(self, name)!r} must be True or False.")
        object.__setattr__(self, "val", real("val", self.val, 0, 0.9, open_low=True))
        object.__setattr__(self, "holdout", self._holdout())
        object.__setattr__(self, "train_fractions", self._fractions())
        object.__setattr__(self, "backbones", self._backbones())
        self._check_reading()
        self._check_groups()

    def _backbones(self) -> tuple[str, ...] | None:
        names: Any = self.backbones
        if names is None:
            return None
        names = names.split(",") if isinstance(names, str) else names
        if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
            raise UserError(f"backbones={self.backbones!r} must be names, as in ('EfficientNetLite0', 'Embedded').")
        return tuple(dict.fromkeys(name.strip() for name in names))

    def _check_reading(self) -> None:
        if self.label_level is not None:
            object.__setattr__(self, "label_level", whole("label_level", self.label_level, 1))
        if self.labels_from is not None:
            check_pattern("labels_from", self.labels_from, "the part that is the label")
        if self.root is not None and not isinstance(self.root, str | Path):
            raise UserError(f"Study(root={self.root!r}) must be a folder, or None.")

    def _fractions(self) -> tuple[float, ...]:
        fractions = self.train_fractions
        if not isinstance(fractions, list | tuple) or not fractions:
            raise UserError(f"train_fractions={fractions!r} must be a list of numbers in (0, 1], such as (1.0, 0.25).")
        checked = [real("train_fractions", fraction, 0, 1, open_low=True) for fraction in fractions]
        names = {f"{fraction:g}" for fraction in checked}  # as in the names of folds
        if len(names) < len(checked) or 1.0 not in checked:
            raise UserError(
                f"train_fractions={self.train_fractions!r} must hold 1.0 (the regular folds) and no value twice."
            )
        return tuple(sorted(checked, reverse=True))

    def _holdout(self) -> float | str | None:
        holdout: Any = self.holdout
        if holdout is None or (isinstance(holdout, str) and holdout):
            return holdout
        if isinstance(holdout, float) and 0 < holdout < 1:
            return holdout
        if isinstance(holdout, int) and not isinstance(holdout, bool) and holdout >= 1:
            return holdout
        raise UserError(
            f"holdout={holdout!r} must be None, a part of the images in (0, 1) such as 0.15, a whole number of images "
            'of each class such as 50, or the name of a given split such as "test".'
        )

    def _check_groups(self) -> None:
        if self.groups is None or self.groups == AUTO:
            return
        copies, key = self._copies_and_key()
        if copies not in {AUTO, NONE} or not isinstance(key, str) or not key:
            raise UserError(
                f"groups={self.groups!r} must be {AUTO!r}, None, a column of the manifest, a pattern on file names, or "
                f'a pair such as ({AUTO!r}, "patient"), or (None, "patient") to leave near-duplicates apart.'
            )
        if self.group_column is None:
            check_pattern("groups", key, "the part that names the group")

    def _copies_and_key(self) -> tuple[Any, Any]:
        """Return "auto" or "none", for near-duplicates; and the column or pattern beside, None without one."""
        groups: Any = self.groups
        if groups is None or groups == AUTO:
            return groups or NONE, None
        if isinstance(groups, list | tuple) and len(groups) == 2:
            return NONE if groups[0] is None else groups[0], groups[1]
        if not isinstance(groups, str):
            return None, None
        start, plus, key = groups.partition("+")
        return (start, key) if plus and start in {AUTO, NONE} else (AUTO, groups)

    @property
    def joins_copies(self) -> bool:
        """Whether near-duplicates share a fold."""
        return bool(self._copies_and_key()[0] == AUTO)

    @property
    def group_column(self) -> str | None:
        """The column of the manifest that names the groups, None where something else does."""
        key: str | None = self._copies_and_key()[1]
        return None if key is None or set("()[]\\") & set(key) else key

    @property
    def group_pattern(self) -> str | None:
        """The pattern on file names that names the groups, None where something else does."""
        key: str | None = self._copies_and_key()[1]
        return None if self.group_column else key

    @property
    def groups_recorded(self) -> str | None:
        """The groups as a search records them: what was once written alone left near-duplicates apart."""
        copies, key = self._copies_and_key()
        if key is None:
            return AUTO if copies == AUTO else None
        return f"{AUTO}+{key}" if copies == AUTO else str(key)

    @property
    def recorded(self) -> dict[str, Any]:
        """Those fields whose values a search records in another form."""
        recorded: dict[str, Any] = {"train_fractions": list(self.train_fractions), "groups": self.groups_recorded}
        recorded |= {"backbones": list(self.backbones)} if self.backbones else {}
        return recorded | {name: now for name, usual in UNWRITTEN.items() if (now := getattr(self, name)) != usual}

    def with_recorded(self, groups: str | None) -> "Study":
        """Return the study with the groups that a search has recorded."""
        joins = groups is None or groups == AUTO or groups.startswith(f"{AUTO}+")
        return self.replace(groups=groups if joins else (None, groups))

    def data_folder(self) -> Path:
        """Return the data folder, made first if ``data`` is a function."""
        if not callable(self.data):
            return Path(self.data)
        try:
            return Path(self.data())
        except Exception as error:  # noqa: BLE001 it is anyone's code
            name = getattr(self.data, "__name__", "data")
            raise UserError(f"Study(data={name}): the function failed: {type(error).__name__}: {error}") from None

    def as_recorded(self, fields: dict[str, Any]) -> "Study":
        """Return the study with the fields that a search has recorded, whatever a command line had set them to."""
        known = {field.name for field in dataclasses.fields(self)} - {"groups"}
        study = self.replace(**{name: value for name, value in (UNWRITTEN | fields).items() if name in known})
        return study.with_recorded(fields["groups"]) if "groups" in fields else study

    def replace(self, **changes: Any) -> "Study":
        """Return the study with some fields changed, validated again."""
        return dataclasses.replace(self, **changes)


def check_pattern(field: str, pattern: Any, part: str) -> None:
    """Raise UserError, naming the field, unless ``pattern`` is a regular expression with one bracket, for ``part``."""
    try:
        brackets = re.compile(pattern).groups
    except (re.error, TypeError) as error:
        raise UserError(f"{field}={pattern!r} is not a regular expression: {error}.") from None
    if brackets != 1:
        raise UserError(f"{field}={pattern!r} must hold one (group) in brackets: {part}.")
