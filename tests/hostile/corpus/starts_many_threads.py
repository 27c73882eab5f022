# starts more threads than it may | 39 | rlimits: RLIMIT_NPROC | rlimits@full; the wall | 100; landlock 80 failed
import threading
import time


def attack():
    threading.stack_size(65536)
    started = 0
    for _ in range(60):
        threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
        started += 1
    return started
