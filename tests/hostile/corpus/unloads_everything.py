# empties the table of modules and the builtins | 27 | process split: its interpreter is its own | always harmless: only its own process | 0 failed/crashed
import builtins
import sys

sys.modules.clear()
builtins.__dict__.clear()
