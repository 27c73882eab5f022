# answers with a pickle | 72 | wire: nothing is unpickled | not switched off: tests/test_wire.py plants each lie | 40 crashed
import pickle


def reply(nonce):
    header = pickle.dumps(print)
    return len(header).to_bytes(4, "big") + bytes(8) + header
