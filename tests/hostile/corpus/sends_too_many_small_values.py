# sends more small values than anybody needs | 22 | wire: numbers of lists and of items | not switched off: tests/test_wire.py plants each lie | 40 crashed
def answer():
    return ["list", [0] * 3_000_000], [], b""
