# has the compiler compute 10**10**9 | 69 | only a worker compiles; judge: a deadline | not switched off: the deadline is the only end | 0 timeout
BIG = 10**10**9
