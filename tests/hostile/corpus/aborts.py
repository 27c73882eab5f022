# aborts its process | 47 | judge: a dead worker is a failed test | always harmless: only its own process | 0 crashed
import os

os.abort()
