"""An actor of Ray as the driver knows it: one slot on some machine, and what it is waited for."""

import enum
import time
from dataclasses import dataclass, field
from typing import Any

from search.executors.holdings import Holdings
from search.executors.place import Pulse
from search.executors.silence import Silence
from search.racing import Job


class Step(enum.Enum):
    """What an actor is at: each step but IDLE waits for an answer."""

    PLACING = enum.auto()
    ARRIVING = enum.auto()
    UNPACKING = enum.auto()
    IDLE = enum.auto()
    BEGINNING = enum.auto()
    RUNNING = enum.auto()
    DOUBT = enum.auto()


STARTING = {Step.PLACING, Step.ARRIVING, Step.UNPACKING}


@dataclass(eq=False)
class Actor:
    """One slot: its handle, the answer that is waited for, and what is known of it.

    ``since`` is when its step began. ``number`` is that of its job. ``has_worked`` tells whether a job has ended in it.
    """

    handle: Any
    answer: Any
    step: Step = Step.PLACING
    since: float = field(default_factory=time.monotonic)
    node: str = ""
    host: str = "a machine"
    job: Job | None = None
    number: int = 0
    is_cancelled: bool = False
    has_worked: bool = False
    holdings: Holdings = field(default_factory=Holdings)
    pulse: Pulse = field(default_factory=Pulse)
    pulse_answer: Any = None
    silence: Silence | None = None

    def expect(self, step: Step, answer: Any = None) -> None:
        """Wait for the answer of the next step."""
        self.step, self.answer, self.since = step, answer, time.monotonic()

    def take(self, job: Job, number: int) -> None:
        """Note the job, and ask first whether the actor lives: one that died while idle costs no attempt."""
        self.job, self.number, self.is_cancelled = job, number, False
        self.pulse, self.pulse_answer, self.silence = Pulse(), None, Silence(time.monotonic())
        self.holdings.add(job)
        self.expect(Step.BEGINNING, self.ask())

    def ask(self) -> Any:
        """Ask how far its job is, which is answered while that runs."""
        return self.handle.pulse.remote(self.number)
