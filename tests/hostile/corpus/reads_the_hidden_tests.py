# reads the hidden tests | 1 | landlock: no rule names it | landlock@landlock | 100
def attack():
    with open("@COURSE@/suites/toy/test_toy.py", "rb", buffering=0) as file:
        return file.read(100)
