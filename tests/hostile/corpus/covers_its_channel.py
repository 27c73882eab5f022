# puts another file in the place of its channel | 24 | judge: a worker that is gone has failed | always harmless: only its own channel | 0 crashed/timeout
import os

os.dup2(0, 3)
