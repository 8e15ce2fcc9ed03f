"""What a cluster has room for and lacks, and who may reach it: pure functions of what Ray says."""

import io
import sys
import threading

import pytest

from search.executors.cluster import (
    Need,
    Quiet,
    _check_host,
    has_token,
    host_of,
    is_loopback,
    lack,
    load_ray,
    need_of,
    processors,
    share,
)
from search.system.devices import Devices, Machine
from search.system.errors import UserError

pytestmark = pytest.mark.quick
SMALL = {"CPU": 4.0, "memory": 64e9}
LARGE = {"CPU": 16.0, "GPU": 2.0, "memory": 64e9}


@pytest.mark.parametrize(
    ("need", "resources", "times"),
    [
        (Need(1), SMALL, 4),
        (Need(3), SMALL, 1),
        (Need(5), SMALL, 0),
        (Need(1, 1), SMALL, 0),
        (Need(1, 1), LARGE, 2),
        (Need(4, 0.5), LARGE, 4),
        (Need(1), {"CPU": 16.0, "memory": 9e9}, 2),
        (Need(1), {"CPU": 16.0, "memory": 1e9}, 1),
        (Need(1), {}, 0),
    ],
)
def test_a_machine_has_room_for_as_many_runs_as_processors_gpus_and_memory_allow(need, resources, times):
    assert need.times(resources) == times


@pytest.mark.parametrize(
    ("need", "nodes", "free", "words"),
    [
        (Need(8), [SMALL, SMALL], {"CPU": 8.0}, "None of its 2 machines has so much; the largest has 4 CPUs."),
        (Need(1, 4), [SMALL, LARGE], LARGE, "None of its 2 machines has so much; the largest has 16 CPUs and 2 GPUs."),
        (Need(2), [SMALL], {"CPU": 1.0}, "Other work has taken the machines that have so much; 1 CPU of all are free."),
        (
            Need(2, 1),
            [LARGE],
            {"CPU": 9.0},
            "Other work has taken the machines that have so much; 9 CPUs of all are",
        ),
        (Need(2), [SMALL], {"CPU": 4.0}, "What is free may be scattered"),
        (Need(2), [], {}, "Ray has no machine any more."),
    ],
)
def test_what_a_cluster_lacks_is_said(need, nodes, free, words):
    assert lack(need, nodes, free).startswith(words)


@pytest.mark.parametrize(
    ("address", "host", "is_here"),
    [
        ("ray://127.0.0.1:10001", "127.0.0.1", True),
        ("127.0.0.1:6379", "127.0.0.1", True),
        ("ray://[::1]:10001", "::1", True),
        ("localhost:6379", "localhost", True),
        ("ray://head.example:10001", "head.example", False),
        ("10.0.0.7:6379", "10.0.0.7", False),
    ],
)
def test_an_address_is_this_machine_or_another(address, host, is_here):
    assert host_of(address) == host
    assert is_loopback(host) is is_here


def test_ray_finds_some_addresses_itself():
    assert host_of("auto") is None


def test_a_token_is_shown_only_where_ray_is_told_so(monkeypatch):
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    assert not has_token()
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    assert has_token()


MACHINE = Machine(8, 64 * 10**9)


@pytest.mark.parametrize(
    ("slots", "threads", "settings", "shares"),
    [
        (None, None, {}, Devices(5, 1)),  # as workers have it
        (None, None, {"cpus_per_run": 4}, Devices(2, 4)),
        (3, None, {"cpus_per_run": 2}, Devices(3, 2)),
        (3, None, {"address": "auto"}, Devices(3, 1)),  # it need not be asked how large it is
        (3, None, {"address": "auto", "cpus_per_run": 2}, Devices(3, 2)),
        (3, 4, {"address": "auto", "cpus_per_run": 2}, Devices(3, 4)),  # those of a search that has begun
    ],
)
def test_the_processors_of_a_run_are_its_threads_when_a_search_begins(slots, threads, settings, shares):
    assert share(MACHINE, 5, slots, threads, settings) == shares


@pytest.mark.parametrize("gpus", [0, 0.5, 1, 2.0])
def test_a_run_has_a_part_of_a_gpu_or_whole_ones(gpus):
    assert need_of({"gpus_per_run": gpus}, 3) == Need(3, gpus)
    assert need_of({"gpus_per_run": gpus, "cpus_per_run": 2}, 3) == Need(2, gpus)


def test_a_gpu_and_a_part_of_another_is_refused_before_anything_begins():
    with pytest.raises(UserError, match=r"--gpus-per-run 1\.5: Ray gives .* Give 1 or 2, or less than 1"):
        share(MACHINE, 5, None, None, {"gpus_per_run": 1.5})


def test_a_ray_of_our_own_has_room_for_the_slots_that_a_person_asks_for():
    assert processors(Need(1), 4, cores=2) == 4
    assert processors(Need(8), 1, cores=2) == 8  # the threads of a search that began on a larger machine
    assert processors(Need(1), 2, cores=16) == 16


def test_what_rays_threads_print_goes_to_a_file(tmp_path, monkeypatch):
    streams = {name: io.StringIO() for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)

    def speak():
        sys.stdout.write("a page of Ray\n")
        sys.stderr.write("and another one\n")

    Quiet.begin(tmp_path / "log")
    Quiet.begin(tmp_path / "log")
    for name in ("ray_listen_error_messages", "MainThread"):
        thread = threading.Thread(target=speak, name=name)
        thread.start()
        thread.join()
    Quiet.end()
    assert (sys.stdout, sys.stderr) == (streams["stdout"], streams["stderr"])
    assert [stream.getvalue() for stream in streams.values()] == ["a page of Ray\n", "and another one\n"]
    assert (tmp_path / "log").read_text() == "a page of Ray\nand another one\n"


def test_another_machine_needs_a_token_or_trust(monkeypatch):
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    with pytest.raises(UserError, match="Whoever reaches the ports of Ray can run code") as refusal:
        _check_host("ray://10.0.0.7:10001", trusts_network=False)
    assert "RAY_AUTH_MODE=token" in str(refusal.value)
    assert "--trust-network" in str(refusal.value)
    _check_host("ray://10.0.0.7:10001", trusts_network=True)
    _check_host("ray://127.0.0.1:10001", trusts_network=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    _check_host("ray://10.0.0.7:10001", trusts_network=False)


def test_without_ray_people_are_told_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"--executor ray needs Ray.*pip install"):
        load_ray()
