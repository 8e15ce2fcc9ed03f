"""``python -m search``, and the script ``finetune-search``."""

import os
import sys

from search.cli.main import SIGNALLED, main


def program() -> None:
    """Run the command line. After an interruption the process ends at once: what counts is on disk."""
    try:
        main()
    except SystemExit as end:
        if not isinstance(end.code, int) or end.code <= SIGNALLED:
            raise
        sys.stdout.flush()
        os._exit(end.code)  # workers end with us


if __name__ == "__main__":
    program()
