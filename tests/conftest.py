"""Fixtures and profiles shared by all tests."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "dev", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", parent=settings.get_profile("dev"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

BROWSER_TESTS = Path(__file__).parent / "serving" / "browser"
# Where the extra ``dev`` installs torch, a run without it fails. Elsewhere its builds can be
# gigabytes, so its tests are there for those who have installed one.
HAS_TORCH = importlib.util.find_spec("torch") is not None
NEEDS_TORCH = sys.platform == "linux" and sys.version_info[:2] == (3, 11)
DEV_LIBRARIES = "sklearn,xgboost,lightgbm,onnx,statsmodels,torch"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--libraries",
        default=DEV_LIBRARIES,
        help="folders of tests/data/flavors whose models tests/flavors/test_models.py tries",
    )
    parser.addoption(
        "--browser",
        action="store_true",
        help="run the tests of the server's page too; they need chromium and chromedriver",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the tests that need a browser to the runs that ask for them."""
    wanted = config.getoption("--browser")
    return True if collection_path == BROWSER_TESTS and not wanted else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests of torch where it is neither installed nor to be installed."""
    if HAS_TORCH or NEEDS_TORCH:
        return
    config.hook.pytest_deselected(items=[item for item in items if _is_of_torch(item)])
    items[:] = [item for item in items if not _is_of_torch(item)]


def _is_of_torch(item: pytest.Item) -> bool:
    return item.get_closest_marker("torch") is not None


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Undo what libraries do to logging when first used, such as switching loggers off."""
    root = logging.getLogger()
    level, disabled = root.level, root.manager.disable
    yield
    root.setLevel(level)
    logging.disable(disabled)
    for name, logger in list(root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger):
            logger.disabled = False
            if name.partition(".")[0] == "pyfunc":
                logger.propagate = True
                logger.setLevel(logging.NOTSET)
