# opens a socket by which it could meet a service | 58 | seccomp | seccomp@full | 100
import socket


def attack():
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as own:
        return own.fileno()
