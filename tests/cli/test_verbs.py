"""What holds of every verb of the table, and that a verb is one file and one row."""

import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import search.cli
from search.cli.main import VERBS, cli, main


def test_a_verb_is_a_file_of_its_name_and_the_table_has_the_order_of_the_help():
    names = [verb.name for verb in VERBS]
    files = {path.stem.replace("_", "-") for path in Path(search.cli.__file__).parent.glob("*.py")}
    assert set(names) == files - {"--init--", "main", "options"}
    assert names == cli.list_commands(click.Context(cli))
    assert [verb.callback.__module__ for verb in VERBS] == [f"search.cli.{name.replace('-', '_')}" for name in names]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_says_what_it_does_and_what_its_options_mean(verb):
    assert verb.help
    assert all(option.help for option in verb.params if isinstance(option, click.Option))
    answer = CliRunner().invoke(cli, [verb.name, "--help"])
    assert answer.exit_code == 0
    assert answer.output.startswith(f"Usage: cli {verb.name} ")


def test_a_row_more_is_a_verb_more(monkeypatch, capsys):
    @click.command()
    @click.argument("name")
    def greet(name):
        """Greet NAME."""
        click.echo(f"Hello {name}")

    monkeypatch.setattr(sys, "argv", ["search", "greet", "you"])
    with pytest.raises(SystemExit) as end:
        main(click.Group("search", commands=[*VERBS, greet]))
    assert end.value.code == 0
    assert capsys.readouterr().out == "Hello you\n"
