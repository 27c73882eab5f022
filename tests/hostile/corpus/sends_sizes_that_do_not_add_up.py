# sends buffers whose sizes do not add up | 23 | wire: sizes add up to the body | not switched off: tests/test_wire.py plants each lie | 40 crashed
def answer():
    return None, [1, 1], b"x"
