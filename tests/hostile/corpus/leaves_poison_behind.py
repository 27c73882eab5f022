# changes builtins, torch and its folder for the next test | 46 | each test has a process of its own | not switched off: the lock-down is a fork | 100
import builtins
import os

import torch


def attack():
    poisoned = getattr(builtins, "poison", None) or os.path.exists("poison")
    builtins.poison = True
    torch.relu = None
    open("poison", "w").close()
    return poisoned
