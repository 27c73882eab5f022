# reads which file systems there are | 2 | landlock: no rule names it | landlock@landlock | 100
import io


def attack():
    return io.FileIO("/proc/mounts").read(100)
