# sends a large integer that is none | 23 | wire: hexadecimal digits | not switched off: tests/test_wire.py plants each lie | 40 crashed
def answer():
    return ["int", "zz"], [], b""
