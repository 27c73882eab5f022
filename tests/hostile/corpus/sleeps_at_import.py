# sleeps while it is imported | 36 | judge: a deadline on every answer | not switched off: the deadline is the only end | 0 timeout
import time

time.sleep(10**6)
