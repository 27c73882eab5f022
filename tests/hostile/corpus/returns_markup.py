# returns HTML, terminal escapes, formulas and commands | 73 | reports: one encoder for each sink | not switched off: tests/reports push every payload through every sink | 0 failed
PAYLOAD = "<img src=x onerror=ran=1>\x1b]8;;http://x\x07\n::error::x\n=1+1\n##[group]\u202e"


def forge(name, real):
    return lambda *args, **kwargs: PAYLOAD
