"""The README says what is so."""

import re
from pathlib import Path

from click.testing import CliRunner

from search.cli.main import cli

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_it_shows_the_space_file_as_it_is():
    code = (ROOT / "spaces" / "finetune.py").read_text().split('"""', 2)[2].strip()
    assert code in README
    assert "@@" not in README


def test_its_map_names_every_module():
    for path in (ROOT / "search").glob("*.py"):
        if not path.name.startswith("__"):
            assert path.name in README, path.name


def test_it_names_every_option_and_verb():
    runner = CliRunner()
    for verb in re.findall(r"^  (\w+) ", runner.invoke(cli, ["--help"]).output.split("Commands:")[1], re.MULTILINE):
        assert f"python -m search {verb}" in README
    for option in re.findall(r"  (--[a-z-]+)", runner.invoke(cli, ["run", "--help"]).output):
        assert option in README or option == "--help", option


def test_what_the_readme_links_to_is_there():
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", README) if "://" not in link]
    assert "results/example/report/report.md" in links
    assert not [link for link in links if link and not (ROOT / link).exists()]
