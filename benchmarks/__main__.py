"""``python -m benchmarks``: every suite beside MLflow in one run; prints one table each."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path


def suites() -> dict[str, str]:
    """Return the modules beside this one that hold suites, by short name."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    return {name.removeprefix("bench_"): f"{__package__}.{name}" for name in names}


def main() -> None:
    """Print the tables of the suites that are named, or of all."""
    known = suites()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suite", nargs="*", help=f"some of: {', '.join(known)}")
    wanted = parser.parse_args().suite or list(known)
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        parser.error(f"no such suite: {', '.join(unknown)}")
    for name in wanted:
        module = importlib.import_module(known[name])
        print(f"\n## {name}\n\n{module.format_rows(module.rows())}", flush=True)


if __name__ == "__main__":
    main()
