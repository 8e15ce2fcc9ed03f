"""The names of a network's layers, which are equal in every process that builds it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from search.system.precision import FLOAT32


# DECISIONS: Networks are built in a thread of their own
def with_own_names(make: Callable[[], Any], precision: str = FLOAT32) -> Any:
    """Return what ``make`` gives: a Keras model, its layers named as in a program that makes no other.

    They compute in ``precision``, unless they say otherwise themselves.
    """

    def made() -> Any:
        from search.system.tf import keras

        keras.config.set_dtype_policy(precision)  # of this thread alone
        return make()

    # Keras counts layers without a name (InceptionV3 has such) thread by thread, and a new thread begins anew.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(copy_context().run, made).result()  # where it may also fetch what it may here
