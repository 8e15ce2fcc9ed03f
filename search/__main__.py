"""``python -m search``."""

import os
import sys

from search.cli.main import INTERRUPTED, main

if __name__ == "__main__":
    try:
        main()
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
        sys.stdout.flush()
        os._exit(INTERRUPTED)  # at once: all that counts is on disk, and workers end with us
