# answers every question twice | 24 | judge: looks for words that nobody asked for | not switched off: tests/test_wire.py plants each lie | 40 failed/crashed
def reply(nonce):
    return 2 * framed(nonce, ["list", []])
