# starts a shell by subprocess | 38 | seccomp | seccomp+landlock@landlock | 100
import subprocess


def attack():
    return subprocess.run(["/bin/sh", "-c", "echo out"], capture_output=True, check=False).stdout
