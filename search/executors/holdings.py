"""What a worker keeps from job to job: the networks that it has compiled, and the memory that they take."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from search.executors.base import Done, Ending
from search.racing import Job
from search.system.machine import NETWORKS_KEPT

if TYPE_CHECKING:
    from search.repertoire.networks import Architecture
    from search.repertoire.shape import Shape

RECYCLE_BYTES = 2 * 2**30  # grown since its first job: TensorFlow leaks with every model that is built


@dataclass
class Holdings:
    """What one worker keeps: the ``shapes`` of its jobs, the latest first, and its memory after the first, in bytes."""

    shapes: "list[Shape | Architecture]" = field(default_factory=list)
    first_memory: int = 0

    def strangeness(self, job: Job) -> tuple[bool, int]:
        """Return a sort key, smallest for the worker that trained the shape of this job most recently."""
        known = job.shape in self.shapes
        return not known, self.shapes.index(job.shape) if known else len(self.shapes)

    def add(self, job: Job) -> None:
        """Note that the worker has the network of this job."""
        self.shapes = [job.shape, *(shape for shape in self.shapes if shape != job.shape)][:NETWORKS_KEPT]

    def are_outgrown(self, ending: Ending) -> bool:
        """Return whether the worker has grown so much, with the job that ended, that it should be replaced."""
        if not isinstance(ending, Done):
            return False
        self.first_memory = self.first_memory or ending.result.memory
        return ending.result.memory - self.first_memory > RECYCLE_BYTES
