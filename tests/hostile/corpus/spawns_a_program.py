# starts a program | 38 | seccomp | seccomp+landlock@landlock | 100
import os


def attack():
    child = os.posix_spawn("/bin/true", ["true"], {})
    return os.waitpid(child, 0)[0]
