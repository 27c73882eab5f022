# never ends when it is called | 36 | judge: a deadline on every answer | not switched off: the deadline is the only end | 0 timeout
def runs(text):
    while True:
        pass
