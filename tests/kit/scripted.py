"""An executor that needs no network: a script says in which order jobs end, and how."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from search.executors.base import Cancelled, Done, Ending, Failed
from search.executors.table import ExecutorRow
from search.journal.outcomes import JobKind
from search.racing import Job
from search.training.trainer import JobResult, RunResult


def latest_first(executor):
    """End the job that was submitted last."""
    return executor.end(executor.waiting[-1]) if executor.waiting else executor.end_cancelled()


def disorderly(executor):
    """End any job; a cancelled one comes back late."""
    if executor.cancelled and (not executor.waiting or executor.random.random() < 0.3):
        return executor.end_cancelled()
    executor.random.shuffle(executor.waiting)
    if executor.random.random() < executor.script.death_rate:
        return Failed(executor.waiting.pop(), "the worker process died")
    return latest_first(executor)


def no_plan(_job):
    """Let the job end with a guess."""


@dataclass
class Script:
    """What the executors of a search do, and what they did.

    ``choose`` returns the next ending of an executor, ``plan`` that of a job, None for a guess; both may raise.
    ``luck`` is by how much the accuracy of a run may differ from what its recipe is worth, either way.
    ``jobs`` are the (trial, folds) that ended in their order, ``most`` the largest number that ran at a time,
    ``cancelled`` how many were cancelled.
    """

    choose: Callable[["ScriptedExecutor"], Ending] = latest_first
    plan: Callable[[Job], Ending | None] = no_plan
    death_rate: float = 0.0
    luck: float = 0.0
    jobs: list = field(default_factory=list)
    most: int = 0
    cancelled: int = 0

    @property
    def executors(self):
        """A table with this executor under the names of the real ones."""

        def make(materials, options):
            return ScriptedExecutor(self, materials, options.slots)

        return {
            "processes": ExecutorRow("", True, make, no_preload),
            "inline": ExecutorRow("", False, make, no_preload),
        }


def no_preload():
    """There is nothing to load."""


class ScriptedExecutor:
    """An executor without a network: the higher the learning rate, the better its guesses, but for luck."""

    def __init__(self, script, materials, slots=1):
        self.script, self.materials, self.slots = script, materials, slots
        self.waiting, self.cancelled = [], []
        self.random = random.Random(slots)

    def free(self):
        return self.slots - len(self.waiting) - len(self.cancelled)

    def submit(self, job):
        assert self.free() > 0
        self.waiting.append(job)
        self.script.most = max(self.script.most, len(self.waiting))

    def cancel(self, trial):
        jobs = [job for job in self.waiting if job.trial == trial]
        self.cancelled += jobs
        self.waiting = [job for job in self.waiting if job.trial != trial]
        self.script.cancelled += len(jobs)

    def wait(self, timeout):
        return self.script.choose(self) if self.waiting or self.cancelled else None

    def end_cancelled(self):
        return Cancelled(self.cancelled.pop(0))

    def end(self, job):
        """Return the ending of a waiting job."""
        ending = self.script.plan(job)
        self.waiting.remove(job)
        self.script.jobs.append((job.trial, job.folds))
        if ending is not None:
            return ending
        folds = () if job.kind is JobKind.HELP else job.folds
        runs = tuple(self.guess(job.recipe, self.materials.folds[fold]) for fold in folds)
        return Done(job, JobResult(job, runs, 0))

    def accuracy(self, recipe, fold):
        luck = random.Random(f"{recipe.learning_rate} {fold.id}").uniform(-1, 1) * self.script.luck
        return (6 + np.log10(recipe.learning_rate)) / 4 + luck

    def guess(self, recipe, fold):
        labels = self.materials.labels[fold.validation]
        right = int(len(labels) * self.accuracy(recipe, fold))
        probabilities = np.eye(2)[np.where(np.arange(len(labels)) < right, labels, 1 - labels)]
        return RunResult(fold.id, fold.validation, labels, probabilities, np.zeros((1, 2)), np.zeros((1, 3)), 0.1, {})

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass
