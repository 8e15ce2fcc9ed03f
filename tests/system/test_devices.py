"""Which GPUs the workers of a search get: decided without one."""

import pytest

from search.system.devices import (
    WORKER_BYTES,
    Devices,
    Machine,
    changed_devices,
    devices,
    environment,
    in_words,
    seen,
    with_gpus,
    workers,
)
from search.system.errors import UserError

pytestmark = pytest.mark.quick

A, B = "NVIDIA A100", "NVIDIA T4"
TWO = {"0": A, "1": A}
BIG = Machine(cores=16, memory=10**12, gpus=TWO)


def test_each_gpu_gives_a_worker_and_its_share_of_the_cores():
    assert devices(BIG, 10) == Devices(2, 8, TWO)
    assert devices(Machine(16, 10**12, {"0": A}), 10) == Devices(1, 16, {"0": A})
    assert devices(Machine(16, 10**12), 10) == Devices(10, 1, {})


def test_gpus_that_no_worker_needs_or_memory_bears_are_left_alone():
    assert devices(BIG, 1) == Devices(1, 16, {"0": A})
    assert workers(Machine(16, WORKER_BYTES, TWO), 10) == 1
    assert devices(BIG, 10, slots=1) == Devices(1, 16, {"0": A})


def test_more_workers_than_gpus_share_them():
    assert devices(BIG, 10, slots=5) == Devices(5, 3, TWO)
    visible = [environment(["0", "1"], slot)["CUDA_VISIBLE_DEVICES"] for slot in range(5)]
    assert visible == ["0", "1", "0", "1", "0"]


def test_a_search_that_has_begun_keeps_its_threads_on_gpus_too():
    assert devices(BIG, 10, threads=8) == Devices(2, 8, TWO)
    assert devices(BIG, 10, threads=16) == Devices(1, 16, {"0": A})
    assert devices(BIG, 10, threads=1) == Devices(2, 1, TWO)


def test_a_worker_takes_memory_of_its_gpu_as_it_needs_it_and_sees_none_without():
    assert environment(["GPU-5"], 3) == {"CUDA_VISIBLE_DEVICES": "GPU-5", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    assert environment([], 0)["CUDA_VISIBLE_DEVICES"] == "-1"


@pytest.mark.parametrize(
    ("visible", "gpus"),
    [
        (None, {"0": A, "1": B}),
        ("", {"0": A, "1": B}),
        ("2,3", {"2": A, "3": B}),
        ("GPU-5, GPU-9,GPU-2", {"GPU-5": A, "GPU-9": B}),  # CUDA stops at the first that is not there
    ],
)
def test_gpus_have_the_names_that_the_environment_gives_them(visible, gpus):
    assert seen([A, B], visible) == gpus


def test_gpus_are_chosen_by_the_numbers_that_tensorflow_gives_them():
    machine = Machine(4, 10**10, {"2": A, "3": B})
    assert with_gpus(machine, None) is machine
    assert with_gpus(machine, "1").gpus == {"3": B}
    assert list(with_gpus(machine, "1, 0").gpus) == ["3", "2"]
    assert with_gpus(machine, "None").gpus == {}
    assert with_gpus(Machine(4, 10**10), "none").gpus == {}


@pytest.mark.parametrize("choice", ["2", "0,0", "-1", "first", "", "0,"])
def test_gpus_that_are_not_there_are_refused_with_those_that_are(choice):
    with pytest.raises(UserError, match=r"sees 2 GPUs here.*numbers from 0 to 1.*or none\."):
        with_gpus(BIG, choice)


def test_where_there_is_no_gpu_the_refusal_says_what_it_takes_to_have_one():
    with pytest.raises(UserError, match=r"--gpus 0: TensorFlow sees no GPU here.*CUDA.*Give --gpus none, or leave"):
        with_gpus(Machine(4, 10**10), "0")


def test_gpus_are_said_and_processors_are_not():
    assert in_words(Devices(2, 8, {"2": A, "3": B})) == f"GPUs: 2 ({A}), 3 ({B}), for 2 workers"
    assert in_words(Devices(1, 8, {"0": A})) == f"GPUs: 0 ({A}), for 1 worker"
    assert in_words(Devices(2, 8)) == ""


def test_other_kinds_of_devices_are_a_change_and_other_numbers_of_one_kind_are_none():
    assert changed_devices({}, TWO) == f"processors -> {A}"
    assert changed_devices({"0": B}, {}) == f"{B} -> processors"
    assert changed_devices({"0": A}, {"0": B, "1": A}) == f"{A} -> {A}, {B}"
    assert changed_devices({"0": A}, {"3": A, "1": A}) == ""
    assert changed_devices(None, TWO) == ""  # an older session does not say what it used
