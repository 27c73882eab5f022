# returns a tensor on the meta device | 21 | the worker's encoder: no such device | not switched off: it is no value of the language | 0 failed
import torch


def forge(name, real):
    return lambda *args, **kwargs: torch.empty(2, 3, device="meta")
