"""The records of a class that never was, and its hostile texts, are shared with the tests of the reports."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "reports"))
