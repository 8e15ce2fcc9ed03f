"""Images that a diffusion model makes of real ones, each of one image and a prompt for its class.

It has been tested with a tiny pipeline of random weights only, as weights cannot be had everywhere: it is known that it
runs, and not what images a trained model makes, nor how long these take.
"""

import contextlib
import multiprocessing
from collections.abc import Iterator
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from search.synthesis.methods.method import Material, Method, Picture, Request
from search.system.errors import UserError
from search.system.validation import whole

LIBRARIES = ("diffusers", "torch", "transformers")
INDEX = "model_index.json"  # of every pipeline that diffusers saved
STEPS, MOST_STEPS = 30, 1_000
SEEDS = 2**31


def make(material: Material, request: Request) -> Iterator[Picture]:
    """Yield images that a model makes of the chosen images in turn, one source each.

    ``strength`` is that of image-to-image: how much noise an image gets, of which the model makes a new one; 1 leaves
    nothing of it. The prompt is that of ``request.prompts``, or "a photo of a" with the name of the class. The option
    ``model`` is a folder that holds a pipeline of diffusers; nothing is downloaded. The model runs in a process of its
    own. Raises UserError where the libraries or the model are missing, and where the model fails.
    """
    model, steps = _model(request), whole("steps", request.options.get("steps", STEPS), 1, MOST_STEPS)
    with _model_process() as connection:
        for label, k in request.wanted():
            row, _ = request.first_source(material, label, k)
            name = material.classes[label]
            prompt = request.prompts.get(name, f"a photo of a {name.replace('_', ' ')}")
            seed = int(request.rng(label, k).integers(SEEDS))
            pixels = _answer(connection, material.pixels[row], prompt, request.strength, seed, model, steps)
            yield Picture(pixels, label, (row,))


@contextlib.contextmanager
def _model_process() -> Iterator[Connection]:
    """Give the connection to a process that runs a model, and end it after the block."""
    from search.synthesis.diffusion import serve

    spawn = multiprocessing.get_context("spawn")  # a fork of a process that holds TensorFlow may hang
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=serve, args=(theirs,))
    process.start()
    theirs.close()  # so that its end is noticed
    try:
        yield ours
    finally:
        process.terminate()
        process.join()
        ours.close()


def _answer(connection: Connection, *arguments: Any) -> np.ndarray:
    try:
        connection.send(arguments)
        answer = connection.recv()
    except (EOFError, ConnectionError) as error:
        raise UserError(
            "The process that runs the model ended; it may have run out of memory. Give a smaller model."
        ) from error
    if isinstance(answer, UserError):
        raise answer
    return answer


def _model(request: Request) -> Path:
    """Return the folder of the model. Raises UserError where it, or a library, is missing."""
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise UserError(f"The method img2img needs {' and '.join(missing)}: pip install -e '.[diffusion]'.")
    given = request.options.get("model")
    way_out = (
        "Give the folder of one that diffusers saved or that was fetched whole, as with "
        "`hf download stable-diffusion-v1-5/stable-diffusion-v1-5 --local-dir my-model` (several GB). "
        "This program downloads none."
    )
    if not given:
        raise UserError(f"The method img2img needs a model. {way_out}")
    model = Path(str(given)).expanduser().absolute()
    if not (model / INDEX).is_file():
        raise UserError(f"model={str(given)!r}: there is no model in this folder, as it has no {INDEX}. {way_out}")
    return model


METHOD = Method(
    "img2img",
    "images that a diffusion model makes of real ones and a prompt",
    make,
    extra="diffusion",
    options={
        "model": "the folder of a pipeline of diffusers; needed",
        "steps": "how many steps a whole denoising has, of which the strength takes its part; 30 by default",
    },
)
