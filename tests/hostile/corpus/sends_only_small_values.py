# sends as many small values as fit into a reply | 22 | wire: 4 MiB of header | always harmless: under the cap | 40 failed
def answer():
    return ["list", [["list", []]] * 590_000], [], b""
