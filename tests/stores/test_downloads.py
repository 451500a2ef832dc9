"""A download is complete, verified before it runs, and goes on where it was cut off."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

import pyfunc
from pyfunc.errors import ModelPathError, StoreError
from pyfunc.files import downloads

URL = "memory://bucket/model"
Words = Callable[..., dict[str, Any]]


def sizes_in(told: Any) -> list[int]:
    return [told.files.size(path) for path in told.files.find("/bucket/model")]


@pytest.fixture
def saved(told: Any, words: Words) -> Any:
    """Return the store with a model in it."""
    pyfunc.save_model(URL, **words())
    told.done.clear()
    return told


def test_a_download_that_was_cut_off_goes_on_where_it_ended(
    saved: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_BLOCK", 100)  # many steps of a small model
    for step in (3, 30, 60):
        done = iter(range(10_000))

        def before(what: str, name: str, done: Any = done, step: int = step) -> None:
            if what == "get" and next(done) >= step:
                raise OSError("the line is dead")

        saved.before = before
        with pytest.raises(StoreError, match="the line is dead"):
            pyfunc.load_model(URL, dst_path=str(tmp_path))
        assert not (tmp_path / "model").exists()
    fetched = len(saved.gets)
    assert fetched >= 3 + 30 + 60
    saved.before = lambda *_: None
    seen: list[int] = []
    model = pyfunc.load_model(URL, dst_path=str(tmp_path), progress=lambda at, _: seen.append(at))
    assert model.predict([1]) == ["first-00"]
    blocks = sum(-(-size // 100) for size in sizes_in(saved))
    assert len(saved.gets) == blocks  # no block twice
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_was_begun_is_dropped_when_the_store_has_another_model(
    saved: Any, words: Words, tmp_path: Path
) -> None:
    saved.before = lambda what, name: 1 / (name != "MLmodel")
    with pytest.raises(StoreError):
        pyfunc.load_model(URL, dst_path=str(tmp_path))
    saved.before = lambda *_: None
    pyfunc.save_model(URL, **words("second"), overwrite=True)
    model = pyfunc.load_model(URL, dst_path=str(tmp_path), verify="require")
    assert model.predict([1]) == ["second-0"]


def test_a_model_that_changes_while_it_is_downloaded_is_no_model(
    saved: Any, words: Words, tmp_path: Path
) -> None:
    other = words("second")

    def before(what: str, name: str) -> None:
        if (what, name) == ("get", "MLmodel"):
            saved.before = lambda *_: None
            pyfunc.save_model(URL, **other, overwrite=True)

    saved.before = before
    with pytest.raises((pyfunc.ModelIntegrityError, StoreError)):
        pyfunc.load_model(URL, dst_path=str(tmp_path))
    assert not (tmp_path / "model").exists()
    model = pyfunc.load_model(URL, dst_path=str(tmp_path), verify="require")
    assert model.predict([1]) == ["second-0"]


class Tell(pyfunc.PythonModel):
    """A model that leaves a file when any code of it runs."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __setstate__(self, state: dict[str, Any]) -> None:
        Path(state["mark"]).write_text("ran")
        self.__dict__.update(state)

    def predict(self, context: pyfunc.PythonModelContext, model_input: Any) -> Any:
        return model_input


def test_nothing_runs_before_all_is_verified(told: Any, tmp_path: Path) -> None:
    mark, data = tmp_path / "mark", tmp_path / "data.txt"
    data.write_text("as saved")
    pyfunc.save_model(
        URL,
        python_model=Tell(str(mark)),
        artifacts={"data": data},
        pip_requirements=["pandas"],
        signature=False,
    )
    mark.unlink(missing_ok=True)
    fsspec.filesystem("memory").pipe_file("/bucket/model/artifacts/data.txt", b"AS saved")
    with pytest.raises(pyfunc.ModelIntegrityError) as caught:
        pyfunc.load_model(URL)
    assert caught.value.modified == ("artifacts/data.txt",)
    assert not mark.exists()
    assert pyfunc.inspect(URL).integrity == "modified"


@pytest.mark.parametrize(
    "name", ["../evil.txt", "a/../../evil.txt", "a\\evil.txt", "~x", "C:evil"]
)
def test_a_name_that_leads_elsewhere_is_refused(saved: Any, tmp_path: Path, name: str) -> None:
    from fsspec.implementations.memory import MemoryFile

    path = f"/bucket/model/{name}"
    saved.files.store[path] = MemoryFile(saved.files, path, b"x")
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(ModelPathError):
        pyfunc.load_model(URL, dst_path=str(folder))
    assert list(folder.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_files_are_fetched_side_by_side(saved: Any) -> None:
    together = threading.Barrier(4)
    waiting = iter(range(4))

    def before(what: str, name: str) -> None:
        if what == "get" and next(waiting, None) is not None:
            together.wait(timeout=60)

    saved.before = before
    assert pyfunc.load_model(URL).predict([1]) == ["first-00"]


def test_progress_counts_every_byte_once(saved: Any, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    pyfunc.load_model(URL, dst_path=str(tmp_path), progress=lambda *at: seen.append(at))
    total = sum(sizes_in(saved))
    copied = seen[: seen.index((total, total)) + 1]
    assert [at for at, _ in copied] == sorted(at for at, _ in copied)
    assert {of for _, of in copied} == {total}
    assert seen[-1][0] == seen[-1][1]


def test_a_cache_is_asked_by_digest(
    saved: Any, words: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("PYFUNC_MODEL_CACHE", str(cache))  # what is tested
    assert pyfunc.load_model(URL).predict([1]) == ["first-00"]
    digest = pyfunc.verify(URL).digest
    assert [path.name for path in cache.iterdir()] == [digest]
    saved.done.clear()
    assert pyfunc.load_model(URL, trust="digest", expected_digest=digest).predict([1])
    assert saved.gets == [".pyfunc/manifest.json"]
    (cache / digest / "MLmodel").write_text("cut")
    assert pyfunc.load_model(URL, verify="require").predict([1]) == ["first-00"]
    pyfunc.save_model(URL, **words("second"), overwrite=True)
    assert pyfunc.load_model(URL, verify="require").predict([1]) == ["second-0"]
    assert len(list(cache.iterdir())) == 2


def test_a_cached_model_whose_bytes_were_changed_is_refused(
    saved: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYFUNC_MODEL_CACHE", str(tmp_path))  # what is tested
    pyfunc.load_model(URL)
    kept = next(tmp_path.iterdir())
    assert kept.name == hashlib.sha256((kept / ".pyfunc/manifest.json").read_bytes()).hexdigest()
    file = kept / "python_model.pkl"
    file.write_bytes(file.read_bytes()[::-1])
    with pytest.raises(pyfunc.ModelIntegrityError):
        pyfunc.load_model(URL)


def test_a_model_without_a_manifest_is_not_kept(
    saved: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYFUNC_MODEL_CACHE", str(tmp_path))  # what is tested
    fsspec.filesystem("memory").rm_file("/bucket/model/.pyfunc/manifest.json")
    assert pyfunc.load_model(URL).predict([1]) == ["first-00"]
    assert list(tmp_path.iterdir()) == []


def test_two_downloads_to_one_place_do_not_mix(saved: Any, tmp_path: Path) -> None:
    """The second begins while the first is in the middle."""
    inner: list[list[str]] = []

    def before(what: str, name: str) -> None:
        if (what, name) == ("get", "MLmodel"):
            saved.before = lambda *_: None
            model = pyfunc.load_model(URL, dst_path=str(tmp_path), verify="require")
            inner.append(model.predict([1]))

    saved.before = before
    outer = pyfunc.load_model(URL, dst_path=str(tmp_path), verify="require").predict([1])
    assert [outer] == inner == [["first-00"]]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
