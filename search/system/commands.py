"""Commands as people can type them: quoted, and with all options that they need. All that are shown come from here."""

import os
import shlex
import string
import sys
from pathlib import Path

PLAIN = frozenset(string.ascii_letters + string.digits + " /._-")
SCRIPT = "finetune-search"
DEFAULT_SPACE = Path("spaces/finetune.py")  # as it lies in a clone
RESULTS = "results"  # where searches are kept unless --results says otherwise


def command(verb: str, *arguments: object, **options: object) -> str:
    """Return the line for a shell that runs a verb.

    Options are named as in Python. Those that are None, False or "" are left out, and True is one without a value.
    """
    start = SCRIPT if Path(sys.argv[0]).name == SCRIPT else "python -m search"
    words = [_argument(argument) for argument in arguments]
    for name, value in options.items():
        if value is not None and value is not False and value != "":
            words += [option(name), *([] if value is True else [str(value)])]
    return " ".join([start, verb, *map(quoted, words)])


def option(name: str) -> str:
    """Return an option of the command line by its name in Python."""
    return f"--{name.replace('_', '-')}"


def quoted(text: str) -> str:
    """Return an argument for a shell; one that cannot be printed as bash and zsh read it, in escapes."""
    if text.isprintable():
        return shlex.quote(text)
    letters = [chr(byte) if chr(byte) in PLAIN else f"\\{byte:03o}" for byte in os.fsencode(text)]
    return f"$'{''.join(letters)}'"


def command_of(folder: Path, verb: str, *arguments: object, **options: object) -> str:
    """Return the line that runs a verb on the search in ``folder``, wherever that lies."""
    elsewhere = folder.parent.resolve() != Path(RESULTS).resolve()
    place = {"results": folder.parent} if elsewhere else {}
    return command(verb, folder if folder.name.startswith("-") else folder.name, *arguments, **options, **place)


def first_command(verb: str, **options: object) -> str:
    """Return the line that runs a verb with the default space, which it first writes where there is none."""
    here = DEFAULT_SPACE if DEFAULT_SPACE.is_file() else Path(DEFAULT_SPACE.name)
    line = command(verb, here, **options)
    return line if here.is_file() else f"{command('new-space', here)} && {line}"


def board_command(folder: Path) -> str:
    """Return the line that shows a folder in TensorBoard."""
    return f"tensorboard --logdir {quoted(str(folder))}"


def _argument(argument: object) -> str:
    text = str(argument)
    return f"./{text}" if text.startswith("-") else text
