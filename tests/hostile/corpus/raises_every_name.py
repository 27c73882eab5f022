# says that everything raised an exception of every name | 33 | judge: an exception earns what its class earns | always harmless: honest code may raise too | 40 failed
import msgspec


def reply(nonce):
    names = ["NotImplementedError", "ValueError", "IndexError", "x\n::error::"] * 1000
    outcome = {"type": "raised", "lineage": names, "message": "PASSED" * 10_000, "trace": [[-1, "f", "<b>"]] * 1000}
    header = msgspec.msgpack.encode({"nonce": nonce, "outcome": outcome, "sizes": []})
    return len(header).to_bytes(4, "big") + bytes(8) + header
