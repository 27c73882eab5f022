# has a library do the work, plainly | 32 | nothing: every value is right, and a person is told | not switched off: advice, no layer | 100
import itertools


def by_library(text):
    return [(character, len(list(group))) for character, group in itertools.groupby(text)]
