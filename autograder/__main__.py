"""`python -m autograder` is the `autograder` command."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the current folder: it may hold what was handed in, and this package is found by now

from autograder.cli import main

main()
