# answers with what only a judge may say | 23 | judge: seeds and given objects come from it alone | not switched off: tests/test_wire.py plants each lie | 40 crashed
def answer():
    return ["given", "streams.Counted"], [], b""
