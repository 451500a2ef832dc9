"""Fixtures and profiles shared by all tests."""

from __future__ import annotations

import logging
import os
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


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Undo what libraries do to logging when first used, such as switching loggers off."""
    root = logging.getLogger()
    level, disabled = root.level, root.manager.disable
    yield
    root.setLevel(level)
    logging.disable(disabled)
    for name, logger in list(root.manager.loggerDict.items()):
        if name.partition(".")[0] == "pyfunc" and isinstance(logger, logging.Logger):
            logger.disabled, logger.propagate = False, True
            logger.setLevel(logging.NOTSET)
