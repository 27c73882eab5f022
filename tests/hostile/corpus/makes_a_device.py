# makes a device | 66 | seccomp | not switched off: needs a capability too | 100
import os


def attack():
    os.mknod("device", 0o020600, os.makedev(1, 3))
    return "a device"
