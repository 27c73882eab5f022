# opens a socket that hears every packet | 52 | seccomp | not switched off: needs a capability too | 100
import socket


def attack():
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as own:
        return own.fileno()
