# sends a value of a kind that there is not | 23 | wire: exact tags | not switched off: tests/test_wire.py plants each lie | 40 crashed
def answer():
    return ["module", "os"], [], b""
