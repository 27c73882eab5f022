"""The judge: grades one submission by asking it questions. Suites are written with the names that this module exports.

    session    one conversation with one worker          proxies   the submission as a suite sees it
    checks     comparing what came back                  draws     strategies that suites share
    suite      @part, planted bugs, the reference        trial     the examples of one test, the smallest failure
    race       how fast, beside the reference
    grading    a suite against a submission              local     the same without a boundary, for authors of suites
    show       values as text                            server    the process that grading happens in

To run a suite while writing it: `python -m autograder.judge.local attention [FILE] [-k TEST]`.
"""

from autograder.judge import checks, draws
from autograder.judge.checks import Mismatch
from autograder.judge.proxies import Proxy, Submission, raises
from autograder.judge.race import race
from autograder.judge.session import StudentError
from autograder.judge.suite import Bug, Wrong, part, reference, state_machine
from autograder.wire import Given, PythonSeed, TorchSeed

__all__ = [
    "Bug", "Given", "Mismatch", "Proxy", "PythonSeed", "StudentError", "Submission", "TorchSeed", "Wrong",
    "checks", "draws", "part", "race", "raises", "reference", "state_machine",
]  # fmt: skip
