# sends an extension type of MessagePack | 23 | wire: exact types | not switched off: tests/test_wire.py plants each lie | 40 crashed
import msgspec


def answer():
    return msgspec.msgpack.Ext(1, b"x"), [], b""
