# uses up the disk's number of files | 43 | namespaces: its /tmp has a number; at landlock its zygote looks | namespaces@full | 100; landlock 80 crashed
import os
import time


def attack():
    for number in range(5000):
        os.close(os.open(f"file{number}", os.O_CREAT | os.O_WRONLY))
    time.sleep(1)
    return "5000 files"
