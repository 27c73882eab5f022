# takes the question's nonce off the worker's stack and answers by itself | 25 | only a value, whoever sends it | always harmless: only a value | 40 failed
def answer():
    return ["list", [["tuple", ["a", 2]], ["tuple", ["b", 1]]]], [], b""
