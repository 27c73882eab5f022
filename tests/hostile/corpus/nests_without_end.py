# nests lists 200,000 deep | 23 | wire: depth | not switched off: tests/test_wire.py plants each lie | 40 crashed
def reply(nonce):
    inner = b"\x92\xa4list\x91" * 200_000 + b"\xc0"
    frame = framed(nonce, None)
    header = frame[12:].replace(b"value\xc0", b"value" + inner)
    return len(header).to_bytes(4, "big") + bytes(8) + header
