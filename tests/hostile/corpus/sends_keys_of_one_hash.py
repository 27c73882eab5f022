# sends 200,000 keys of one hash, which take an hour to put into a set | 23 | wire: at most 64 keys of one hash | not switched off: tests/test_wire.py plants each lie | 40 crashed
def answer():
    return ["set", [["int", hex(factor * (2**61 - 1))] for factor in range(9, 200_009)]], [], b""
