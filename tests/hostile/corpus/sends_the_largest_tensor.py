# sends the largest tensor that is allowed, every time | 22 | judge: keeps 16 MiB of an example | always harmless: under the cap | 40 failed/timeout
def answer():
    return ["tensor", "uint8", [64 << 20], 0, False], [64 << 20], bytes(64 << 20)
