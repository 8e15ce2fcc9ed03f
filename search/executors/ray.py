"""Training on the machines of a Ray cluster. A slot is an actor: one that dies costs an attempt, a dead machine none.

Ray retries nothing: attempts are in the journal before their work begins. Actors are made when there are jobs for
them, and end when they are idle. Only the driver writes results.
"""

import contextlib
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from search.executors.actor import STARTING, Actor, Step
from search.executors.base import Cancelled, Done, Ending, Failed
from search.executors.cluster import Cluster, Need, Quiet
from search.executors.parcel import items_of, packed
from search.executors.place import ASIDE, Arrival, Supplies, identity_of, place_in, program
from search.journal.outcomes import JobKind
from search.racing import Job
from search.system.clock import duration
from search.system.errors import UserError, in_words
from search.system.progress import Say

if TYPE_CHECKING:
    from search.training.materials import Materials

IDLE_SECONDS = 60.0  # after which an actor ends, so that an autoscaler can take its machine away
PLACE_SECONDS = 60.0  # without a place for an actor, after which people are told what is missing
LOOK_SECONDS = 10.0  # between two looks whether Ray lives
DOUBT_SECONDS = 0.5  # between two questions whether an actor lives that cannot be reached
STARTS = 3  # actors in a row that end while they start
MACHINES = 3  # that may be lost under one job before this counts as its own failure
LETTERS = 300  # of an error of Ray, which can be a page


class RaySlots:
    """An executor that trains in up to ``slots`` actors of Ray, each on some machine."""

    def __init__(
        self,
        materials: "Materials",
        slots: int,
        log: Path,
        cluster: Cluster,
        need: Need,
        cache: str | None = None,
        say: Say = print,
    ) -> None:
        """Make no actor yet.

        ``log`` takes what actors print. ``cache`` is the folder on their machines (see Supplies). ``cluster`` is closed
        in the end.
        """
        self._slots, self._log, self._say = slots, log, say
        self._cluster, self._ray, self._need = cluster, cluster.ray, need
        self._patience = materials.run_timeout
        self._supplies = Supplies(
            materials, items_of(materials), cache, identity_of(materials.cache), has_gpu=need.gpus > 0
        )
        self._stored: Any = None  # the supplies in Ray's store
        self._chunks: list[Any] | None = None  # their files in Ray's store, once a machine has needed them
        self._actors: list[Actor] = []
        self._pending: deque[Job] = deque()  # jobs without an actor
        self._endings: deque[Ending] = deque()
        self._losses: dict[Job, int] = {}  # machines that died under a job
        self._number = self._failed_starts = 0
        self._looked = time.monotonic()
        self._lack = ""  # what people were told last
        self._strangers: set[str] = set()  # machines whose other versions were said
        options = {"num_cpus": need.cpus, "num_gpus": need.gpus, "max_restarts": 0, "max_task_retries": 0}
        self._class = self._ray.remote(**options, concurrency_groups={ASIDE: 1})(place_in(self._ray))

    def free(self) -> int:
        """Return how many more jobs may be submitted, whether or not there is a machine for them yet."""
        return self._slots - len(self._pending) - sum(actor.job is not None for actor in self._actors)

    def submit(self, job: Job) -> None:
        """Give the job to an idle actor, preferably one that has compiled a network of its shape, or have one made.

        On a cluster none is made only to help with the images of another job.
        """
        if job.kind is JobKind.HELP and not self._cluster.is_own and not self._idle():
            from search.training.trainer import JobResult

            self._endings.append(Done(job, JobResult(job, (), 0)))
            return
        Quiet.begin(self._log)
        self._pending.append(job)
        self._assign()

    def cancel(self, trial: str) -> None:
        """Tell the actors that train the trial to stop at the end of their epoch; drop its jobs that have none."""
        for job in [job for job in self._pending if job.trial == trial]:
            self._pending.remove(job)
            self._endings.append(Cancelled(job))
        for actor in self._actors:
            if actor.job is not None and actor.job.trial == trial and not actor.is_cancelled:
                actor.is_cancelled = True
                actor.handle.cancel.remote(actor.number)

    def epochs(self) -> dict[tuple[str, int], int]:
        """Return the epoch that each running job was in when its actor last answered, by the job's name."""
        epochs = {}
        for actor in self._actors:
            if actor.job is not None and actor.job.kind is not JobKind.HELP:
                self._feel(actor)
                epochs[actor.job.name] = actor.pulse.epoch
        return epochs

    def _feel(self, actor: Actor) -> None:
        """Take the answer to the last question how far a job is, if there is one, and ask anew."""
        if actor.step is not Step.RUNNING:
            return
        if actor.pulse_answer is not None:
            if not self._ray.wait([actor.pulse_answer], timeout=0)[0]:
                return
            with contextlib.suppress(self._ray.exceptions.RayError):  # if it died, its job will tell
                actor.pulse = self._ray.get(actor.pulse_answer)
        actor.pulse_answer = actor.ask()

    def _end_silent(self) -> None:
        """Take the actors away that have given no sign of life for too long."""
        if self._patience is None:
            return
        for actor in [actor for actor in self._actors if actor.step is Step.RUNNING]:
            self._feel(actor)
            assert actor.silence is not None
            assert actor.job is not None
            actor.silence.look(actor.pulse.beats, time.monotonic())
            if actor.silence.seconds > self._patience:
                self._drop(actor)
                why = f"its actor made no progress for {duration(self._patience)} (--run-timeout)"
                self._endings.append(Failed(actor.job, why))

    def wait(self, timeout: float) -> Ending | None:
        """Return the next ending: a failed one of an actor that died alone, none of those that died with a machine.

        Raises UserError where actors cannot start.
        """
        until = time.monotonic() + timeout
        while True:
            self._end_silent()
            if self._endings:
                return self._endings.popleft()
            self._end_idle()
            self._assign()
            self._look_around()
            self._say_lack()
            actors = {actor.answer: actor for actor in self._actors if actor.answer is not None}
            done, _ = self._ray.wait(list(actors), timeout=max(0.0, until - time.monotonic())) if actors else ([], [])
            if not done:
                return None
            for answer in done:
                self._take(actors[answer])

    def __enter__(self) -> Self:
        """Nothing to start: actors are made for jobs."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Kill the actors: what they were doing is not needed any more."""
        Quiet.end()
        for actor in list(self._actors):
            self._drop(actor)
        self._cluster.close()

    def _idle(self) -> list[Actor]:
        return [actor for actor in self._actors if actor.step is Step.IDLE]

    def _assign(self) -> None:
        """Give jobs to idle actors, and have actors made for the others."""
        while self._pending and (idle := self._idle()):
            job = self._pending.popleft()
            self._number += 1
            min(idle, key=lambda actor: actor.holdings.strangeness(job)).take(job, self._number)
        starting = sum(actor.step in STARTING for actor in self._actors)
        for _ in range(min(len(self._pending) - starting, self._slots - len(self._actors))):
            handle = self._class.remote()
            self._actors.append(Actor(handle, handle.node.remote()))

    def _end_idle(self) -> None:
        for actor in self._idle():
            if time.monotonic() - actor.since > IDLE_SECONDS:
                self._drop(actor)

    def _look_around(self) -> None:
        """Notice from time to time if Ray is gone here: no answer would come any more. Raises UserError then."""
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            self._cluster.nodes()

    def _say_lack(self) -> None:
        """Say what the cluster lacks if an actor has waited long for a place; once, until something changes."""
        waits = any(
            actor.step is Step.PLACING and time.monotonic() - actor.since > PLACE_SECONDS for actor in self._actors
        )
        lack = self._cluster.lack(self._need) if waits else ""
        if lack and lack != self._lack:
            self._say(
                f"Ray has found no place for a run, which needs {self._need}. {lack} The search waits: add a machine, "
                "or interrupt it and ask for less with --cpus-per-run or --gpus-per-run."
            )
        self._lack = lack or self._lack

    def _take(self, actor: Actor) -> None:
        """Handle the answer of an actor: go on with its next step, or note the ending of its job."""
        errors = self._ray.exceptions
        try:
            answer = self._ray.get(actor.answer)
        except errors.ActorUnavailableError:
            self._ask_whether_it_lives(actor)
        except (errors.RayActorError, errors.ObjectLostError) as error:
            self._lose(actor, error)
        except Exception as error:  # what was sent cannot be read there, or its answer here
            self._break(actor, error)
        else:
            self._go_on(actor, answer)

    def _go_on(self, actor: Actor, answer: Any) -> None:
        match actor.step:
            case Step.PLACING:
                actor.node = answer
                self._stored = self._stored or self._ray.put(self._supplies)
                actor.expect(Step.ARRIVING, actor.handle.arrive.remote(self._stored))
            case Step.ARRIVING:
                self._welcome(actor, answer)
            case Step.UNPACKING:
                actor.expect(Step.IDLE)
            case Step.BEGINNING:
                actor.expect(Step.RUNNING, actor.handle.run.remote(actor.number, actor.job))
            case Step.RUNNING:
                self._end(actor, *answer)
            case Step.DOUBT:  # it lives, but what it answered is lost
                self._retry(actor)

    def _welcome(self, actor: Actor, arrival: Arrival) -> None:
        """Let an actor train that has loaded the program; first send it the files that its machine does not see."""
        actor.host, self._failed_starts = arrival.host, 0
        if arrival.program != program():
            raise UserError(
                f"{arrival.host} has another version of this program ({_listed(arrival.program)}) than this machine "
                f"({_listed(program())}). Install the same on every machine of the cluster."
            )
        self._say_versions(arrival)
        if arrival.sees_files:
            actor.expect(Step.IDLE)
            return
        if self._chunks is None:
            self._say(f"{arrival.host} does not see the files of this search here: they are sent into its cache")
            self._chunks = [self._ray.put(chunk) for chunk in packed(self._supplies.items)]
        actor.expect(Step.UNPACKING, actor.handle.unpack.remote(self._chunks))

    def _say_versions(self, arrival: Arrival) -> None:
        from search.system.tf import versions

        here = versions()
        other = {name: text for name, text in arrival.versions.items() if here.get(name) != text}
        if other and arrival.host not in self._strangers:
            self._strangers.add(arrival.host)
            self._say(
                f"{arrival.host} has other versions, so last decimals may depend on where a run trains: "
                f"{_listed(other)}; here {_listed({name: here.get(name, 'none') for name in other})}"
            )

    def _end(self, actor: Actor, ending: Ending, printed: str) -> None:
        if printed:
            with contextlib.suppress(OSError), self._log.open("a", encoding="utf-8") as log:
                log.write(printed)
        self._endings.append(ending)
        actor.job, actor.has_worked = None, True
        actor.expect(Step.IDLE)
        if actor.holdings.are_outgrown(ending):
            self._drop(actor)

    def _ask_whether_it_lives(self, actor: Actor) -> None:
        """Ask an actor again that cannot be reached, until Ray knows whether it is gone, or its whole machine."""
        time.sleep(DOUBT_SECONDS)
        if actor.step in STARTING:
            self._drop(actor)
        else:  # one whose job has not begun still goes on if it answers
            actor.expect(Step.BEGINNING if actor.step is Step.BEGINNING else Step.DOUBT, actor.ask())

    def _lose(self, actor: Actor, error: Exception) -> None:
        """Take an actor away that has died: alone, which is laid to its job, or with its machine, which is not."""
        has_machine = not actor.node or actor.node in self._cluster.nodes()
        job, step = actor.job, actor.step
        was_idle = step is Step.BEGINNING and actor.has_worked
        if job is None or not has_machine or step is Step.BEGINNING:
            self._retry(actor, counts=not was_idle)
        else:
            self._drop(actor)
            self._endings.append(Failed(job, "the actor died (out of memory, or killed)"))
        if not has_machine:
            self._say(
                f"{actor.host} of the cluster is gone{', and its run begins again elsewhere' * (job is not None)}"
            )
        elif not was_idle and (job is None or step is Step.BEGINNING):
            self._failed_starts += 1
            if self._failed_starts >= STARTS:
                raise UserError(f"Actors of Ray end while they start: {_short(error)}")

    def _retry(self, actor: Actor, *, counts: bool = True) -> None:
        """Take an actor away, and let its job begin again elsewhere, unless it has outlived too many machines.

        The loss of an actor that died while it was idle does not count: the job has nothing to do with it.
        """
        self._drop(actor)
        job = actor.job
        if job is None:
            return
        self._losses[job] = self._losses.get(job, 0) + counts
        if actor.is_cancelled:
            self._endings.append(Cancelled(job))
        elif self._losses[job] >= MACHINES:
            self._endings.append(Failed(job, f"{MACHINES} machines in a row were lost while they trained it"))
        else:
            self._pending.appendleft(job)

    def _break(self, actor: Actor, error: Exception) -> None:
        """Take an actor away that could not answer: a failure of its job, or of its machine if it had none."""
        self._drop(actor)
        cause = getattr(error, "cause", None)
        if actor.job is not None:
            self._endings.append(Failed(actor.job, _short(cause or error)))
        elif isinstance(cause, UserError):
            raise UserError(f"{actor.host}: {cause}")
        elif isinstance(cause, OSError):
            raise UserError(f"{actor.host}: {in_words(cause)}")
        else:
            raise UserError(f"{actor.host} of the cluster cannot train: {_short(cause or error)}")

    def _drop(self, actor: Actor) -> None:
        self._actors.remove(actor)
        with contextlib.suppress(Exception):  # it may be gone, or all of Ray
            self._ray.kill(actor.handle)


def _short(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines)[-LETTERS:]}"


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
