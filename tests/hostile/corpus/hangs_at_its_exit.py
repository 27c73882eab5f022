# hangs when its interpreter ends | 37 | judge: does not wait for an end | always harmless: nobody waits | 0 failed
import atexit
import time

atexit.register(time.sleep, 10**6)
