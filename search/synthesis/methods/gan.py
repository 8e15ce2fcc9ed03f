"""A small class-conditional GAN, fitted from scratch on some hundreds of images at 64 px.

Hinge loss with a projection of the class (Miyato and Koyama 2018), spectral norms in the discriminator, and DiffAugment
(Zhao, Liu, Lin, Zhu and Han 2020: "Differentiable Augmentation for Data-Efficient GAN Training"), without which a
discriminator knows so few images by heart. Images come from the average of the generator over its steps.

Do not expect much: of 100 photographs of ants and bees it had learnt colours and textures of both classes after half of
its steps, with dark spots where an insect might be, and no insect.
"""

import hashlib
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from search.synthesis.methods.method import Material, Method, Picture, Request
from search.system.digests import digest, seed_from
from search.system.errors import UserError
from search.system.files import npz_bytes, write_bytes
from search.system.signals import check_signals
from search.system.validation import whole

if TYPE_CHECKING:
    from search.synthesis.networks import Networks

STEPS, BATCH = 3_000, 16
SHEETS, SAMPLES = 10, 8  # sheets of samples in all; samples of each class
SAVE_SECONDS = 20.0  # between two saved states, at the least
LIKELY = 100_000  # more epochs than anybody has time for


def make(material: Material, request: Request) -> Iterator[Picture]:
    """Yield images from random latents, by a generator that is fitted here first, or goes on being fitted.

    They are 64 px and enlarged. ``strength`` scales the latents: smaller ones give more usual images that differ less.
    The fit has as many epochs as make 3,000 steps, however many images there are: ten minutes of one core. After that
    an image takes 0.004 s.
    The state of the fit and sheets of samples, from the same latents each time, lie in the folder of the request.
    """
    import cv2

    fit = Fit(material, request)
    fit.go_on()
    for label, k in request.wanted():
        latent = request.rng(label, k).normal(size=fit.networks.latent) * request.strength
        small = fit.networks.images(latent[None], [label])[0]
        side = material.pixels.shape[1]
        yield Picture(cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC), label)


@dataclass(frozen=True)
class Fit:
    """The fit of a generator to a material: an epoch after the other, each step drawn from the seed and its number."""

    material: Material
    request: Request

    @cached_property
    def networks(self) -> "Networks":
        """Its networks, with the weights that they begin with."""
        from search.synthesis.networks import Networks

        return Networks(len(self.material.classes), seed_from(self.request.seed, "gan", self.request.part))

    @cached_property
    def images(self) -> np.ndarray:
        """The images that it learns from, (n, 64, 64, 3) uint8."""
        import cv2

        side = self.networks.side
        return np.stack([cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) for one in self.material.pixels])

    @property
    def steps_of_an_epoch(self) -> int:
        """How many batches hold as many images as there are."""
        return -(-len(self.material) // BATCH)

    @property
    def epochs(self) -> int:
        """How many epochs it has: those that are asked for, or as many as have 3,000 steps."""
        return whole("epochs", self.request.options.get("epochs", -(-STEPS // self.steps_of_an_epoch)), 1, LIKELY)

    @cached_property
    def state(self) -> Path:
        """The file of its state, named by all on which the fit depends."""
        content = hashlib.sha256(self.images.tobytes()).hexdigest()
        key = [content, self.material.labels.tolist(), self.request.seed, self.request.part, self.epochs, BATCH]
        return self.request.folder / f"gan-{digest([*key, *self.networks.key])}.npz"

    def go_on(self) -> None:
        """Fit from the last saved state to the last epoch. Raises UserError where learning diverges."""
        epochs, steps = self.epochs, self.steps_of_an_epoch
        self.request.folder.mkdir(parents=True, exist_ok=True)
        done = self._restore()
        saved, task = time.monotonic(), f"Fitting a generator to the training part of {self.request.part}"
        self.request.progress(task, done * steps, epochs * steps)
        while done < epochs:
            for step in range(done * steps, (done + 1) * steps):
                check_signals()
                self._step(step)
                self.request.progress(task, step + 1, epochs * steps)
            done += 1
            if done == epochs or done % max(1, epochs // SHEETS) == 0:
                self._write_sheet(done)
            if done == epochs or time.monotonic() - saved >= SAVE_SECONDS:
                self._save(done)
                saved = time.monotonic()

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return images and their labels for a step; every class has as many, or nearly so."""
        rng = np.random.default_rng(seed_from(self.request.seed, "gan", self.request.part, step))
        present = np.unique(self.material.labels)
        labels = np.resize(rng.permutation(present), BATCH)
        rows = [rng.choice(self.material.members(label)) for label in labels]
        return self.images[rows], labels

    def _step(self, step: int) -> None:
        losses = self.networks.learn(*self.batch(step), step)
        if not np.isfinite(losses).all():
            raise UserError(
                f"The generator of {self.request.part} diverged at step {step + 1}, and made no images. Give another "
                "--seed, or another method."
            )

    def _save(self, done: int) -> None:
        arrays = {str(number): variable.numpy() for number, variable in enumerate(self.networks.variables)}
        write_bytes(self.state, npz_bytes({"done": np.array(done), **arrays}))

    def _restore(self) -> int:
        """Give the networks the weights of the saved state; return its epochs, 0 where there is none."""
        if not self.state.exists():
            return 0
        try:
            with np.load(self.state) as arrays:
                values = [arrays[str(number)] for number in range(len(self.networks.variables))]
                done = int(arrays["done"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(f"{self.state} is damaged. Delete it: the generator is then fitted anew.") from error
        for variable, value in zip(self.networks.variables, values, strict=True):
            variable.assign(value)
        return done

    def _write_sheet(self, done: int) -> None:
        """Write samples of each class as a picture; their latents are the same in every sheet."""
        from search.report.sheets import Group, Tile, contact_sheets, write_sheets

        groups = []
        for label, name in enumerate(self.material.classes):
            rng = np.random.default_rng(seed_from(self.request.seed, "samples", label))
            latents = rng.normal(size=(SAMPLES, self.networks.latent)) * self.request.strength
            groups.append(Group(name, [Tile(one) for one in self.networks.images(latents, [label] * SAMPLES)]))
        sheets = contact_sheets(groups, title=f"{self.request.part}, epoch {done}")
        write_sheets(sheets, self.request.folder, f"samples-{done:05d}")


METHOD = Method(
    "gan",
    "images of a generator, fitted for each fold on its training part alone",
    make,
    strength=1.0,
    fitted=True,
    options={"epochs": "how many times the generator sees as many images as there are; 3,000 steps by default"},
)
