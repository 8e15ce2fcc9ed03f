"""Where a search computes, and in which numbers: on the devices of this machine, as its options have them."""

from dataclasses import replace

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


def placed(options: Options, is_shared: bool, work: int, threads: int | None, say: Say) -> Devices:
    """Return how the workers share the machine, and say so if they use GPUs; one that is not shared has all of it.

    ``work`` is how many workers find some, and ``threads`` are those of a search that has begun. This process gets a
    worker's number of threads, as networks are built in it, and leaves the GPUs to the workers, unless it trains.
    Raises UserError for GPUs that are not there, and as ``check_precision``.
    """
    machine = with_gpus(Machine(cores(), memory(), gpus_seen()), options.gpus)
    if not is_shared:
        machine = replace(machine, gpus=dict(list(machine.gpus.items())[:1]))
    shares = devices(machine, work if is_shared else 1, options.slots, threads)
    limit_gpus([] if is_shared else shares.gpus)
    pin_threads(shares.threads)
    if words := in_words(shares):
        say(words)
    check_precision(options.precision, bool(shares.gpus), threads is not None, say)
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
