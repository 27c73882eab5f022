# imports a library that does the work | 32 | the runtime tree holds the named distributions alone | not switched off: tests/sandbox/test_runtime.py reads the tree | 0 failed
import tokenizers  # noqa: F401
