# sends a dict whose key is a list | 23 | wire: keys are hashable | not switched off: tests/test_wire.py plants each lie | 40 crashed
def answer():
    return ["dict", [["list", []]], [1]], [], b""
