# opens a network socket | 58 | seccomp | seccomp@full | 100
import socket


def attack():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as own:
        return own.fileno()
