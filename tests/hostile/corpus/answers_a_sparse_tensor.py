# returns a sparse tensor | 21 | the worker's encoder: no such layout | not switched off: it is no value of the language | 0 failed
import torch


def forge(name, real):
    return lambda *args, **kwargs: torch.eye(3).to_sparse()
