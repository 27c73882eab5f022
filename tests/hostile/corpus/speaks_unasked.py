# writes to its channel before it is asked | 24 | judge: looks before it asks | not switched off: unit test of the session | 0 crashed
import os

os.write(3, bytes(64))
