# asks the kernel for its routes and interfaces | 52 | seccomp | seccomp@full | 100
import socket


def attack():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as own:
        return own.fileno()
