# makes a pool of processes | 38 | seccomp: no semaphores, no processes | seccomp+landlock@landlock | 100
import multiprocessing


def attack():
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.map(abs, [-1])
