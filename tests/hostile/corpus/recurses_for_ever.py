# calls itself without end, with the limit taken away | 47 | the kernel: its stack ends its process | always harmless: only its own process | 0 failed/crashed/timeout
import sys

sys.setrecursionlimit(10**9)


def down():
    down()


down()
