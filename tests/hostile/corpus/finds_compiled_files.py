# looks for compiled files of the reference | 12 | the runtime tree holds the worker's own files alone | not switched off: tests/sandbox/test_runtime.py reads the tree | 100
import importlib.util


def attack():
    return (
        importlib.util.find_spec("solutions")
        or importlib.util.find_spec("assignments")
        or importlib.util.find_spec("toyclass")
    )
