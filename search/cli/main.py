"""The command line: ``main``, and ``VERBS``, the table of what it can do, with one file for each verb.

A verb imports what it needs when it runs: ``--help`` must not load TensorFlow.
"""

import io
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import click

from search.cli.backbones import backbones
from search.cli.check import check
from search.cli.compare import compare
from search.cli.evaluate import evaluate
from search.cli.export import export
from search.cli.folds import folds
from search.cli.hard import hard
from search.cli.new_space import new_space
from search.cli.options import echo
from search.cli.pack import pack
from search.cli.predict import predict
from search.cli.pretrain import pretrain
from search.cli.preview import preview
from search.cli.report import report
from search.cli.resume import resume
from search.cli.run import run
from search.cli.synthesize import synthesize
from search.cli.watch import watch
from search.system.errors import UserError, in_words
from search.system.signals import SignalledError, TimeUpError, handle_signals
from search.system.texts import rename_hint, visible_names

SIGNALLED = 128  # the exit code of a process that a signal ended is that of the signal and this

VERBS = (  # by name, as --help lists them
    backbones,
    check,
    compare,
    evaluate,
    export,
    folds,
    hard,
    new_space,
    pack,
    predict,
    pretrain,
    preview,
    report,
    resume,
    run,
    synthesize,
    watch,
)
EARLIER = {"weights": "backbones"}  # names that verbs had, which still work


class Program(click.Group):
    """The verbs, also by the names that they had."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the verb of this name, of today or of earlier."""
        return super().get_command(ctx, EARLIER.get(cmd_name, cmd_name))


@click.group(
    cls=Program, commands=VERBS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="finetune-search", prog_name="search")
def cli() -> None:
    """Find the fine-tuning recipe that best survives limited data.

    \b
    python -m search run spaces/finetune.py                    search; the same line again resumes
    python -m search run spaces/finetune.py --data my-images   on your own class folders
    python -m search check spaces/finetune.py --data my-images what is odd about them, and what it would cost
    python -m search watch NAME                                follow it from another terminal
    python -m search report NAME                               write the report again
    python -m search export NAME --to my-model                 the recommended model, to take away
    python -m search predict my-model my-images                what it sees in other images
    python -m search evaluate my-model test-images             how it does on labelled images
    """


def main(program: click.Group = cli) -> NoReturn:
    """Run the command line; exit with 0, 1 for a user's error, 2 for wrong usage, 130 if interrupted (SIGTERM: 143)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ± or █ gets a question mark, not a traceback
    handle_signals()
    try:
        program(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:  # `… | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it once more
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort) as error:
        cause = error.__cause__  # click has made an Abort of it
        number = cause.number if isinstance(cause, SignalledError) else int(signal.SIGINT)
        what = "Interrupted" if number == signal.SIGINT else f"Ended by {signal.Signals(number).name}"
        what = str(cause) if isinstance(cause, TimeUpError) else what
        echo(f"\n{what}. Nothing finished is lost: run the same command to resume.", err=True)
        sys.exit(SIGNALLED + number)
    except (UserError, UnicodeEncodeError, OSError, MemoryError) as error:
        echo(f"Error: {_in_words(error)}", err=True)
        sys.exit(1)
    sys.exit(0)


def _in_words(error: Exception) -> str:
    match error:
        case UnicodeEncodeError():
            return f"The name {error.object!r} cannot be written as text here. {rename_hint()}"
        case OSError():
            return in_words(error, "standard output, or a file without a name")
        case MemoryError():
            return "There is too little memory. Give it more, or fewer --slots; the same command resumes."
    return visible_names(str(error), [*sys.argv[1:], str(Path.cwd())])
