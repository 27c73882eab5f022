# closes its channel | 24 | judge: a worker that is gone has failed | always harmless: only its own channel | 0 crashed
import os
import time

os.close(3)
time.sleep(10**6)
