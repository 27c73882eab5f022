# connects to a port of this machine | 58 | seccomp; namespaces: no network but its own | seccomp+landlock@landlock | 100
import socket


def attack():
    with socket.socket() as own:
        own.settimeout(1)
        return own.connect_ex(("127.0.0.1", 9)) == 111
