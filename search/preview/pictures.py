"""The pictures of a preview: the user's images as a network is shown them, by the functions that training uses."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np

from search.data.dataset import Dataset
from search.data.images import decode
from search.data.loading import Inputs
from search.data.synthetic import SyntheticPool
from search.preview.choices import Choices, Drawn
from search.repertoire.augmentation import Augment, batches_of
from search.repertoire.mixing import mix_of
from search.repertoire.recipe import Recipe
from search.repertoire.weighting import weights_of
from search.report.sheets import Group, Tile
from search.report.words import amount
from search.system.digests import seed_from
from search.system.modules import Home
from search.system.validation import one_of
from search.training.batches import Batches, mixed_of_run, one_hot

COLUMNS = 9  # of a sheet: an image as it is, and the eight views of most recipes
BATCHES, BATCH = 3, 8  # mixed batches that are shown, and images of each
SOURCES = COLUMNS - 1  # of a synthetic image, at most
MIXED = {
    "pixels": "Where all of a network trains, the pixels are mixed.",
    "maps": "Where its lower blocks are frozen, the maps at the border are mixed in the same way; the pictures show "
    "what that would do to pixels.",
    "features": "Where the backbone is frozen, its features are mixed with such shares; the pictures show what that "
    "would do to pixels.",
}


@dataclass(frozen=True)
class Section:
    """A part of a preview: the name of its files, its title, what is to be known of it, and its images."""

    name: str
    title: str
    sentences: tuple[str, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Camera:
    """What takes the pictures: the images, the ``rows`` of those that are shown, and the code of the space."""

    inputs: Inputs
    rows: tuple[int, ...]
    home: Home

    def views(self, augment: Augment, size: int, view: int, rows: Sequence[int] | None = None) -> np.ndarray:
        """Return a view of the images (n, size, size, 3), uint8, as training draws it."""
        dataset, rows = self.inputs.dataset, self.rows if rows is None else rows
        contents = [dataset.contents[row] for row in rows]
        paths = [dataset.paths[row] for row in rows]
        pixels = decode(paths, contents, size, self.inputs.cache, ranges=dataset.ranges).pixels
        numbers = np.arange(len(rows))
        seed = self.inputs.study.seed
        return np.concatenate(list(batches_of(pixels, contents, augment, view, seed, numbers, BATCH, self.home)))

    def label(self, row: int) -> str:
        """Return the name of the class of an image."""
        return self.inputs.dataset.classes[self.inputs.dataset.labels[row]]


def camera_for(inputs: Inputs, number: int, class_name: str | None, home: Home) -> Camera:
    """Return what takes pictures of some images, of one class if it is named. Raises UserError for an unknown one."""
    if class_name is not None:
        one_of("--class", class_name, inputs.dataset.classes)
    return Camera(inputs, rows_shown(inputs.dataset, number, class_name, inputs.study.seed), home)


def rows_shown(dataset: Dataset, number: int, class_name: str | None, seed: int) -> tuple[int, ...]:
    """Return the rows of some images, always the same: of one class, or of all classes in turn."""
    rng = np.random.default_rng(seed_from(seed, "preview"))
    labels = range(len(dataset.classes)) if class_name is None else [dataset.classes.index(class_name)]
    by_class = [rng.permutation(np.flatnonzero(dataset.labels == label)).tolist() for label in labels]
    return tuple(_in_turn(by_class, number))


def _in_turn(by_class: Sequence[Sequence[int]], number: int) -> list[int]:
    """Return the first of so many rows, of each class one in turn."""
    return [row for row in chain.from_iterable(zip_longest(*by_class)) if row is not None][:number]


def sections_of(choices: Choices, camera: Camera, pool: SyntheticPool | None) -> Iterator[Section]:
    """Yield the parts of a preview in order: policies, mixers, synthetic images."""
    for number, drawn in enumerate(choices.augments, start=1):
        yield _augmented(f"augment-{number}", drawn, choices, camera)
    for number, drawn in enumerate(choices.mixes, start=1):
        yield _mixed(f"mix-{number}", drawn, choices, camera)
    if pool:
        yield _synthetic(choices, camera, pool)


def _augmented(name: str, drawn: Drawn, choices: Choices, camera: Camera) -> Section:
    augment, size, first = drawn.recipe.augment, drawn.image_size, camera.rows[0]
    plain = camera.views(Augment(), size, 0)
    labels = [camera.label(row) for row in camera.rows]
    if augment.is_plain:
        tiles = [Tile(pixels, label) for pixels, label in zip(plain, labels, strict=True)]
        words = ("Each epoch shows every image as it is.", *_numbers(drawn, choices))
        return Section(name, "No augmentation", words, (Group("", tiles),))
    shown = min(drawn.views, COLUMNS - 1)
    ones = [camera.views(augment, size, view, [first])[0] for view in range(shown)]
    many = [Tile(plain[0], "as it is", "rest"), *(Tile(one, f"view {at}") for at, one in enumerate(ones, start=1))]
    of = f" of {drawn.views}" if drawn.views > shown else ""
    groups = [Group(f"One image, {amount(shown, 'view')}{of}", many)]
    if len(camera.rows) > 1:
        other = [Tile(pixels, label) for pixels, label in zip(camera.views(augment, size, 0), labels, strict=True)]
        as_they_are = [Tile(pixels, label, "rest") for pixels, label in zip(plain, labels, strict=True)]
        groups += [Group("Several images as they are", as_they_are), Group("View 1 of each", other)]
    return Section(name, f"Augmentation: {_rounded(augment.level)}", _words(augment, drawn, choices), tuple(groups))


def _words(augment: Augment, drawn: Drawn, choices: Choices) -> tuple[str, ...]:
    """Return what a policy does, with which numbers, and how often it is drawn."""
    row = augment.row
    does = " ".join((row.draw.__doc__ or "").split("\n\n")[0].split()).replace("`", "") if row.draw else ""
    does = does or f"It has {len(row.versions)} versions of an image, and shows them in turn."
    settings = {**({"strength": augment.strength} if row.takes_strength else {}), **augment.settings}
    given = [f"{key} {_rounded(str(value))}" for key, value in settings.items() if value]
    with_them = f"With {', '.join(given)}." if given else ""
    views = f"A recipe shows {amount(drawn.views, 'fixed view')} of each image in turn."
    return tuple(line for line in (does, with_them, views, *_numbers(drawn, choices)) if line)


def _rounded(words: str) -> str:
    """Return words with three digits of each number that has more."""
    return re.sub(r"\d+\.\d{4,}", lambda match: f"{float(match[0]):.3g}", words)


def _numbers(drawn: Drawn, choices: Choices) -> list[str]:
    sizes = drawn.other_sizes
    further = f" (others at {' or '.join(map(str, sizes))} px)" if sizes else ""
    part = f"{len(drawn.recipes)} of {choices.points} recipes drawn from the space have it."
    lines = [f"{part} Shown at {drawn.image_size} px{further}."]
    if drawn.of:
        lines.append(f"Of its {drawn.of} variants that were drawn, a few are shown, from the weakest to the strongest.")
    return lines


def _mixed(name: str, drawn: Drawn, choices: Choices, camera: Camera) -> Section:
    recipe = drawn.recipe
    assert isinstance(recipe, Recipe), "only these mix"
    mix, dataset, seed = mix_of(recipe), camera.inputs.dataset, camera.inputs.study.seed
    rows = np.array(rows_shown(dataset, BATCHES * BATCH, None, seed_from(seed, name)))
    labels = dataset.labels[rows]
    batches = Batches(
        camera.views(recipe.augment, drawn.image_size, 0, rows.tolist()),
        one_hot(labels, len(dataset.classes)),
        weights_of(recipe.class_weight, dataset.labels, dataset.classes)[rows],
        np.append(np.arange(BATCH, len(rows), BATCH), len(rows)),
    )
    mixed = mixed_of_run(mix, batches, seed_from(seed, "preview"), 0, 0)
    tiles = [Tile(one, _target(two, dataset.classes)) for one, two in zip(mixed.inputs, mixed.targets, strict=True)]
    groups = [
        Group(f"Batch {number}", tiles[end - BATCH if number < len(mixed.ends) else mixed.ends[number - 2] : end])
        for number, end in enumerate(mixed.ends.tolist(), start=1)
    ]
    kinds = {_kind(one) for one in drawn.recipes if isinstance(one, Recipe)}
    shares = f"shares are drawn for each batch from Beta({mix.alpha:g}, {mix.alpha:g})"
    words = (
        f"Each image of a batch is mixed with another one, and its target likewise; {shares}.",
        *(text for kind, text in MIXED.items() if kind in kinds),
        f"The images are views of the policy {_rounded(recipe.augment.level)}.",
        *_numbers(drawn, choices),
    )
    return Section(name, f"Mixing: {mix.level}", words, tuple(groups))


def _kind(recipe: Recipe) -> str:
    if recipe.head_only:
        return "features"
    return "maps" if recipe.architecture.has_frozen_part(recipe.unfrozen_blocks or 0) else "pixels"


def _target(target: np.ndarray, classes: Sequence[str]) -> str:
    """Return a soft target in words, the largest share first: "0.70 cat + 0.30 dog", with a line for each."""
    shares = [(float(target[at]), classes[at]) for at in np.argsort(-target, kind="stable") if target[at] > 0]
    return " +\n".join(f"{share:.2f} {name}" for share, name in shares)


def _synthetic(choices: Choices, camera: Camera, pool: SyntheticPool) -> Section:
    """Return synthetic images, each with its sources, in the order of classes in turn."""
    inputs = camera.inputs
    size = inputs.image_size
    by_class = [np.flatnonzero(pool.labels == label).tolist() for label in range(len(pool.classes))]
    in_turn = _in_turn(by_class, len(camera.rows))
    paths, contents = [pool.paths[row] for row in in_turn], [pool.contents[row] for row in in_turn]
    pixels = decode(paths, contents, size, inputs.cache, ranges=pool.ranges).pixels
    groups = []
    for row, image in zip(in_turn, pixels, strict=True):
        sources = list(pool.sources[row][:SOURCES])
        tiles = [Tile(image, f"synthetic {pool.classes[pool.labels[row]]}\n{pool.paths[row].name}", "recommended")]
        if sources:
            real = camera.views(Augment(), size, 0, sources)
            tiles += [
                Tile(one, f"source, {camera.label(at)}\n{inputs.dataset.paths[at].name}")
                for one, at in zip(real, sources, strict=True)
            ]
        groups.append(Group("", tiles))
    beside = f"{amount(len(in_turn), 'image')} of {len(pool)}, framed, each beside the images that it was made from."
    used = f"{choices.synthetic} of {choices.points} recipes drawn from the space use synthetic images."
    words = (
        f"{beside} It trains a fold only if all of these, and all that its generator was fitted on, train that fold.",
        f"{used} They are augmented and mixed as real ones are.",
    )
    return Section("synthetic", "Synthetic images", words, tuple(groups))
