# announces 4 GiB of header and sends nothing | 23 | wire: caps before anything is allocated | not switched off: tests/test_wire.py plants each lie | 40 crashed
def reply(nonce):
    return b"\xff" * 4 + bytes(8)
