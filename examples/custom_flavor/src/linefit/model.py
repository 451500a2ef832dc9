"""The library: a line that is fitted to points."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Line:
    """``y = slope * x + intercept``."""

    slope: float
    intercept: float

    @classmethod
    def fit(cls, x: Any, y: Any) -> Line:
        away = np.asarray(x, dtype=float) - np.mean(x)
        slope = float(away @ np.asarray(y, dtype=float) / (away @ away))
        return cls(slope, float(np.mean(y)) - slope * float(np.mean(x)))

    def at(self, x: Any) -> Any:
        return self.slope * np.asarray(x, dtype=float) + self.intercept

    def write(self, file: Path) -> None:
        text = json.dumps({"slope": self.slope, "intercept": self.intercept})
        file.write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Line:
        return cls(**json.loads(file.read_text(encoding="utf-8")))
