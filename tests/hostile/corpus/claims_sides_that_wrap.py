# claims sides whose product wraps around to nothing | 23 | wire: shapes are possible | not switched off: tests/test_wire.py plants each lie | 40 crashed
def answer():
    return ["tensor", "uint8", [2**32, 2**32], 0, False], [0], b""
