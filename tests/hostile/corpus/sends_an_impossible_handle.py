# answers with a handle below none | 23 | judge: handles are small numbers | not switched off: tests/test_wire.py plants each lie | 40 crashed
def answer():
    return ["target", -7, "", "list"], [], b""
