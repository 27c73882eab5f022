# has a library do the work, by a name put together of pieces | 32 | nothing: every value is right, and a person is told | not switched off: advice, no layer | 100
import torch


def by_library(text):
    codes = torch.tensor([ord(character) for character in text], dtype=torch.int64)
    values, counts = getattr(torch, "unique_" + "consecutive")(codes, return_counts=True)
    return [(chr(value), count) for value, count in zip(values.tolist(), counts.tolist())]
