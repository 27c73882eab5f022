# loads data with worker processes | 38 | seccomp: no processes; landlock: no semaphores | landlock+seccomp@landlock | 100
import torch


def attack():
    loader = torch.utils.data.DataLoader([1, 2, 3], num_workers=1)
    return len(list(loader))
