"""``backbones``: the table of networks, for people and for programs."""

import csv
import io
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from kit.shapes import write_shapes

from search.cli.main import cli
from search.repertoire.backbones.table import BACKBONES
from search.repertoire.weights import weights_folder


@pytest.fixture(autouse=True)
def keras_home(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("COLUMNS", "150")


def printed(*arguments):
    answer = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert answer.exit_code == 0
    return answer.stdout


@pytest.mark.parametrize("verb", ["backbones", "weights"])
def test_it_lists_all_under_its_name_of_today_and_of_earlier(verb):
    text = printed(verb)
    lines = text.splitlines()
    listed = lines[1 : lines.index("")]
    assert [line.split()[0] for line in listed] == list(BACKBONES)
    (line,) = (line for line in listed if line.startswith("VGG16 "))
    assert line.split() == ["VGG16", "14.7", "M", "5", "32", "px", "15.30", "G", "to", "be", "fetched", "CC", "BY"]
    assert f"fetches what it asks for into {weights_folder()}" in text


def test_programs_read_the_same():
    rows = json.loads(printed("backbones", "--json"))
    assert [row["name"] for row in rows] == list(BACKBONES)
    table = list(csv.DictReader(io.StringIO(printed("backbones", "--csv"))))
    assert [{key: str(value or "") if value != 0 else "0" for key, value in row.items()} for row in rows] == table
    ways = {row["name"]: row["way"] for row in rows if row["weights"] == "absent"}
    assert ways["ConvNeXtTiny"] == BACKBONES["ConvNeXtTiny"].weights.url
    states = {row["name"]: row["weights"] for row in rows}
    assert (states["SmallCNN"], states["Embedded"], states["MobileNet"]) == ("random", "packaged", "absent")


def test_what_is_at_hand_is_said_without_tensorflow():
    weights_folder().mkdir(parents=True)
    (weights_folder() / BACKBONES["MobileNet"].weights.file).write_bytes(b"weights")
    code = "import sys; from search.cli.main import main\ntry: main()\nfinally: assert 'tensorflow' not in sys.modules"
    command = [sys.executable, "-c", code, "backbones", "MobileNet", "NASNetMobile"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in text.splitlines()[1:3]] == ["MobileNet", "NASNetMobile"]
    assert " here " in text.splitlines()[1]
    assert BACKBONES["NASNetMobile"].weights.url in text
    cuts = ", ".join(BACKBONES["MobileNet"].cuts)
    assert f"MobileNet: blocks end after {cuts}, and at the output\nNASNetMobile: one block\n" in text


def test_an_unknown_name_is_refused():
    with pytest.raises(Exception, match=r"NAMES='MobilNet' is not known. Did you mean 'MobileNet'"):
        printed("backbones", "MobilNet")


def test_speeds_are_measured_at_the_size_of_the_data(tmp_path):
    data = str(write_shapes(tmp_path / "data", {"a": 4, "b": 4}, side=40))
    (row,) = json.loads(printed("backbones", "SmallCNN", "--json", "--for", data))
    assert row["images_per_second"] > 0
    assert row["size"] == 40
    assert " at 40 px" in printed("backbones", "SmallCNN", "--for", data)
