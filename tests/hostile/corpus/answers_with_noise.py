# answers with noise that is no MessagePack | 23 | wire: a typed decoder | not switched off: tests/test_wire.py plants each lie | 40 crashed
import hashlib


def reply(nonce):
    header = b"\xc1" + hashlib.sha512(nonce).digest()  # no type of MessagePack begins with 0xc1
    return len(header).to_bytes(4, "big") + bytes(8) + header
