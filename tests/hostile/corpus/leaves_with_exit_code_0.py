# leaves with exit code 0 while it is imported | 15 | judge: an exit code is no verdict | one process: exit code | 0 crashed
import os

os._exit(0)
