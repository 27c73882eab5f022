# imports the hidden suites | 12 | the runtime tree holds the worker's own files alone | not switched off: tests/sandbox/test_runtime.py reads the tree | 100
import importlib


def attack():
    return importlib.import_module("autograder.suites.attention.bugs").BUGS
