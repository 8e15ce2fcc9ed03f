"""TensorFlow and Keras, imported without their chatter.

TensorFlow's native code prints a dozen lines to the terminal before any log level is read. Every
module of this project takes ``tf`` and ``keras`` from here.
"""

import contextlib
import gc
import os
import sys
import tempfile
from collections.abc import Collection, Iterator
from importlib.metadata import version

from search.system.devices import VISIBLE, Gpus, seen
from search.system.machine import check_address_space, no_garbage_collection


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Hold back what native code writes to standard error; print it after all if the block raises."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with tempfile.TemporaryFile() as chatter:
        sys.stderr.flush()
        terminal = os.dup(2)
        os.dup2(chatter.fileno(), 2)
        try:
            yield
        except Exception:
            chatter.seek(0)
            os.write(terminal, chatter.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


check_address_space()
IS_FIRST = "tensorflow" not in sys.modules  # what was there before us may be garbage one day
with silenced(), no_garbage_collection():
    import keras
    import tensorflow as tf
    from tensorflow.python.framework import config as determinism  # tf.config can only turn it on
if IS_FIRST:
    gc.freeze()  # its modules stay for good; to look through them takes 0.3 s at each collection, as before each Holm


# What computes, on which last decimals depend: the version, and whether oneDNN is used.
ONEDNN = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default")
COMPUTED_BY = f"tensorflow {tf.__version__}, oneDNN {ONEDNN}"


def gpus_seen() -> Gpus:
    """Return the GPUs that TensorFlow sees here; to ask takes none of their memory."""
    with silenced():
        found = tf.config.list_physical_devices("GPU")
        kinds = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in found]
    return seen(kinds, os.environ.get(VISIBLE))


def limit_gpus(names: Collection[str]) -> None:
    """Let this process use only these of its GPUs, taking memory as it needs it, if TensorFlow has not run here yet."""
    with silenced(), contextlib.suppress(RuntimeError):
        found = tf.config.list_physical_devices("GPU")
        used = [gpu for name, gpu in zip(gpus_seen(), found, strict=True) if name in names]
        tf.config.set_visible_devices(used, "GPU")
        for gpu in used:
            tf.config.experimental.set_memory_growth(gpu, True)


@contextlib.contextmanager
def any_kernels() -> Iterator[None]:
    """Let operations within the block also use kernels that repeat only nearly: their last bits differ each time."""
    determinism.disable_op_determinism()
    try:
        yield
    finally:
        tf.config.experimental.enable_op_determinism()


def is_deterministic() -> bool:
    """Return whether operations use deterministic kernels alone, and fail where they have none."""
    return bool(determinism.is_op_determinism_enabled())


def versions() -> dict[str, str]:
    """Return the versions on which results depend."""
    packages = ("tensorflow", "keras", "keras-tuner", "optuna", "numpy", "scikit-learn", "pillow")
    return {"python": sys.version.split()[0], "onednn": ONEDNN, **{package: version(package) for package in packages}}


__all__ = [
    "COMPUTED_BY",
    "ONEDNN",
    "any_kernels",
    "gpus_seen",
    "is_deterministic",
    "keras",
    "limit_gpus",
    "silenced",
    "tf",
    "versions",
]
