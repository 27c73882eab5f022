# sends a dict with one key twice | 23 | wire: keys differ | not switched off: tests/test_wire.py plants each lie | 40 crashed
def answer():
    return ["dict", ["a", "a"], [1, 2]], [], b""
