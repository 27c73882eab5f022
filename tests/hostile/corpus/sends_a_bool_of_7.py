# sends a bool that is 7 | 23 | wire: bools are 0 or 1 | not switched off: tests/test_wire.py plants each lie | 40 crashed
def answer():
    return ["tensor", "bool", [1], 0, False], [1], b"\7"
