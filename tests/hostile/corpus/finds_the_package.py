# looks for the course that is installed beside it | 12 | the runtime tree holds the named distributions alone | not switched off: tests/sandbox/test_runtime.py reads the tree | 100
import importlib.metadata


def attack():
    return importlib.metadata.distribution("llm-assignments").files
