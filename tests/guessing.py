"""An executor that needs no network, for tests of the loop."""

import numpy as np

from search.executors.processes import Outcome
from search.training.trainer import JobResult, RunResult


class Guesser:
    """An executor without a network: the higher the learning rate, the better its guesses."""

    jobs: list
    fails = ()

    def __init__(self, materials):
        self.materials, self.waiting = materials, []

    def free(self):
        return 1 - len(self.waiting)

    def submit(self, job):
        self.waiting.append(job)

    def cancel(self, trial):
        pass

    def wait(self, timeout):
        job = self.waiting.pop()
        self.jobs.append((job.trial, job.folds))
        if not job.folds:
            return Outcome(job, JobResult(job, (), 0))
        if job.folds[0] in self.fails:
            return Outcome(job, error="no memory")
        runs = tuple(self.guess(job.recipe, self.materials.folds[fold]) for fold in job.folds)
        return Outcome(job, JobResult(job, runs, 0))

    def guess(self, recipe, fold):
        labels = self.materials.labels[fold.validation]
        right = int(len(labels) * (6 + np.log10(recipe.learning_rate)) / 4)
        probabilities = np.eye(2)[np.where(np.arange(len(labels)) < right, labels, 1 - labels)]
        return RunResult(fold.id, fold.validation, labels, probabilities, np.zeros((1, 2)), np.zeros((1, 3)), 0.1, {})

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass
