# passes a file descriptor to the judge | 26 | seccomp: sendmsg is not on the list; the judge never takes one | seccomp@full | 100
import os
import socket


def attack():
    with socket.socket(1, 1, 0, os.dup(3)) as channel:
        channel.sendmsg([], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, b"\0" * 4)])
    return "sent"
