"""The checks of this project. `.ci/run` runs those of one Python; `nox` lists them all."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "types", "tests", "plain", "interop(3.17.2)", "wheel"]

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
CHECKED = ["pyfunc", "tests", "benchmarks", "examples/quickstart.py", "noxfile.py"]
# What the tests of parts need; those of all need the extra ``dev``.
TEST_TOOLS = ["pytest", "pytest-timeout", "hypothesis", "pyarrow", "polars", "pydantic"]
HEAVY = [
    "catboost",
    "keras",
    "prophet",
    "sentence_transformers",
    "spacy",
    "tensorflow",
    "transformers",
]
# The lowest versions that setup.cfg admits; the highest are what pip finds by itself.
LOWEST = ["pandas==2.2.0", "numpy==1.26.4", "scipy==1.11.4"]


@nox.session
def lint(session: nox.Session) -> None:
    """Style and format."""
    session.install("ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types, strictly."""
    session.install("-e", ".[dev]")
    session.run("mypy", *CHECKED)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """All tests, on every Python that is found."""
    session.install("-e", ".[dev]")
    session.run("pytest", *session.posargs)


@nox.session(python="3.10")
def lowest(session: nox.Session) -> None:
    """The golden models and the schema tables on the lowest supported versions."""
    session.install(".[sklearn]", *TEST_TOOLS, *LOWEST)
    session.run("pytest", "tests/golden", "tests/schema", *session.posargs)


@nox.session(python=["3.10", "3.11"])
def plain(session: nox.Session) -> None:
    """The golden models where MLflow is not installed."""
    session.install(".[sklearn]", *TEST_TOOLS)
    session.run("python", "-c", _WITHOUT_MLFLOW)
    session.run("pytest", "tests/golden", *session.posargs)


@nox.session
@nox.parametrize("mlflow", ["3.17.2", "2.22.0", "2.14.3"], ids=["3.17.2", "2.22.0", "2.14.3"])
def interop(session: nox.Session, mlflow: str) -> None:
    """Models saved here, loaded by a real MLflow that cannot import this library."""
    theirs = Path(session.create_tmp()).resolve() / "mlflow"
    session.run("python", "-m", "venv", "--clear", str(theirs))
    older = ["pandas<3", "setuptools<80"] if mlflow.startswith("2.") else []
    python = str(theirs / "bin" / "python")
    session.run(
        python, "-m", "pip", "install", "-q", f"mlflow=={mlflow}", "pydantic", *older,
        external=True,
    )  # fmt: skip
    session.install(".[sklearn]", *TEST_TOOLS, *older[:1])
    session.run(
        "pytest", "tests/interop/test_models_in_mlflow.py", *session.posargs,
        env={"PYFUNC_MLFLOW_PYTHON": python},
    )  # fmt: skip


@nox.session
def heavy(session: nox.Session) -> None:
    """The flavors of libraries that are too large for every run, in both directions."""
    session.install(
        f".[{','.join(HEAVY)}]", "mlflow==3.17.2", "tf-keras", *TEST_TOOLS,
    )  # fmt: skip
    libraries = "--libraries=" + ",".join(HEAVY)
    session.run("pytest", "tests/flavors/test_models.py", libraries, *session.posargs)


@nox.session
@nox.parametrize(
    "release",
    [("0.10.3", "0.10.2"), ("0.13.4", "0.13.0"), ("0.15.11", "0.15.2")],
    ids=["0.10", "0.13", "0.15"],
)
def digitalhub(session: nox.Session, release: tuple[str, str]) -> None:
    """Documents of functions and runs written here, read by the real packages."""
    theirs = Path(session.create_tmp()).resolve() / "digitalhub"
    session.run("python", "-m", "venv", "--clear", str(theirs))
    python = str(theirs / "bin" / "python")
    packages = [f"digitalhub=={release[0]}", f"digitalhub-runtime-python=={release[1]}"]
    session.run(python, "-m", "pip", "install", "-q", *packages, external=True)
    session.install(".[sklearn]", *TEST_TOOLS)
    session.run(
        "pytest", "tests/functions/test_documents_in_digitalhub.py", *session.posargs,
        env={"PYFUNC_DIGITALHUB_PYTHON": python},
    )  # fmt: skip


@nox.session
def example(session: nox.Session) -> None:
    """The package with a flavor of its own, installed as its authors would install it."""
    session.install(".", "./examples/custom_flavor", *TEST_TOOLS)
    with session.chdir("examples/custom_flavor"):
        session.run("pytest", *session.posargs, "tests")


@nox.session
def wheel(session: nox.Session) -> None:
    """The wheel built from the sdist is complete and works without the repository."""
    session.install("build")
    with tempfile.TemporaryDirectory() as folder:
        session.run("python", "-m", "build", "--outdir", folder, ".", silent=True)
        built = next(Path(folder).glob("*.whl"))
        session.run("python", "tests/packaging/check_wheel.py", str(built))
        session.install(f"{built}[sklearn]")
        quickstart = Path(folder, "quickstart.py")
        shutil.copy("examples/quickstart.py", quickstart)
        with session.chdir(folder):
            session.run("python", str(quickstart))


@nox.session
def bench(session: nox.Session) -> None:
    """Times beside MLflow, in one run on this machine."""
    session.install("-e", ".[dev]")
    session.run("python", "-m", "benchmarks", *session.posargs)


_WITHOUT_MLFLOW = """
import importlib.util, sys
sys.exit("mlflow is installed" if importlib.util.find_spec("mlflow") else 0)
"""

os.environ.setdefault("PIP_DISABLE_PIP_VERSION_CHECK", "1")
