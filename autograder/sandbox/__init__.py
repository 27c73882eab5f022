"""Processes that may run anybody's code, and how that is enforced.

Theory of operation
===================

Four processes take part. Only the last one ever sees a byte of a submission.

    orchestrator ──starts──▶ outer wall ──▶ zygote ──forks──▶ worker
         │                   (bubblewrap)    ▲  imports torch     ▲ the student's, wholly
         └──starts──▶ judge ─────control─────┘                    │
                        └────────────────channel──────────────────┘

The *orchestrator* calls `start`, waits for `Zygote.ready`, and starts a judge that inherits `Zygote.fileno()`. The
*judge* calls `attach` on it and asks the `Forker` for workers. The *zygote* imports torch, the distributions that a
submission may import and our worker's own code; then it forks on request, in about 20 ms where a new interpreter takes
two seconds. The *worker* locks itself down, writes one byte, and calls `autograder.worker.serve(3)`; from its first
question on it belongs to the student.

Who holds what
--------------
- The control socket (SOCK_SEQPACKET) joins judge and zygote. It carries fixed-size requests, and with each request for
  a worker two file descriptors: the worker's end of its channel and the pipe for what it prints. The zygote passes
  them on unread. `Forker` asks one question at a time; `attach` first ends whatever an earlier judge left behind.
- The lifeline is the zygote's standard input: a pipe that only the orchestrator holds open. When the orchestrator ends,
  however it ends, the zygote ends every worker and itself.
- A worker has four descriptors: 0 is empty, 1 and 2 are its output, 3 is its channel. The judge drains the output
  while it waits, keeps the end of it, and stops listening to a worker that prints more than 64 MiB.
- Nobody outside opens a path that a worker can write to, but to see how much is in it and to remove it (`scratch`).

What each layer buys
--------------------
- *Outer wall* (`walls`, level full): a root file system in which hidden tests, references, other submissions, other
  packages and the user's files are absent, not forbidden. No network. The interpreter lies under /python without its
  package directories, each distribution under /runtime, bound one by one; both are read-only.
- *User id* (`namespaces.drop`): where the orchestrator is root, the zygote takes a user id of its own before it imports
  anything. bubblewrap's --uid alone would not do: a root-owned private file could still be read.
- *Namespaces* (`namespaces.enter`, level full): each worker has its own processes, /tmp (64 MiB, 4096 files, nothing
  executable), an empty /proc, and no network, IPC, or sight of other workers. Its process 1 is ours: killing that ends
  everything that the worker started.
- *Landlock* (`landlock`): which files can be opened, whatever the mount table says. At level landlock it replaces the
  outer wall; what then still leaks is the existence, size and age of files (`stat`). Each worker has a directory of its
  own under the system's temporary one; its zygote looks a few times a second, and ends what fills it.
- *System calls* (`seccomp`): an allow-list. No processes, no sockets, no passing of descriptors, no new kernel surface,
  and nothing that changes a file without opening it, which Landlock would not notice.
- *Limits* (`limits`): address space, data, CPU time, file size, open files, threads.
- *Self-test* (`selftest`): before `Zygote.fileno` gives anything away, one worker tries what must fail. If anything
  succeeds, `SandboxError`: nothing runs at a level that does not hold. Tests can leave a layer out (`Settings.has`), to
  show what it is for; such a sandbox gets no further than this.

What is promised to those who grade with it, and what is not, stands in `SECURITY.md` beside this file.

Levels
------
`full` is all of it. `landlock` needs no namespaces, so it works in ordinary containers and on Slurm nodes. `gpu` is
landlock without the filter on system calls and without a bound on memory, and with NVIDIA's devices, /proc and /sys: a
driver needs all that. What holds is that hidden files cannot be read; the driver's own holes, other users' processes
and the network are open, so it is asked for twice, and for one submission at a time on a machine without secrets. The
zygote never touches the device: CUDA does not survive a fork. `subprocess` contains nothing and is for one's own code
only: `start_here` forks from the process that asks, and where there is no fork, an interpreter is started for each
worker and spoken to through pipes.
`isolation="fresh"` starts an interpreter for each worker under the same lock-down, as a cross-check: own memory layout,
nothing shared.

Traps, each met once
--------------------
- As root, bubblewrap must not make a user namespace: in one, `setgroups` and `setresuid` fail.
- bubblewrap makes missing parent directories for its owner alone: each is made by hand with --perms 0755.
- A process that is not dumpable cannot write its own uid_map: dumpable is switched on for that moment (`enter`).
- Killing bubblewrap does not end what is inside it; --die-with-parent would, but it fires when the *thread* that
  started it ends. So: lifeline, and as a last resort the first process of its namespace.
- Parent-death signals cannot be used where a middle process ends on purpose (level full); elsewhere they are.
- A fresh procfs cannot be mounted in a nested sandbox; an empty tmpfs over /proc can.
- RLIMIT_DATA does not count shared mappings; RLIMIT_AS does, but counts what torch maps too. Both start from where the
  zygote stands.
- Fork copies one thread. OpenBLAS starts others at import unless told not to, and a pool that once ran a parallel
  region hangs in the child: the zygote only imports, and refuses to fork when it has a second thread.
- torch chooses vector instructions by reading /sys; in a worker it could not, and would compute other last digits than
  outside. The zygote makes it choose.
- Python's -I ignores PYTHONHASHSEED. The order of sets must not differ from run to run, so the zygote runs with a
  cleared environment and -s -P instead.
- Importing torch._dynamo makes a cache directory, whose content torch would execute later. It is the zygote's own, and
  each worker is pointed to another.
"""

from autograder.sandbox.channel import Ended, Forker, Worker, attach
from autograder.sandbox.errors import SandboxError, TimedOut, WorkerGone
from autograder.sandbox.here import start_here
from autograder.sandbox.launch import LEVELS, Zygote, start
from autograder.sandbox.limits import Limits
from autograder.sandbox.machine import Layer, Report, Standing, probe

__all__ = [
    "LEVELS",
    "Ended",
    "Forker",
    "Layer",
    "Limits",
    "Report",
    "SandboxError",
    "Standing",
    "TimedOut",
    "Worker",
    "WorkerGone",
    "Zygote",
    "attach",
    "probe",
    "start",
    "start_here",
]
