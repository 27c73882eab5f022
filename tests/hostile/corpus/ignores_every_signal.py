# ignores every signal, then never ends | 37 | judge: SIGKILL to the namespace's first process | not switched off: nothing ignores it | 0 timeout
import contextlib
import signal

for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    with contextlib.suppress(OSError):
        signal.signal(number, signal.SIG_IGN)
while True:
    pass
