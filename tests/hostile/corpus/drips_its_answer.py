# sends one byte of its answer every half second | 23 | judge: one deadline for the whole of an answer | not switched off: the deadline is the only end | 40 timeout
import os
import time


def reply(nonce):
    for _ in range(20):
        os.write(3, b"\0")
        time.sleep(0.5)
    return b""
