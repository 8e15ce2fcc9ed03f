"""The command line: ``main``, and ``VERBS``, the table of what it can do, with one file for each verb.

A verb imports what it needs when it runs: ``--help`` must not load TensorFlow.
"""

import io
import sys
from typing import NoReturn

import click

from search.cli.check import check
from search.cli.compare import compare
from search.cli.export import export
from search.cli.folds import folds
from search.cli.pack import pack
from search.cli.predict import predict
from search.cli.pretrain import pretrain
from search.cli.report import report
from search.cli.resume import resume
from search.cli.run import run
from search.cli.watch import watch
from search.system.errors import UserError

INTERRUPTED = 130

VERBS = (  # by name, as --help lists them
    check,
    compare,
    export,
    folds,
    pack,
    predict,
    pretrain,
    report,
    resume,
    run,
    watch,
)


@click.group(commands=VERBS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
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
    """


def main(program: click.Group = cli) -> NoReturn:
    """Run the command line; exit with 0, 1 for a user's error, 2 for wrong usage, 130 if interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ± or █ gets a question mark, not a traceback
    try:
        program(standalone_mode=False)
    except UserError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("\nInterrupted. Nothing finished is lost: run the same command to resume.", err=True)
        sys.exit(INTERRUPTED)
    except OSError as error:
        click.echo(f"Error: {error.filename or 'a file'}: {error.strerror or error}.", err=True)
        sys.exit(1)
    sys.exit(0)
