"""The adapter to diffusion models, with a tiny pipeline of random weights: it shows that it runs, not what it draws."""

import json
import multiprocessing
from importlib.util import find_spec

import numpy as np
import pytest
from kit.materials import SIDE, material, request

from search.synthesis.methods.img2img import LIBRARIES
from search.synthesis.methods.table import METHODS
from search.system.errors import UserError

METHOD = METHODS["img2img"]
MISSING = [name for name in LIBRARIES if find_spec(name) is None]
needs_libraries = pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} not here: .[diffusion] brings them")


def save_pipeline(folder):
    """Save a pipeline of Stable Diffusion's kind in small: random weights, 32 px, letters as tokens."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    ends = ["<|startoftext|>", "<|endoftext|>"]
    tokens = [*"abcdefghijklmnopqrstuvwxyz", *(f"{letter}</w>" for letter in "abcdefghijklmnopqrstuvwxyz"), *ends]
    words = folder.parent / "words"
    words.mkdir()
    (words / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (words / "merges.txt").write_text("#version: 0.2\n")
    text = CLIPTextConfig(
        vocab_size=len(tokens),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=len(tokens) - 2,
        eos_token_id=len(tokens) - 1,
    )
    kinds = ("DownBlock2D", "CrossAttnDownBlock2D"), ("CrossAttnUpBlock2D", "UpBlock2D")
    StableDiffusionPipeline(
        vae=AutoencoderKL(
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=4,
            norm_num_groups=2,
        ),
        text_encoder=CLIPTextModel(text),
        tokenizer=CLIPTokenizer(str(words / "vocab.json"), str(words / "merges.txt"), model_max_length=77),
        unet=UNet2DConditionModel(
            sample_size=16,
            block_out_channels=(8, 8),
            layers_per_block=1,
            down_block_types=kinds[0],
            up_block_types=kinds[1],
            cross_attention_dim=16,
            attention_head_dim=2,
            norm_num_groups=2,
        ),
        scheduler=DDIMScheduler(clip_sample=False, set_alpha_to_one=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("diffusion") / "model"
    save_pipeline(folder)
    return folder


def pictures(model, folder, numbers, **changes):
    given = material(chosen=[2, 3, 4, 5])
    return list(METHOD.make(given, request(folder, numbers, options={"model": str(model), "steps": 4}, **changes)))


@needs_libraries
def test_images_are_made_of_one_chosen_image_each_and_are_the_same_again(model, tmp_path):
    first = pictures(model, tmp_path, {0: 3, 1: 1})
    assert [picture.label for picture in first] == [0, 0, 0, 1]
    assert {picture.sources for picture in first} == {(2,), (4,), first[3].sources}
    assert first[3].sources in {(3,), (5,)}
    assert {picture.pixels.shape for picture in first} == {(SIDE, SIDE, 3)}
    assert len({picture.pixels.tobytes() for picture in first}) == 4
    (again,) = pictures(model, tmp_path, {0: 1}, first={0: 2})
    np.testing.assert_array_equal(again.pixels, first[2].pixels)
    assert not multiprocessing.active_children()


@needs_libraries
def test_prompt_and_strength_change_an_image(model, tmp_path):
    ((plain,), (other,), (same,), (strong,)) = (
        pictures(model, tmp_path, {0: 1}, **changes)
        for changes in ({}, {"prompts": {"cat": "a zebra"}}, {"prompts": {"cat": "a photo of a cat"}}, {"strength": 1})
    )
    np.testing.assert_array_equal(plain.pixels, same.pixels)
    assert (plain.pixels != other.pixels).any()
    assert (plain.pixels != strong.pixels).any()


@needs_libraries
def test_a_model_that_cannot_be_loaded_is_an_error_in_words(tmp_path):
    (tmp_path / "model_index.json").write_text('{"_class_name": "NoSuchPipeline"}')
    with pytest.raises(UserError, match=r"cannot be loaded.*pipeline of diffusers"):
        pictures(tmp_path, tmp_path, {0: 1})


@needs_libraries
@pytest.mark.parametrize("options", [{}, {"model": "no-such-folder"}])
def test_a_missing_model_is_an_error_with_a_way_out(options, tmp_path):
    with pytest.raises(UserError, match=r"model.*--local-dir.*downloads none"):
        list(METHOD.make(material(), request(tmp_path, {0: 1}, options=options)))


@pytest.mark.skipif(not MISSING, reason="the libraries are here")
def test_missing_libraries_are_named_with_the_extra_that_brings_them(tmp_path):
    with pytest.raises(UserError, match=rf"{MISSING[0]}.*\.\[diffusion\]"):
        list(METHOD.make(material(), request(tmp_path, {0: 1})))
