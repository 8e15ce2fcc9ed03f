"""``new-space``: a copy of the default space, to begin with."""

from importlib import resources
from pathlib import Path

import click

from search.cli.options import echo
from search.system.commands import command
from search.system.errors import UserError
from search.system.files import write_text
from search.system.places import check_file
from search.system.texts import check_utf8

DEFAULT = "default_space.txt"


@click.command("new-space")
@click.argument("path", type=click.Path(path_type=Path))
def new_space(path: Path) -> None:
    """Write the default space into the new file PATH, such as my-space.py, to be changed and searched."""
    if path.exists() or path.is_symlink():
        raise UserError(f"{path} is there already, and nothing is overwritten. Name a new file.")
    check_utf8(str(path), "The space file")
    check_file(path)
    write_text(path, resources.files("search").joinpath(DEFAULT).read_text(encoding="utf-8"))
    echo(f"Space: {path}. Search it with your own images: {command('run', path, data='my-images')}")
