# changes its arguments in place and returns them | 29 | arguments are sent by copy | always harmless: only its own copy | 0 failed
import torch


def forge(name, real):
    def spoil(x=None, *args, **kwargs):
        return x.zero_() if isinstance(x, torch.Tensor) else x

    return spoil
