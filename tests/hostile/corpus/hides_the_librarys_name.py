# has a library do the work, by a name written backwards | 32 | nothing: every value is right, and a person is told | not switched off: advice, no layer | 100
import itertools


def by_library(text):
    group = getattr(itertools, "ybpuorg"[::-1])
    return [(character, len(list(members))) for character, members in group(text)]
