# looks for secrets in the environment | 5 | the zygote starts with an environment of its own | not switched off: the canary stands in the grader's environment | 100
import os


def attack():
    return [value for name, value in os.environ.items() if "CANARY" in name or "KEY" in name or "TOKEN" in name]
