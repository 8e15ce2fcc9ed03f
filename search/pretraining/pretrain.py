"""Pretraining of the embedded backbone: a student learns the maps that its teachers see in generated pictures.

Nothing but generated pictures is looked at. Everything is kept in a folder beside the file to be
made, so that an interrupted pretraining goes on where it was; the folder goes when the file is there.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from search.pretraining.drawing import Pictures, load_kept, readable
from search.pretraining.plan import BATCH, LARGE, Plan, clear, finish
from search.pretraining.teachers import GRID, Bases, Teachers
from search.repertoire.backbones.embedded import EMBEDDED, embedded, weights_bytes
from search.system.digests import seed_from
from search.system.errors import UserError
from search.system.files import npz_bytes, write_array, write_bytes
from search.system.progress import Say, Tell
from search.system.tf import keras, silenced, tf

RATE, WARM_UP = 2e-3, 500
WEIGHT_DECAY = 0.02
POOLED, MIDDLE = 4.0, 0.5  # how much the mean of the last map, and the middle map, count beside the last one
SPREAD = 3.7  # standard deviation of each feature: 512 of them then reach as far as MobileNetV2-0.35's 1,280
SAMPLED_PARTS = 3  # whose maps give the bases
KEPT_EVERY = 400  # steps


def pretrain(plan: Plan, file: Path, folder: Path, workers: int, say: Say, progress: Tell) -> None:
    """Write the weights of a backbone pretrained by ``plan`` to ``file``; ``folder`` keeps what is done until then."""
    if file.exists():  # as ``work_folder`` knows it, so that only the end of the clearing up is missing
        clear(folder)
        return
    pictures = Pictures(folder, plan.seed, plan.pictures)
    pictures.draw(workers, progress)
    with silenced():
        tf.zeros(())  # the first operation complains where there is no GPU
    lessons = Lessons(pictures)
    lessons.prepare(plan, progress)
    student = Student(plan)
    student.learn(lessons, folder / "student.npz", say, progress)
    student.settle(pictures.load(pictures.parts[0]))
    finish(folder, file, student.weights())


class Lessons:
    """The pictures, and beside each part of them what the teachers see in it."""

    def __init__(self, pictures: Pictures) -> None:
        """Begin with pictures that are drawn."""
        self.pictures = pictures
        self._held: tuple[int, list[np.ndarray]] = (0, [])

    def prepare(self, plan: Plan, progress: Tell) -> None:
        """Ask the teachers about the parts that they were not asked about yet."""
        absent = [part for part in self.pictures.parts if not all(file.exists() for file in self._files(part))]
        done = plan.pictures - sum(map(len, absent))
        progress("Asking the teachers", done, plan.pictures)
        if not absent:
            return
        teachers = Teachers(plan.teachers)
        bases = self._bases(teachers, plan.seed)
        for part in absent:
            told = bases.lessons(teachers.maps(self.pictures.load(part)))
            for file, maps in zip(self._files(part), told, strict=True):
                write_array(file, maps.shape, maps.dtype, [maps])
            done += len(part)
            progress("Asking the teachers", done, plan.pictures)

    def batch(self, plan: Plan, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what the student is shown in a step, and the lessons on it, the middle and the last maps.

        Each pass has its own order, and mirrors half of its batches.
        """
        order, mirrored = _order(plan, step // plan.steps_of_a_pass)
        at = step % plan.steps_of_a_pass
        rows = np.sort(order[at * BATCH : (at + 1) * BATCH])
        shown, middle, last = (column[rows] for column in self._at(plan.side(step)))
        if mirrored[at]:
            return shown[:, :, ::-1], middle[:, :, ::-1], last[:, :, ::-1]
        return shown, middle, last

    @property
    def numbers(self) -> list[int]:
        """How many numbers a lesson has at each place, of the middle and of the last maps."""
        return [load_kept(file, (), mmap_mode="r").shape[-1] for file in self._files(self.pictures.parts[0])]

    def _at(self, side: int) -> list[np.ndarray]:
        """Return all pictures at ``side`` px with their lessons for as many places as the student's maps then have.

        They are held in memory: rows picked at random from files of this size took longer than learning from them.
        """
        if self._held[0] != side:
            columns: list[np.ndarray] = []
            self._held = (0, columns)  # what was held goes first
            for part in self.pictures.parts:
                rows = self._part_at(part, side)
                if not columns:
                    columns += [np.empty((self.pictures.count, *one.shape[1:]), one.dtype) for one in rows]
                for column, one in zip(columns, rows, strict=True):
                    column[part.start : part.stop] = one
            self._held = (side, columns)
        return self._held[1]

    def _part_at(self, part: range, side: int) -> tuple[np.ndarray, ...]:
        maps = (load_kept(file, (len(part), GRID, GRID)) for file in self._files(part))
        grid = side * GRID // LARGE
        return _resized(self.pictures.load(part), side), *(_at_places(one, grid) for one in maps)

    def _bases(self, teachers: Teachers, seed: int) -> Bases:
        file = self.pictures.folder / "bases.npz"
        if not file.exists():
            sample = [teachers.maps(self.pictures.load(part)) for part in self.pictures.parts[:SAMPLED_PARTS]]
            Bases.of((np.concatenate(column) for column in zip(*sample, strict=True)), seed).save(file)
        with readable(file):
            return Bases.load(file)

    def _files(self, part: range) -> tuple[Path, Path]:
        drawn = self.pictures.file(part)
        return drawn.with_name(f"middle-{drawn.name}"), drawn.with_name(f"last-{drawn.name}")


@lru_cache(maxsize=1)
def _order(plan: Plan, number: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed_from("pass", plan.seed, number))
    return rng.permutation(plan.pictures), rng.random(plan.steps_of_a_pass) < 0.5


def _resized(pictures: np.ndarray, side: int) -> np.ndarray:
    return np.stack([cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA) for picture in pictures])


def _at_places(maps: np.ndarray, grid: int) -> np.ndarray:
    """Return maps for ``grid`` by ``grid`` places, of which there are fewer where pictures are shown small."""
    if maps.shape[1] == grid:
        return maps
    return tf.image.resize(maps.astype(np.float32), (grid, grid), antialias=True).numpy().astype(np.float16)


class FusedNorm(keras.layers.BatchNormalization):
    """BatchNormalization that learns by TensorFlow's one operation for it: a step takes two thirds of the time."""

    def __init__(self, name: str) -> None:
        """Of the usual momentum."""
        super().__init__(name=name, momentum=0.99)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Return the normalised inputs; where this is training, batches are what they are normalised by."""
        if not training:
            return super().call(inputs, training, mask)
        normed, mean, variance = tf.compat.v1.nn.fused_batch_norm(inputs, self.gamma, self.beta, epsilon=self.epsilon)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(self.momentum * moving + (1 - self.momentum) * batch)
        return normed


class Student:
    """The backbone that learns, with a linear map for each lesson that is dropped at the end."""

    def __init__(self, plan: Plan) -> None:
        """Begin with random weights."""
        keras.utils.set_random_seed(plan.seed)
        self.plan = plan
        self.network = embedded(FusedNorm)
        views = [self.network.get_layer(name).output for name in ("block_3", "block_4")]
        self._views = keras.Model(self.network.input, views)

    def learn(self, lessons: Lessons, kept: Path, say: Say, progress: Tell) -> None:
        """Go through all steps; ``kept`` is where the state is written now and then, and taken up again."""
        heads = [keras.layers.Conv2D(numbers, 1) for numbers in lessons.numbers]
        model = keras.Model(
            self._views.input, [head(view) for head, view in zip(heads, self._views.output, strict=True)]
        )
        warm_up = min(WARM_UP, self.plan.steps // 10)
        schedule = keras.optimizers.schedules.CosineDecay(
            1e-5, self.plan.steps - warm_up, warmup_target=RATE, warmup_steps=warm_up
        )
        optimizer = keras.optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        optimizer.build(model.trainable_variables)
        variables = [*model.variables, *optimizer.variables]
        done = _restored(kept, variables)
        make_step = _step(model, optimizer)
        progress("Learning", done, self.plan.steps)
        with ThreadPoolExecutor(1) as ahead:  # one batch is read while the one before is learnt
            coming = ahead.submit(lessons.batch, self.plan, done)
            while done < self.plan.steps:
                batch, coming = (
                    coming.result(),
                    ahead.submit(lessons.batch, self.plan, min(done + 1, self.plan.steps - 1)),
                )
                loss = make_step(*batch)
                done += 1
                if done % KEPT_EVERY == 0:
                    _keep(kept, variables, done)
                progress("Learning", done, self.plan.steps)
                if done % self.plan.steps_of_a_pass == 0:
                    say(
                        f"Pass {done // self.plan.steps_of_a_pass} of {self.plan.passes}: last loss {_finite(loss):.3f}"
                    )

    def settle(self, pictures: np.ndarray) -> None:
        """Centre each feature on these pictures, and give it the spread ``SPREAD``.

        A head that starts at zero then learns as fast as on other backbones, at their learning rates.
        """
        pool = keras.layers.GlobalAveragePooling2D()
        pooled = keras.Model(self.network.input, pool(self._views.output[1]))
        features = pooled.predict(EMBEDDED.scaled(_resized(pictures, LARGE)), BATCH, verbose=0)
        norm = self.network.get_layer("features")
        norm.gamma.assign(np.full(features.shape[1], SPREAD))
        norm.moving_mean.assign(features.mean(axis=0))
        norm.moving_variance.assign(features.var(axis=0))

    def weights(self) -> bytes:
        """Return the file of what was learnt."""
        try:
            return weights_bytes(self.network)
        except OverflowError as error:
            raise _diverged() from error


def _step(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> Any:
    """Return the function that makes one step with a batch, and returns its loss."""

    @tf.function  # type: ignore[untyped-decorator]
    def step(pictures: Any, middle: Any, last: Any) -> Any:
        with tf.GradientTape() as tape:
            told = model(EMBEDDED.scaled(pictures), training=True)
            apart = [one - tf.cast(other, tf.float32) for one, other in zip(told, (middle, last), strict=True)]
            pooled = tf.reduce_mean(tf.square(tf.reduce_mean(apart[1], (1, 2))))
            loss = MIDDLE * tf.reduce_mean(tf.square(apart[0])) + tf.reduce_mean(tf.square(apart[1])) + POOLED * pooled
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return step


def _finite(loss: Any) -> float:
    if not np.isfinite(loss):
        raise _diverged()
    return float(loss)


def _diverged() -> UserError:
    return UserError("Learning diverged, and nothing was written. Begin anew with another --seed, or other teachers.")


def _keep(file: Path, variables: list[Any], done: int) -> None:
    arrays = {str(number): variable.numpy() for number, variable in enumerate(variables)}
    write_bytes(file, npz_bytes({"done": np.array(done), **arrays}))


def _restored(file: Path, variables: list[Any]) -> int:
    """Give the variables their kept values; return how many steps they had made, 0 where nothing is kept."""
    if not file.exists():
        return 0
    with readable(file), np.load(file) as kept:
        for number, variable in enumerate(variables):
            variable.assign(kept[str(number)])
        return int(kept["done"])
