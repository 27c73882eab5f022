# stops itself by SIGSTOP | 37 | judge: SIGKILL ends what is stopped | not switched off: nothing ignores it | 0 timeout
import os
import signal

os.kill(os.getpid(), signal.SIGSTOP)
