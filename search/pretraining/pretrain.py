"""Pretraining of the embedded backbone: a student learns the maps that its teachers see in generated pictures.

It needs no photograph. All that is done lies in a folder beside the file to be made, so that an
interrupted pretraining goes on where it was; the folder is removed when the file is there.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from search.pretraining.drawing import Pictures, load_array, readable
from search.pretraining.plan import BATCH, LARGE, PretrainingPlan, clear, finish
from search.pretraining.teachers import GRID, Bases, Teachers
from search.repertoire.backbones.embedded import EMBEDDED, embedded, weights_bytes
from search.system.digests import seed_from
from search.system.errors import UserError
from search.system.files import npz_bytes, write_array, write_bytes
from search.system.progress import Progress, Say
from search.system.tf import keras, silenced, tf

RATE, WARM_UP = 2e-3, 500
WEIGHT_DECAY = 0.02
POOLED, MIDDLE = 4.0, 0.5  # how much the mean of the last map, and the middle map, count beside the last one
SPREAD = 3.7  # standard deviation of each feature: 512 of them then reach as far as MobileNetV2-0.35's 1,280
SAMPLED_PARTS = 3  # whose maps give the bases
SAVE_EVERY = 400  # steps


def pretrain(plan: PretrainingPlan, file: Path, folder: Path, workers: int, say: Say, progress: Progress) -> None:
    """Write the weights of a backbone pretrained by ``plan`` to ``file``; what is done until then lies in ``folder``.

    Raises UserError where learning diverges, or a file in ``folder`` is damaged.
    """
    if file.exists():  # ``work_folder`` lets only our own file pass: all that is missing is to clear up
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
        """Take pictures that are drawn already."""
        self.pictures = pictures
        self._memory: tuple[int, list[np.ndarray]] = (0, [])  # a side, and all pictures and lessons at it

    def prepare(self, plan: PretrainingPlan, progress: Progress) -> None:
        """Ask the teachers about the parts whose lessons are not there yet."""
        absent = [part for part in self.pictures.parts if not all(file.exists() for file in self._files(part))]
        done = plan.pictures - sum(map(len, absent))
        progress("Asking the teachers", done, plan.pictures)
        if not absent:
            return
        teachers = Teachers(plan.teachers)
        bases = self._bases(teachers, plan.seed)
        for part in absent:
            lessons = bases.lessons(teachers.maps(self.pictures.load(part)))
            for file, maps in zip(self._files(part), lessons, strict=True):
                write_array(file, maps.shape, maps.dtype, [maps])
            done += len(part)
            progress("Asking the teachers", done, plan.pictures)

    def batch(self, plan: PretrainingPlan, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the pictures of a step, and the lessons on them: the middle and the last maps.

        Each pass has its own order, and mirrors half of its batches.
        """
        order, mirrored = _order(plan, step // plan.steps_of_a_pass)
        at = step % plan.steps_of_a_pass
        rows = np.sort(order[at * BATCH : (at + 1) * BATCH])
        pictures, middle, last = (column[rows] for column in self._at(plan.side(step)))
        if mirrored[at]:
            return pictures[:, :, ::-1], middle[:, :, ::-1], last[:, :, ::-1]
        return pictures, middle, last

    @property
    def numbers(self) -> list[int]:
        """How many numbers a lesson has at each place, of the middle and of the last maps."""
        return [load_array(file, (), mmap_mode="r").shape[-1] for file in self._files(self.pictures.parts[0])]

    def _at(self, side: int) -> list[np.ndarray]:
        """Return all pictures at ``side`` px with their lessons for as many places as the student's maps then have.

        They are held in memory: rows picked at random from files of this size took longer than learning from them.
        """
        if self._memory[0] != side:
            columns: list[np.ndarray] = []
            self._memory = (0, columns)  # first, so that the old columns go
            for part in self.pictures.parts:
                rows = self._part_at(part, side)
                if not columns:
                    columns += [np.empty((self.pictures.count, *one.shape[1:]), one.dtype) for one in rows]
                for column, one in zip(columns, rows, strict=True):
                    column[part.start : part.stop] = one
            self._memory = (side, columns)
        return self._memory[1]

    def _part_at(self, part: range, side: int) -> tuple[np.ndarray, ...]:
        maps = (load_array(file, (len(part), GRID, GRID)) for file in self._files(part))
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
        file = self.pictures.file(part)
        return file.with_name(f"middle-{file.name}"), file.with_name(f"last-{file.name}")


@lru_cache(maxsize=1)
def _order(plan: PretrainingPlan, number: int) -> tuple[np.ndarray, np.ndarray]:
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
        """Make a layer with the usual momentum, 0.99."""
        super().__init__(name=name, momentum=0.99)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Return the normalised inputs; in training, each batch by its own mean and variance."""
        if not training:
            return super().call(inputs, training, mask)
        normed, mean, variance = tf.compat.v1.nn.fused_batch_norm(inputs, self.gamma, self.beta, epsilon=self.epsilon)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(self.momentum * moving + (1 - self.momentum) * batch)
        return normed


class Student:
    """The backbone that learns, with a linear map for each lesson that is dropped at the end."""

    def __init__(self, plan: PretrainingPlan) -> None:
        """Begin with random weights."""
        keras.utils.set_random_seed(plan.seed)
        self.plan = plan
        self.network = embedded(FusedNorm)
        views = [self.network.get_layer(name).output for name in ("block_3", "block_4")]
        self._views = keras.Model(self.network.input, views)

    def learn(self, lessons: Lessons, state: Path, say: Say, progress: Progress) -> None:
        """Go through all steps. The state is saved to the file ``state`` now and then, and read from it at the start.

        Raises UserError where learning diverges.
        """
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
        done = _restore(state, variables)
        make_step = _step(model, optimizer)
        progress("Learning", done, self.plan.steps)
        with ThreadPoolExecutor(1) as reader:  # it reads the next batch while this one is learnt
            next_batch = reader.submit(lessons.batch, self.plan, done)
            while done < self.plan.steps:
                batch = next_batch.result()
                next_batch = reader.submit(lessons.batch, self.plan, min(done + 1, self.plan.steps - 1))
                loss = make_step(*batch)
                done += 1
                if done % SAVE_EVERY == 0:
                    _save(state, variables, done)
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
            outputs = model(EMBEDDED.scaled(pictures), training=True)
            errors = [one - tf.cast(other, tf.float32) for one, other in zip(outputs, (middle, last), strict=True)]
            pooled = tf.reduce_mean(tf.square(tf.reduce_mean(errors[1], (1, 2))))
            of_middle, of_last = (tf.reduce_mean(tf.square(error)) for error in errors)
            loss = MIDDLE * of_middle + of_last + POOLED * pooled
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


def _save(file: Path, variables: list[Any], done: int) -> None:
    arrays = {str(number): variable.numpy() for number, variable in enumerate(variables)}
    write_bytes(file, npz_bytes({"done": np.array(done), **arrays}))


def _restore(file: Path, variables: list[Any]) -> int:
    """Give the variables the values of a saved state; return how many steps it had made, 0 where there is none."""
    if not file.exists():
        return 0
    with readable(file), np.load(file) as arrays:
        for number, variable in enumerate(variables):
            variable.assign(arrays[str(number)])
        return int(arrays["done"])
