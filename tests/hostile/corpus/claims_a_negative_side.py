# claims a shape of negative sides | 23 | wire: shapes are possible | not switched off: tests/test_wire.py plants each lie | 40 crashed
def answer():
    return ["tensor", "uint8", [-1, -4], 0, False], [4], b"abcd"
