"""The writer of pools: synthetic images, made for each fold of its training part alone, with their manifest."""

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from search.data.folds import Fold, plan_digest, plan_table
from search.data.loading import Inputs
from search.data.materialise import class_folders
from search.data.origins import COLUMNS, CONTENT, FOLDS, read_manifest, source_name
from search.data.readers.manifest import MANIFEST
from search.data.synthetic import MADE_FOR, METHOD, TRAINED_ON
from search.synthesis.extractor import Extractor
from search.synthesis.methods.method import Material, Method, Picture, Request
from search.system.digests import digest
from search.system.errors import UserError
from search.system.files import locked, new_file, write_text
from search.system.progress import Progress, Say
from search.system.texts import csv_text

WORK = ".making"  # in the folder of a pool, while it is being made
SETTINGS, MADE, LOCK = "settings.json", "made.jsonl", "lock"
PHOTOGRAPHS = (".jpg", ".jpeg")
JPEG_QUALITY = 95
ALL_COLUMNS = (*COLUMNS, METHOD, TRAINED_ON, MADE_FOR)


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a pool: a method, its settings, and how many images of each class for each fold.

    ``chosen`` are the rows of the data set that may be the first source of an image, None for all; ``origin`` says in
    words which these are.
    """

    method: Method
    numbers: Mapping[str, int]
    strength: float
    seed: int
    chosen: tuple[int, ...] | None = None
    origin: str = "all"
    prompts: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """An image of a pool: its file in the folder, its class, its sources by id, and the fold that it was made for."""

    image: str
    label: str
    sources: tuple[str, ...]
    fold: str
    number: int
    seconds: float


@dataclass(frozen=True)
class WrittenPool:
    """A pool on disk: what was made now, and what could not be, by class and fold."""

    folder: Path
    made: Sequence[Made]
    lacking: Mapping[tuple[str, str], int]

    @property
    def seconds_an_image(self) -> float:
        """The mean time that an image took, the fitting of generators included."""
        return float(np.mean([each.seconds for each in self.made])) if self.made else float("nan")


class PoolWriter:
    """Makes a pool of synthetic images for the folds of a study, and goes on where an earlier one was interrupted.

    The images of each fold are made of its training part alone. What is made is kept at once; the manifest, which makes
    a pool of it, is written at the end. A pool may already have images of other methods: they stay.

    Raises UserError where the folder holds something else, or a pool of other folds, or one of this method.
    """

    def __init__(self, folder: Path, inputs: Inputs, wanted: Wanted, extractor: Extractor) -> None:
        """Look at what is in the folder; nothing is written."""
        self.folder, self.inputs, self.wanted, self.extractor = folder, inputs, wanted, extractor
        self.folds: Sequence[Fold] = inputs.plan.folds
        self._earlier = read_manifest(folder) if (folder / MANIFEST).is_file() else None
        self._check()

    @property
    def work(self) -> Path:
        """The folder of what an unfinished pool needs."""
        return self.folder / WORK

    @property
    def total(self) -> int:
        """How many images the pool will get, if there are sources for all."""
        return len(self.folds) * sum(self.wanted.numbers.values())

    def write(
        self, say: Say, progress: Progress, measure: Callable[[WrittenPool], None] = lambda _pool: None
    ) -> WrittenPool:
        """Make the images that are not made yet, write the manifest, and return what there is.

        ``measure`` is called with it before the pool counts as finished, so that it too is done after an interruption.
        """
        self.work.mkdir(parents=True, exist_ok=True)
        with locked(self.work / LOCK, wait=False) as is_free:
            if not is_free:
                raise UserError(f"Another process is making the pool {self.folder}. Wait until it has ended.")
            write_text(self.work / SETTINGS, self._settings)
            pool = self._write(say, progress)
            measure(pool)
        self._finish()
        return pool

    def _write(self, say: Say, progress: Progress) -> WrittenPool:
        made, lacking = self._read_made(), Counter[tuple[str, str]]()
        if made:
            say(f"Going on: {len(made)} of {self.total} images were made before")
        with (self.work / MADE).open("a", encoding="utf-8") as log:
            for fold in self.folds:
                numbers, short = self._numbers(fold)
                lacking.update(short)
                there = [each for each in made if each.fold == fold.id]
                for each in self._of_fold(fold, numbers, there, say, progress):
                    made.append(each)
                    log.write(json.dumps(asdict(each)) + "\n")
                    log.flush()
                    progress(f"Making images: {self.wanted.method.name}", len(made), self.total)
        self._write_manifest(made)
        return WrittenPool(self.folder, made, lacking)

    def _of_fold(
        self, fold: Fold, numbers: Mapping[int, int], there: Sequence[Made], say: Say, progress: Progress
    ) -> Iterator[Made]:
        """Yield the images of a fold that are not there yet, each once it is on disk."""
        classes = self.inputs.dataset.classes
        first = Counter(classes.index(each.label) for each in there)
        rest = {label: number - first[label] for label, number in numbers.items() if number > first[label]}
        if not rest:
            return
        material = self._material(fold)
        request = Request(
            numbers=rest,
            strength=self.wanted.strength,
            seed=self.wanted.seed,
            part=fold.id,
            folder=self.work / fold.id,
            first=first,
            prompts=self.wanted.prompts,
            options=self.wanted.options,
            say=say,
            progress=lambda what, done, of: progress(f"{fold.id}: {what}", done, of),
        )
        next_number, began = Counter(first), time.perf_counter()
        for picture in self.wanted.method.make(material, request):
            number = next_number[picture.label]
            next_number[picture.label] += 1
            image = self._save(picture, fold, number)
            sources = tuple(self.inputs.dataset.ids[fold.train[row]] for row in picture.sources)
            seconds = time.perf_counter() - began
            yield Made(image, classes[picture.label], sources, fold.id, number, round(seconds, 4))
            began = time.perf_counter()

    def _numbers(self, fold: Fold) -> tuple[dict[int, int], dict[tuple[str, str], int]]:
        """Return how many images a fold gets by class number, and how many it lacks for want of sources, by name."""
        dataset, chosen = self.inputs.dataset, self._is_chosen[fold.train]
        there = np.bincount(dataset.labels[fold.train][chosen], minlength=len(dataset.classes))
        numbers, lacking = {}, {}
        for name, number in self.wanted.numbers.items():
            label = dataset.classes.index(name)
            if there[label]:
                numbers[label] = number
            else:
                lacking[name, fold.id] = number
        return numbers, lacking

    def _material(self, fold: Fold) -> Material:
        dataset, rows = self.inputs.dataset, fold.train
        pixels = self.inputs.images.pixels[rows]
        return Material(
            pixels=pixels,
            contents=[dataset.contents[row] for row in rows],
            labels=dataset.labels[rows],
            classes=dataset.classes,
            is_chosen=self._is_chosen[rows],
            features=lambda: self.extractor.real[rows],
            features_of=self.extractor,
        )

    @cached_property
    def _is_chosen(self) -> np.ndarray:
        rows = np.arange(len(self.inputs.dataset))
        return np.ones(len(rows), bool) if self.wanted.chosen is None else np.isin(rows, self.wanted.chosen)

    def _save(self, picture: Picture, fold: Fold, number: int) -> str:
        """Write an image, whole or not at all, and return its path in the folder."""
        name = f"{self._places[picture.label]}/{self.wanted.method.name}-{fold.id}-{number:04d}{self._suffix}"
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        with new_file(path) as file:
            if self._suffix == ".png":
                Image.fromarray(picture.pixels).save(file, "PNG")
            else:
                Image.fromarray(picture.pixels).save(file, "JPEG", quality=JPEG_QUALITY)
        return name

    @cached_property
    def _places(self) -> list[str]:
        """The name of the folder of each class."""
        return class_folders(self.inputs.dataset.classes)

    @cached_property
    def _suffix(self) -> str:
        """The kind of file: JPEG where most real images are, so that files do not tell synthetic images apart."""
        paths = self.inputs.dataset.paths
        photographs = sum(path.suffix.lower() in PHOTOGRAPHS for path in paths)
        return ".jpg" if 2 * photographs > len(paths) else ".png"

    @cached_property
    def _settings(self) -> str:
        """What an unfinished pool must have in common with this one, as JSON."""
        wanted, chosen = self.wanted, self.wanted.chosen
        settings = {
            "method": wanted.method.name,
            "per_class": dict(sorted(wanted.numbers.items())),
            "strength": wanted.strength,
            "seed": wanted.seed,
            "from": wanted.origin if chosen is None else f"{wanted.origin} {digest(list(chosen))}",
            "options": {name: str(value) for name, value in sorted(wanted.options.items())},
            "prompts": dict(sorted(wanted.prompts.items())),
            "images": digest([list(self.inputs.dataset.contents), self.inputs.image_size]),
            "folds": plan_digest(self.folds),
        }
        return json.dumps(settings, indent=2) + "\n"

    def _check(self) -> None:
        if (self.work / SETTINGS).is_file():
            if (self.work / SETTINGS).read_text(encoding="utf-8") != self._settings:
                raise UserError(
                    f"{self.folder} holds an unfinished pool with other settings (see {self.work / SETTINGS}). Go on "
                    "with the command that began it, or name another folder."
                )
            if self._earlier is not None:  # its own images may be listed already, if only its card is not written
                others = self._earlier[self._earlier[METHOD] != self.wanted.method.name]
                self._earlier = others if len(others) else None
        elif self._earlier is None and self.folder.is_dir() and any(self.folder.iterdir()):
            raise UserError(f"{self.folder} is not empty and holds no pool. Name a new folder.")
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"{self.folder} is a file. Name a new folder.")
        if self._earlier is not None:
            self._check_earlier(self._earlier)

    def _check_earlier(self, manifest: pd.DataFrame) -> None:
        name = self.wanted.method.name
        if name in set(manifest[METHOD]):
            count = int((manifest[METHOD] == name).sum())
            raise UserError(
                f"{self.folder} has {count} images by {name} already. Name another folder, or delete this one."
            )
        folds = self.folder / FOLDS
        if not folds.is_file() or folds.read_text(encoding="utf-8") != self._folds_text:
            raise UserError(
                f"{self.folder} holds a pool that was made for other folds. Images of several methods can stand in one "
                "pool only where data, folds and seed are the same. Name another folder."
            )

    @cached_property
    def _folds_text(self) -> str:
        ids, contents = self.inputs.dataset.ids, self.inputs.dataset.contents
        table = plan_table(self.folds, ids)
        content_of = dict(zip(ids, contents, strict=True))
        return csv_text(table.assign(**{CONTENT: [content_of[id_] for id_ in table["id"]]}))

    def _read_made(self) -> list[Made]:
        """Return what an interrupted command has made, as far as its lines and files are whole."""
        made = []
        path = self.work / MADE
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
        for line in lines:
            if not line.endswith("\n"):
                break
            fields = json.loads(line)
            each = Made(**{**fields, "sources": tuple(fields["sources"])})
            if not (self.folder / each.image).is_file():
                break
            made.append(each)
        write_text(path, "".join(lines[: len(made)]))
        return made

    def _write_manifest(self, made: Sequence[Made]) -> None:
        """Write which images there are, and on what folds they rest."""
        method, dataset = self.wanted.method, self.inputs.dataset
        name_of = {id_: source_name(id_, each) for id_, each in zip(dataset.ids, dataset.contents, strict=True)}
        rows = [
            (
                each.image,
                each.label,
                ";".join(name_of[id_] for id_ in each.sources),
                method.name,
                each.fold if method.fitted else "",
                each.fold,
            )
            for each in made
        ]
        table = pd.DataFrame(rows, columns=list(ALL_COLUMNS))
        if self._earlier is not None:
            table = pd.concat([self._earlier, table], ignore_index=True)
        write_text(self.folder / FOLDS, self._folds_text)
        write_text(self.folder / MANIFEST, csv_text(table))

    def _finish(self) -> None:
        """Keep the sheets that a method has drawn as it went, and remove the rest of its work."""
        for sheet in sorted(self.work.glob("*/*.png")):
            place = self.folder / "samples" / f"{self.wanted.method.name}-{sheet.parent.name}"
            place.mkdir(parents=True, exist_ok=True)
            sheet.replace(place / sheet.name)
        shutil.rmtree(self.work)
