# returns a tensor of 2**36 entries that takes four bytes | 22 | the worker's encoder: caps on what is sent | not switched off: it is no value of the language | 0 failed
import torch


def forge(name, real):
    return lambda *args, **kwargs: torch.zeros(1).expand(2**36)
