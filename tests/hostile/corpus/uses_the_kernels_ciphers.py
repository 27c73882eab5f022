# opens a socket to the kernel's ciphers | 52 | seccomp | not switched off: not every kernel has it | 100
import socket


def attack():
    with socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET) as own:
        return own.fileno()
