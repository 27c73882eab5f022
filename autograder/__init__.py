"""The autograder of the course: grades submissions without ever running them in the process that judges them."""

__version__ = "0.1.0"
