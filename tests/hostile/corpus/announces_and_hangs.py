# announces the largest reply that is allowed, then hangs | 23 | judge: a deadline on every answer | not switched off: the deadline is the only end | 40 timeout
def reply(nonce):
    return (4 << 20).to_bytes(4, "big") + (64 << 20).to_bytes(8, "big") + b"x"
