"""Where a search computes: the devices of this machine, as its options and its first session have them."""

from dataclasses import replace

from search.options import Options
from search.system.devices import Devices, Machine, devices, in_words, with_gpus
from search.system.machine import cores, memory
from search.system.progress import Say
from search.system.tf import gpus_seen, limit_gpus
from search.training.trainer import pin_threads


def placed(options: Options, is_shared: bool, work: int, threads: int | None, say: Say) -> Devices:
    """Return how the workers share the machine, and say so if they use GPUs; one that is not shared has all of it.

    ``work`` is how many workers find some, and ``threads`` are those of a search that has begun. This process gets a
    worker's number of threads, as networks are built in it, and leaves the GPUs to the workers, unless it trains.
    """
    machine = with_gpus(Machine(cores(), memory(), gpus_seen()), options.gpus)
    if not is_shared:
        machine = replace(machine, gpus=dict(list(machine.gpus.items())[:1]))
    shares = devices(machine, work if is_shared else 1, options.slots, threads)
    limit_gpus([] if is_shared else shares.gpus)
    pin_threads(shares.threads)
    if words := in_words(shares):
        say(words)
    return shares
