# answers with noise | 23 | wire: a typed decoder | not switched off: tests/test_wire.py plants each lie | 40 crashed
import hashlib


def reply(nonce):
    header = hashlib.sha512(nonce).digest()
    return len(header).to_bytes(4, "big") + bytes(8) + header
