# searches with a pattern that takes for ever | 35 | judge: a deadline on every answer | not switched off: the deadline is the only end | 0 timeout
import re


def runs(text):
    return re.fullmatch("(a|aa)+b", "a" * 200)
