"""Puts the root of the repository on the path, where the suite lies that these tests try."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
