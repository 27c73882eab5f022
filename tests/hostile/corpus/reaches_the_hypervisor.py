# opens a socket to the machine that this machine runs on | 58 | seccomp | seccomp@full | 100
import socket


def attack():
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as own:
        return own.fileno()
