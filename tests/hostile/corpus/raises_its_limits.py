# raises its own limits | 59 | seccomp: limits are read and not set | seccomp@full | 100
import resource


def attack():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return "set"
