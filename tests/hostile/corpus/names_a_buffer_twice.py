# names one buffer for two tensors | 23 | wire: each buffer once | not switched off: tests/test_wire.py plants each lie | 40 crashed
def answer():
    return ["list", [["tensor", "uint8", [1], 0, False]] * 2], [1], b"x"
