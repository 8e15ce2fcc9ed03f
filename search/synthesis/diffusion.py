"""A diffusion model, in the process that runs it: PyTorch and TensorFlow do not share one well.

Only this module imports PyTorch and diffusers, and only in a process of its own.
"""

import contextlib
import os
import signal
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from search.system.errors import UserError, with_kind
from search.system.machine import die_with_parent

NATIVE = 512  # px, of a model that does not say which size it was trained at
TRIES = 5  # seeds, where a model's safety checker takes an image for a bad one and blackens it


def serve(connection: Connection) -> None:
    """Answer each request for an image (the arguments of ``changed``) with its pixels, or with a UserError.

    It leaves Ctrl-C to the process that began this one, ends with it, and asks no server for anything.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    os.environ["HF_HUB_OFFLINE"] = "1"
    with contextlib.suppress(EOFError):  # nobody asks any more
        while True:
            request = connection.recv()
            try:
                connection.send(changed(*request))
            except UserError as error:
                connection.send(error)


def changed(pixels: np.ndarray, prompt: str, strength: float, seed: int, model: Path, steps: int) -> np.ndarray:
    """Return an image (side, side, 3) uint8 that the model in a folder makes of another one, of the same size.

    The model works at the size that it was trained at. Raises UserError where it cannot be loaded, or fails.
    """
    import torch
    from PIL import Image

    pipeline = _pipeline(model)
    size = (_native(pipeline),) * 2
    image = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
    for attempt in range(TRIES):
        try:
            result = pipeline(
                prompt=prompt,
                image=image,
                strength=max(strength, 1 / steps),
                num_inference_steps=steps,
                generator=torch.Generator("cpu").manual_seed(seed + attempt),
            )
        except Exception as error:
            raise UserError(f"The model in {model} failed: {with_kind(error)}") from error
        if not any(getattr(result, "nsfw_content_detected", None) or []):
            return np.asarray(result.images[0].convert("RGB").resize(pixels.shape[:2], Image.Resampling.LANCZOS))
    raise UserError(
        f"The safety checker of the model in {model} blackened {TRIES} images in a row. Give another prompt or another "
        "strength."
    )


@cache
def _pipeline(model: Path) -> Any:
    import torch
    from diffusers import AutoPipelineForImage2Image
    from diffusers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    on_gpu = torch.cuda.is_available()
    try:
        pipeline = AutoPipelineForImage2Image.from_pretrained(
            model, local_files_only=True, torch_dtype=torch.float16 if on_gpu else torch.float32
        )
    except Exception as error:
        raise UserError(
            f"The model in {model} cannot be loaded: {with_kind(error)} It must be a pipeline of diffusers for images "
            "from text."
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to("cuda" if on_gpu else "cpu")


def _native(pipeline: Any) -> int:
    """Return the side of the images that a model was trained on, in px."""
    network = getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)
    size = getattr(getattr(network, "config", None), "sample_size", None)
    return size * pipeline.vae_scale_factor if isinstance(size, int) else NATIVE
