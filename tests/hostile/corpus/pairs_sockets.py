# makes a pair of sockets, as event loops do | 58 | seccomp | seccomp@full | 100
import socket


def attack():
    return [end.fileno() for end in socket.socketpair()]
