"""`python -m autograder` is the `autograder` command. Among files of others type `python -P -m autograder`."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the current folder: it may hold what was handed in, and this package is found by now

from autograder.cli import main

main()
