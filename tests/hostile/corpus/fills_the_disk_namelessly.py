# fills the disk with files that have no name any more | 43 | namespaces: its /tmp has a size; at landlock its zygote looks at what the disk has left | namespaces@full; the wall | 100; landlock 80 failed
import mmap
import os


def attack():
    kept = []
    for number in range(4):
        file = os.open(f"file{number}", os.O_RDWR | os.O_CREAT)
        os.unlink(f"file{number}")
        if os.write(file, bytes(30 << 20)) < 30 << 20:
            return None
        kept.append(mmap.mmap(file, 4096))
        os.close(file)
    return f"{30 * len(kept)} MiB"
