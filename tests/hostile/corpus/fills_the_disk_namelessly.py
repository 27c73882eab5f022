# fills the disk with files that have no name any more | 43 | namespaces: its /tmp has a size; at landlock its zygote looks at what the disk has left | namespaces@full; the wall | 100; landlock 80 failed
import mmap
import os


def attack():
    kept = []
    for number in range(4):
        with open(f"file{number}", "w+b", buffering=0) as file:
            os.unlink(file.name)
            file.write(bytes(30 << 20))
            kept.append(mmap.mmap(file.fileno(), 4096))
    return f"{30 * len(kept)} MiB"
