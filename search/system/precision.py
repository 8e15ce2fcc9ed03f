"""In which numbers the networks of a search compute, and whether a machine is any good at it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

KEY = "precision"  # in the identity of a search, where it is not the usual one


@dataclass(frozen=True)
class Precision:
    """One precision: the type in which backbones compute. Weights, heads, losses and scores are float32 in all.

    ``scales_losses`` says whether small gradients would vanish in that type, unless the loss is multiplied before.
    """

    computes: str
    scales_losses: bool = False


FLOAT32, BFLOAT16, FLOAT16 = "float32", "mixed_bfloat16", "mixed_float16"  # as Keras calls its policies
PRECISIONS = MappingProxyType(
    {FLOAT32: Precision("float32"), BFLOAT16: Precision("bfloat16"), FLOAT16: Precision("float16", scales_losses=True)}
)


def recorded(precision: str) -> dict[str, str]:
    """Return what the identity of a search says of its precision: nothing of the usual one, as older ones do."""
    return {} if precision == FLOAT32 else {KEY: precision}


def precision_in(identity: Mapping[str, Any]) -> str:
    """Return the precision of a search with this identity."""
    return str(identity.get(KEY, FLOAT32))


def slowness(precision: str, times: float | None = None) -> str:
    """Return why a precision is no gain on processors, in a sentence; "" where it is one.

    ``times`` is how many times as fast as float32 its numbers were here, None where nobody measured it.
    """
    if precision == FLOAT32 or (times is not None and times > 1):
        return ""
    if times is None:
        return "Processors have no kernels for float16, and take many times as long as with float32."
    return f"bfloat16 is no faster here than float32: a step of training took {1 / times:.1f} times as long."
