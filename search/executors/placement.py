"""Where a search computes, and in which numbers: on the devices of this machine, as its options have them."""

from dataclasses import replace

from search.executors.table import ExecutorRow, Share
from search.options import Options
from search.system.devices import Devices, Machine, devices, in_words, with_gpus
from search.system.errors import UserError
from search.system.machine import cores, memory
from search.system.precision import BFLOAT16, FLOAT32, PRECISIONS, slowness
from search.system.progress import Say
from search.system.tf import gpus_seen, limit_gpus
from search.system.validation import one_of
from search.training.precision import gain
from search.training.trainer import pin_threads


def placed(options: Options, row: ExecutorRow, work: int, threads: int | None, say: Say) -> Devices:
    """Return how the workers share the machine, and say so if they use GPUs; an executor without slots has all of it.

    ``work`` is how many workers find some, and ``threads`` are those of a search that has begun. This process gets a
    worker's number of threads, as networks are built in it, and leaves the GPUs to the workers, unless it trains.
    Raises UserError for GPUs that are not there, and as ``check_precision``.
    """
    if row.share:
        shares = _elsewhere(options, row.share, work, threads)
    else:
        machine = with_gpus(Machine(cores(), memory(), gpus_seen()), options.gpus)
        if not row.has_slots:
            machine = replace(machine, gpus=dict(list(machine.gpus.items())[:1]))
        shares = devices(machine, work if row.has_slots else 1, options.slots, threads)
    limit_gpus([] if row.has_slots else shares.gpus)
    pin_threads(shares.threads)
    if words := in_words(shares):
        say(words)
    has_gpus = bool(shares.gpus or options.executor_settings.get("gpus_per_run"))
    check_precision(options.precision, has_gpus, threads is not None, say)
    return shares


def check_precision(precision: str, has_gpus: bool, has_begun: bool, say: Say) -> None:
    """Raise UserError for a precision that is no gain here: bfloat16 on processors is measured, and that is said.

    A search that has begun goes on with it, slow or not.
    """
    one_of("precision", precision, PRECISIONS)
    if precision == FLOAT32 or has_gpus:
        return
    times = gain() if precision == BFLOAT16 else None
    reason = slowness(precision, times)
    if not reason:
        say(f"bfloat16 is {times:.1f} times as fast as float32 here: a step of training on processors, as measured now")
    elif has_begun:
        say(f"Warning: {reason} The search began with {precision}, and goes on so.")
    else:
        raise UserError(
            f"--precision {precision} is no gain on this machine, where TensorFlow uses no GPU. {reason} "
            "Leave it out, or search on a machine with a GPU."
        )


def _elsewhere(options: Options, share: Share, work: int, threads: int | None) -> Devices:
    """Return how the workers share what an executor knows of itself."""
    if options.gpus is not None:
        raise UserError(
            f"--gpus chooses among the GPUs of this machine, where --executor {options.executor} may not train. Give "
            "--gpus-per-run, which says how many a run has."
        )
    machine = Machine(cores(), memory())
    return share(machine, work, options.slots, threads, options.executor_settings)
