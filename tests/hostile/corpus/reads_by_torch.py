# reads a file as torch's storage | 1 | landlock: no rule names it | landlock@landlock | 100
import torch


def attack():
    return torch.UntypedStorage.from_file("@CANARY@", False, 4).tolist()
