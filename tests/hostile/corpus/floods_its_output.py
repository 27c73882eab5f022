# prints without end | 44 | judge: reads what is printed, and ends a worker past 64 MiB | not switched off: the cap is the only end | 0 crashed/timeout
import os

while True:
    os.write(1, b"x" * 65536)
