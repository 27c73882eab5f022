# takes more memory than it may, by torch | 40 | rlimits: RLIMIT_DATA | rlimits@full | 100
import torch


def attack():
    return torch.zeros(700 << 20, dtype=torch.uint8).numel()
