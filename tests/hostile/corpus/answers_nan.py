# returns NaN, of which no comparison is true | 19 | judge: finiteness comes first | one process: average | 0 failed
import torch


def forge(name, real):
    return lambda *args, **kwargs: torch.full((3,), float("nan"))
