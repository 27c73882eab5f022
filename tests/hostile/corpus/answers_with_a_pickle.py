# answers with bytes that are a pickle of a call | 72 | wire: bytes stay bytes, nothing is unpickled | not switched off: there is no code to switch on | 40 failed
import os
import pickle


class Call:
    def __reduce__(self):
        return os.getpid, ()


def answer():
    return ["bytes", pickle.dumps(Call())], [], b""
