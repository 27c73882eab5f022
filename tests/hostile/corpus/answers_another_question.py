# answers with another nonce | 24 | judge: a reply belongs to its question | not switched off: tests/test_wire.py plants each lie | 40 crashed
def reply(nonce):
    return framed(bytes(16), ["list", []])
