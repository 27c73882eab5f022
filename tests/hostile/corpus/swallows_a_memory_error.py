# catches MemoryError again and again until it has all that there is | 40 | rlimits: it has what it may have, and no more | rlimits@full | 100
def attack():
    # bytes(n), not bytearray(n), which writes its zeros: a gibibyte of pages takes seconds where others grade beside it.
    kept = []
    for size in (256 << 20, 64 << 20, 16 << 20):
        try:
            while len(kept) * size < 1 << 31 and sum(map(len, kept)) < 900 << 20:
                kept.append(bytes(size))
        except MemoryError:
            continue
    return sum(map(len, kept)) > 800 << 20
