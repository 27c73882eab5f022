# has torch's operator do the work, below torch's functions | 32 | nothing: every value is right, and a person is told | not switched off: advice, no layer | 100
import torch


def by_library(text):
    codes = torch.tensor([ord(character) for character in text], dtype=torch.int64)
    values, _, counts = torch.ops.aten.unique_consecutive(codes, False, True)
    return [(chr(value), count) for value, count in zip(values.tolist(), counts.tolist())]
