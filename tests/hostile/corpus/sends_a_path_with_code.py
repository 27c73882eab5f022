# answers with a handle whose path is code | 23 | judge: paths are names | not switched off: tests/test_wire.py plants each lie | 40 crashed
def answer():
    return ["target", 0, "a\n__import__('os').system('id')", "list"], [], b""
