# nests sets whose members have one hash, 38 in 38 in 38: comparing them takes half a minute | 23 | wire: pairs of keys with one hash, in one message | not switched off: tests/test_wire.py plants each lie | 40 crashed
NUMBERS = [5 + factor * (2**61 - 1) for factor in range(152)]


def level(depth, last):
    if not depth:
        return NUMBERS[last] if NUMBERS[last] < 2**64 else ["int", hex(NUMBERS[last])]
    return ["set", [level(depth - 1, place) for place in [*range(37), 37 + last]]]


def answer():
    return level(3, 0), [], b""
