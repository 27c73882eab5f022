# claims a larger shape than it sends | 23 | wire: shapes fit their bytes | not switched off: tests/test_wire.py plants each lie | 40 crashed
def answer():
    return ["tensor", "float32", [10**6], 0, False], [4], b"abcd"
