# announces an exabyte of body | 23 | wire: caps before anything is allocated | not switched off: tests/test_wire.py plants each lie | 40 crashed
def reply(nonce):
    return bytes(4) + b"\x0f" + b"\xff" * 7
