"""Fixtures and profiles shared by all tests."""

from __future__ import annotations

import gc
import importlib.util
import logging
import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, settings

settings.register_profile(
    "dev", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", parent=settings.get_profile("dev"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

BROWSER_TESTS = [Path(__file__).parent / room / "browser" for room in ("functions", "serving")]
SPARK_TESTS = Path(__file__).parent / "distributed" / "spark"
RAY_TESTS = Path(__file__).parent / "distributed" / "ray"
SKINNY_TESTS = Path(__file__).parent / "tracking" / "skinny"
KUBERNETES_TESTS = Path(__file__).parent / "distributed" / "kubernetes"
PIPELINE_TESTS = Path(__file__).parent / "flavors" / "pipelines"
PMDARIMA_TESTS = Path(__file__).parent / "flavors" / "test_pmdarima_by_mlflow.py"
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
        "--kills",
        type=int,
        default=25,
        help="how many runs tests/functions/test_store.py kills at random moments",
    )
    parser.addoption(
        "--upload-kills",
        type=int,
        default=6,
        help="how many saves to a store tests/stores/test_uploads.py kills at random moments",
    )
    parser.addoption(
        "--skinny",
        help="an interpreter with mlflow-skinny and without mlflow, which logs models too",
    )
    parser.addoption(
        "--browser",
        action="store_true",
        help="run the tests of the pages too; they need chromium and chromedriver",
    )
    parser.addoption(
        "--spark",
        choices=["local", "standalone", "connect"],
        help="run the tests of Spark in such a session too; they need pyspark and Java",
    )
    parser.addoption(
        "--ray", action="store_true", help="run the tests of Ray too; they start a cluster of it"
    )
    parser.addoption(
        "--kubernetes",
        action="store_true",
        help="run the tests with a server of the Kubernetes API too; they need kmock and kubectl",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the tests that need a browser, a cluster or a large library to runs that ask."""
    wanted = {folder: config.getoption("--browser") for folder in BROWSER_TESTS}
    wanted[SPARK_TESTS] = config.getoption("--spark")
    wanted[RAY_TESTS] = config.getoption("--ray")
    wanted[SKINNY_TESTS] = config.getoption("--skinny")
    wanted[KUBERNETES_TESTS] = config.getoption("--kubernetes")
    libraries = config.getoption("--libraries").split(",")
    wanted[PIPELINE_TESTS] = "transformers" in libraries
    wanted[PMDARIMA_TESTS] = "pmdarima" in libraries
    return None if wanted.get(collection_path, True) else True


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


ModelMaker = Callable[..., Path]


def write_tree(root: Path, files: Mapping[str, str | bytes]) -> None:
    for relative, content in files.items():
        path = root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(textwrap.dedent(content), encoding="utf-8")


@pytest.fixture
def write_files() -> Callable[[Path, Mapping[str, str | bytes]], None]:
    """Return a function that writes a tree of files, with their text dedented."""
    return write_tree


@pytest.fixture
def hand_made(tmp_path: Path) -> ModelMaker:
    """Return a function that writes a model directory file by file, without a manifest."""
    made: list[Path] = []

    def make(
        section: Mapping[str, Any],
        files: Mapping[str, str | bytes] | None = None,
        top: Mapping[str, Any] | None = None,
    ) -> Path:
        root = tmp_path / f"hand-made-{len(made)}"
        made.append(root)
        content = {
            "flavors": {"python_function": dict(section)},
            "mlflow_version": "3.17.2",
            "model_uuid": "0" * 32,
            "utc_time_created": "2026-01-01 00:00:00.000000",
            **(top or {}),
        }
        write_tree(root, {"MLmodel": yaml.safe_dump(content), **(files or {})})
        return root

    return make


def import_state() -> dict[str, Any]:
    return {
        "path": list(sys.path),
        # Libraries add finders of their own when they are first imported.
        "meta_path": [str(f) for f in sys.meta_path if "pyfunc.code." in str(f)],
        "path_hooks": list(sys.path_hooks),
        "ours": sorted(name for name in sys.modules if name.startswith("_pyfunc")),
    }


@pytest.fixture
def unchanged_imports() -> Iterator[None]:
    """Fail if the import system is not afterwards as it was before."""
    gc.collect()  # a model that an exception of a test refers to is open until then
    before = import_state()
    yield
    gc.collect()
    assert import_state() == before


def listing(root: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for folder, folders, names in os.walk(root):
        for name in [*folders, *names]:
            path = Path(folder, name)
            status = path.lstat()
            found[path.relative_to(root).as_posix()] = (status.st_size, status.st_mtime_ns)
    return found


@pytest.fixture
def list_tree() -> Callable[[Path], dict[str, tuple[int, int]]]:
    """Return a function that says what is below a folder, with sizes and times."""
    return listing


# Rooms whose tests say what happens where nothing is set.
_WITHOUT_SETTINGS = frozenset({"code", "loading", "model", "saving"})


@pytest.fixture(autouse=True, scope="module")
def _environment_as_it_was() -> Iterator[None]:
    """Undo what MLflow sets for the whole process: its experiment, and that it is a server."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ) if request.path.parent.name in _WITHOUT_SETTINGS else ():
            if name.startswith(("MLFLOW_", "_MLFLOW_", "PYFUNC_")):
                patch.delenv(name)
        yield


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Return a certificate of this machine and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certfile, keyfile = tmp_path / "cert.pem", tmp_path / "key.pem"
    certfile.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    keyfile.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certfile, keyfile
