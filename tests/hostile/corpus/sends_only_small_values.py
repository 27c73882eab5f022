# sends as many small values as fit into a reply | 22 | wire: numbers of lists and of items | always harmless: under the cap | 40 failed/timeout
def answer():
    return ["list", [["list", [0, 0, 0, 0, 0, 0]]] * 130_000], [], b""
