# types a command into the grader's terminal (TIOCSTI) | 54 | seccomp: not among the ioctls; no terminal | not switched off: it has no terminal | 100
import fcntl
import termios


def attack():
    fcntl.ioctl(0, termios.TIOCSTI, b"x")
    return "typed"
