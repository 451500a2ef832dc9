"""Models in stores: saved to, loaded from, and looked at where they are."""

from __future__ import annotations

import shutil
import subprocess
import sys
import traceback
import uuid
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from sklearn.linear_model import LinearRegression

import pyfunc
import pyfunc.flavors.sklearn
from pyfunc.env import check, infer_requirements
from pyfunc.errors import StoreError

Words = Callable[..., dict[str, Any]]
REGISTERED = sys.modules["fsspec.registry"].__dict__["_registry"]  # the classes that were used


@pytest.fixture(params=["s3", "memory", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a place where nothing is, in each kind of store."""
    if request.param == "s3":
        return f"{request.getfixturevalue('s3')}/deep/model"
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}/model"
    return (tmp_path / "a model").as_uri()


def test_a_model_is_saved_to_a_store_and_loaded_from_it(place: str, words: Words) -> None:
    pyfunc.save_model(place, **words())
    seen: list[tuple[int, int]] = []
    model = pyfunc.load_model(place, verify="require", progress=lambda *at: seen.append(at))
    assert model.predict([1, 2]) == ["first-00", "first-01"]
    assert seen[-1][0] == seen[-1][1]


@pytest.mark.parametrize(
    "door",
    [
        pytest.param(pyfunc.flavors.sklearn.load_model, id="flavor"),
        pytest.param(pyfunc.inspect, id="inspect"),
        pytest.param(pyfunc.verify, id="verify"),
        pytest.param(pyfunc.get_model_dependencies, id="dependencies"),
        pytest.param(pyfunc.Model.load, id="Model.load"),
        pytest.param(lambda url: pyfunc.Model.load(f"{url}/MLmodel"), id="Model.load-of-the-file"),
        pytest.param(check, id="env.check"),
        pytest.param(infer_requirements, id="env.infer_requirements"),
    ],
)
def test_every_door_takes_a_store(place: str, door: Callable[[str], object]) -> None:
    estimator = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    pyfunc.flavors.sklearn.save_model(estimator, place, pip_requirements=["scikit-learn"])
    assert door(place) is not None


def test_the_command_takes_a_store(
    s3: str, s3_settings: dict[str, str], tmp_path: Path, words: Words
) -> None:
    pyfunc.save_model(f"{s3}/model", **words())
    command = [sys.executable, "-m", "pyfunc", "verify", f"{s3}/model"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "are as they were saved" in done.stdout


def test_mlflow_loads_a_model_from_the_store(s3: str, s3_settings: dict[str, str]) -> None:
    estimator = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    pyfunc.flavors.sklearn.save_model(estimator, f"{s3}/model", pip_requirements=["scikit-learn"])
    code = (
        "import sys, mlflow.pyfunc\n"
        "model = mlflow.pyfunc.load_model(sys.argv[1], suppress_warnings=True)\n"
        "print(float(model.predict([[3.0]])[0]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, f"{s3}/model"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(3.0)


def test_a_place_that_is_taken_is_refused_and_kept(place: str, words: Words) -> None:
    pyfunc.save_model(place, **words("first"))
    with pytest.raises(pyfunc.SaveConflictError, match="overwrite=True"):
        pyfunc.save_model(place, **words("second"))
    assert pyfunc.load_model(place, verify="require").predict([1]) == ["first-00"]


def test_overwriting_leaves_nothing_of_the_old_model(place: str, words: Words) -> None:
    pyfunc.save_model(place, **words("first"), input_example=["a", "b"])
    pyfunc.save_model(place, **words("second"), overwrite=True)
    assert pyfunc.load_model(place, verify="require").predict([1]) == ["second-0"]
    assert "input_example.json" not in pyfunc.inspect(place).files


def test_a_file_is_no_place_for_a_model(s3: str, words: Words) -> None:
    fsspec.filesystem("s3").pipe_file(f"{s3[5:]}/file", b"x")
    with pytest.raises(pyfunc.SaveConflictError, match="is a file"):
        pyfunc.save_model(f"{s3}/file", **words(), overwrite=True)


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/", "gs://bucket", "memory://"])
def test_the_root_of_a_store_is_no_place(
    url: str, words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REGISTERED, "gs", MemoryFileSystem)  # as if its package were there
    with pytest.raises(pyfunc.SaveConflictError, match="is the root of a store"):
        pyfunc.save_model(url, **words(), overwrite=True)


def test_nothing_in_a_store_is_no_model(s3: str) -> None:
    with pytest.raises(pyfunc.ModelNotFoundError, match="nothing found at s3://"):
        pyfunc.load_model(f"{s3}/none")


def test_a_store_that_fails_is_an_error_of_ours(
    s3: str, words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoreError, match="s3://no-such-bucket-of-ours/m"):
        pyfunc.save_model("s3://no-such-bucket-of-ours/m", **words())


def test_no_credentials_in_an_error() -> None:
    word = "geheim"
    with pytest.raises(pyfunc.PyfuncError) as caught:
        pyfunc.load_model(f"told-nobody://user:{word}@host/model?token={word}")
    assert word not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("url", "package"),
    [
        pytest.param("gs://b/m", "gcsfs", id="gs"),
        pytest.param("abfs://c@account.dfs.core.windows.net/m", "adlfs", id="abfs"),
        pytest.param("az://c/m", "adlfs", id="az"),
        pytest.param("hf://user/repository", "huggingface_hub", id="hf"),
        pytest.param("s3://b/m", "s3fs", id="s3"),
    ],
)
def test_a_missing_package_is_named(
    url: str, package: str, words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    monkeypatch.delitem(REGISTERED, url.partition(":")[0], raising=False)
    for use in (pyfunc.load_model, lambda place: pyfunc.save_model(place, **words())):
        with pytest.raises(pyfunc.MissingDependencyError) as caught:
            use(url)
        assert caught.value.install == f"pip install {package}"


def test_without_fsspec_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)  # as if it were not installed
    with pytest.raises(pyfunc.MissingDependencyError) as caught:
        pyfunc.load_model("s3://b/m")
    assert caught.value.install == "pip install 'pyfunc-format[stores]'"


def test_a_tree_of_artifacts_comes_from_a_store(s3: str, tmp_path: Path, words: Words) -> None:
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    (tree / "below" / "x").write_text("deep")
    fsspec.filesystem("s3").put(str(tree), f"{s3[5:]}/tree", recursive=True)
    shutil.rmtree(tree)
    arguments = words()
    arguments["artifacts"]["tree"] = f"{s3}/tree"
    pyfunc.save_model(tmp_path / "model", **arguments)
    assert (tmp_path / "model" / "artifacts" / "tree" / "below" / "x").read_text() == "deep"


def test_a_model_is_loaded_from_a_web_server(tmp_path: Path, words: Words) -> None:
    pyfunc.save_model(tmp_path / "model", **words())
    handler = partial(QuietHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/model"
        assert pyfunc.load_model(url, verify="require").predict([1]) == ["first-00"]
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
