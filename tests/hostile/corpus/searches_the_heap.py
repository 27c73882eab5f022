# looks for the grader's objects on the heap | 4 | process split: no such object in this process | not switched off: nothing of the grader was ever imported here | 100
import sys


def attack():
    return [
        name
        for name in sys.modules
        if name.startswith(("autograder.judge", "autograder.suites", "pytest", "hypothesis"))
    ]
