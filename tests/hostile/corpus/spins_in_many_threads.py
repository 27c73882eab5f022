# spins in thirty threads, to use up the machine | 39 | rlimits: RLIMIT_CPU and RLIMIT_NPROC; judge: a deadline | not switched off: the deadline is the only end | 0 timeout
import threading


def spin():
    while True:
        pass


threading.stack_size(65536)
for _ in range(30):
    threading.Thread(target=spin).start()
spin()
