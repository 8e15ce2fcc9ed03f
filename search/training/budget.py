"""The hours of a session: whether one more trial would end within them, and how much time its search still takes.

The clock decides whether another trial is begun, and about nothing else: no verdict depends on it. What is left out is
proposed just so when the search goes on.
"""

import math
from collections.abc import Callable, Mapping

from search.journal.history import History
from search.journal.outcomes import JobKind
from search.racing import Job
from search.repertoire.networks import AnyRecipe
from search.system.clock import duration
from search.system.signals import TimeUpError
from search.training.timing import Passing, Plan, Timing

SECONDS_TO_REPORT = 6.0  # on an idle machine, from the end of the last job to that of the program


class Budget:
    """The time of one session, by a clock that is handed in: ``now()`` gives seconds, and only goes forward.

    ``trials`` is how many the search is to have in all, ``slowdown`` how many times longer work takes now than on an
    idle machine, and ``spent`` the seconds that the session has had already. Without ``hours`` it has no limit.
    """

    def __init__(
        self,
        plan: Plan,
        history: History,
        trials: int,
        now: Callable[[], float],
        hours: float | None = None,
        slowdown: float = 1.0,
        spent: float = 0.0,
    ) -> None:
        """Begin to count; ``history`` is the one that grows as the search goes on."""
        self._plan, self._history, self._trials, self._now, self._slowdown = plan, history, trials, now, slowdown
        self._hours = hours
        self._deadline = now() - spent + hours * 3600 if hours else math.inf
        self._passing = Passing()
        self._left: tuple[float, float] | None = None  # when it was reckoned, and what was left then
        self.is_spent = False  # a trial did not fit: no other is begun
        self._needed = 0.0  # by the trial that was asked for last, in seconds, with all that comes at the end

    def note(self, job: Job, stages: Mapping[str, float]) -> None:
        """Take in that a job has ended, and what its worker took, by stage."""
        self._left = None
        if job.kind is not JobKind.HELP and stages:
            width = self._plan.width(job.recipe, len(self._plan.rules.folds))
            self._passing.note(self._now(), sum(stages.values()), width)

    # DECISIONS: The first trial that does not fit ends a session of limited hours
    def admits(self, recipe: AnyRecipe) -> bool:
        """Return whether a trial would probably end in time if it began now, with all that comes at the end.

        Once one does not, no other is begun: which recipes are tried must not depend on what they cost. The first
        trial of a search always begins: before it, estimates are so rough that they would often leave out everything.
        """
        self._left = None
        if self._deadline < math.inf and self._history.trials and not self.is_spent:
            timing = self._timing()
            self._needed = timing.opened() + timing.of_trial(recipe) + timing.afterwards()
            self._needed += SECONDS_TO_REPORT * self._slowdown
            self.is_spent = self._now() + self._needed > self._deadline
        return not self.is_spent

    def check(self) -> None:
        """Raise TimeUpError where the time is over."""
        if self._now() > self._deadline:
            raise TimeUpError(f"The time is up: --hours {self._hours:g} have passed")

    def seconds_left(self) -> float | None:
        """Return how long the search still takes; None before a job has ended, as nothing is known of it then."""
        if not any(trial.jobs for trial in self._history.trials.values()):
            return None
        if self._left is None:
            left = 0 if self.is_spent else max(0, self._trials - self._history.spent)
            self._left = self._now(), self._timing().left(left).seconds
        at, seconds = self._left
        return min(max(0.0, seconds - (self._now() - at)), max(0.0, self._deadline - self._now()))

    @property
    def left_out(self) -> int:
        """How many trials are not begun for want of time."""
        return max(0, self._trials - self._history.spent) if self.is_spent else 0

    @property
    def reason(self) -> str:
        """Why the search ends, where the hours are the reason."""
        trials = f"{self.left_out} of {self._trials} trial{'s' * (self._trials != 1)}"
        hours = duration((self._hours or 0.0) * 3600)
        were = "was" if self.left_out == 1 else "were"
        needed = duration(self._needed)
        return f"{trials} {were} not begun: the next would probably have taken {needed}, and not ended within {hours}"

    def _timing(self) -> Timing:
        return Timing(self._history, self._plan, self._slowdown, self._passing.pace)
