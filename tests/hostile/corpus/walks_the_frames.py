# looks for expected answers in the frames above it | 4 | process split: no such frame in this process | not switched off: the forger `takes_the_answer_from_a_frame` does it where it can | 100
import sys


def attack():
    frame, found = sys._getframe(), []
    while frame:
        found += [name for name in frame.f_locals if name in ("want", "expected", "reference", "suite")]
        frame = frame.f_back
    return found
