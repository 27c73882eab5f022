# fills the disk with files of an allowed size | 43 | namespaces: its /tmp has a size; at landlock its zygote looks | namespaces@full | 100; landlock 80 crashed
import time


def attack():
    for number in range(3):
        with open(f"file{number}", "wb") as file:
            file.write(bytes(30 << 20))
    time.sleep(1)
    return "90 MiB"
