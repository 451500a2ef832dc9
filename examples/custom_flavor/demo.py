"""Saves a line by its type and loads it back, once `linefit` is installed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from linefit import Line

import pyfunc
import pyfunc.flavors


def main() -> None:
    line = Line.fit(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "line")
        pyfunc.flavors.save(line, path, input_example=np.array([4.0]))
        print("saved:", (path / "line.json").read_text())
        print("predicted:", np.round(pyfunc.load_model(path).predict(np.array([10.0])), 6))
        print("its own type again:", pyfunc.load_model(path).get_raw_model() == line)
        print("loaded by:", pyfunc.inspect(path).loader_module)


if __name__ == "__main__":
    main()
