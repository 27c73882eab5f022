# never ends inside one call of C | 36 | judge: a deadline on every answer | not switched off: the deadline is the only end | 0 timeout
sum(range(10**15))
