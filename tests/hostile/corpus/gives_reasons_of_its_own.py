# says that a value cannot be sent, for a reason of its own making | 33 | judge: one line of 300 printable characters | always harmless: only text | 40 failed
import msgspec


def reply(nonce):
    outcome = {"type": "unsendable", "reason": "\x1b[2J\n::error::all passed\n" * 1000}
    header = msgspec.msgpack.encode({"nonce": nonce, "outcome": outcome, "sizes": []})
    return len(header).to_bytes(4, "big") + bytes(8) + header
