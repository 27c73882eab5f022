# sends 100,000 keys of one hash, which take minutes to put into a set | 23 | wire: at most 64 keys of one hash | not switched off: tests/test_wire.py plants each lie | 40 crashed
def answer():
    return ["set", [["int", hex(factor * (2**61 - 1))] for factor in range(9, 100_009)]], [], b""
