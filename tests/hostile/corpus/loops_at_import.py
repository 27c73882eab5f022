# never ends while it is imported | 36 | judge: a deadline on every answer | not switched off: the deadline is the only end | 0 timeout
while True:
    pass
