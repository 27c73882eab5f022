# asks for another scheduling class | 50 | seccomp | seccomp@full | 100
import os


def attack():
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    return "scheduled"
