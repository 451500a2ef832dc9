"""The manifest and what it finds (reliability 4.2)."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pyfunc.directory import opened as opened_module
from pyfunc.directory import verification as verification_module
from pyfunc.directory.manifest import MANIFEST_PATH, parse_manifest, read_manifest
from pyfunc.directory.opened import ModelFiles
from pyfunc.directory.verification import (
    build_manifest,
    find_files,
    refresh_manifest,
    verify_files,
    write_manifest,
)
from pyfunc.errors import (
    InvalidArgumentError,
    ModelFormatError,
    ModelIncompleteError,
    ModelIntegrityError,
    ModelNotFoundError,
    ModelPathError,
    PyfuncError,
    PyfuncWarning,
    UntrustedModelError,
)

FLIPS = int(os.environ.get("PYFUNC_FLIPS", "2000"))

CONTENTS = {
    "MLmodel": b"flavors: {}\n" * 40,
    "artifacts/deep/weights.bin": bytes(range(256)) * 20,
    "artifacts/empty": b"",
    "code/module.py": b"VALUE = 1\n" * 30,
    "code/package/__init__.py": b"",
    "conda.yaml": b"name: x\n",
    "python_model.pkl": random.Random(0).randbytes(1700),
    "requirements.txt": b"numpy",
}


def write_model(root: Path) -> Path:
    for name, content in CONTENTS.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    write_manifest(root)
    return root


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


def load(root: Path, **options: Any) -> bytes:
    """Do what a loader does: read what will run, verify the rest, return the pickle."""
    files = ModelFiles.open(root, **options)
    files.read("MLmodel", key="MLmodel")
    data = files.read("python_model.pkl", key="flavors.python_function.python_model")
    files.verify_all()
    return data


class TestFormat:
    """What is on disk."""

    def test_it_lists_every_file_but_itself(self, model: Path) -> None:
        (model / ".pyfunc/model.sig").write_text("{}")
        content = json.loads((model / MANIFEST_PATH).read_bytes())
        assert content["version"] == 1
        assert content["algorithm"] == "sha256"
        assert content["files"] == {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            for name, data in CONTENTS.items()
        }
        assert verify_files(model) == read_manifest(model) == build_manifest(model)

    def test_its_bytes_are_canonical(self, model: Path) -> None:
        data = (model / MANIFEST_PATH).read_bytes()
        content = json.loads(data)
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert data == canonical.encode()
        manifest = parse_manifest(data)
        assert manifest.to_bytes() == data
        assert manifest.digest == hashlib.sha256(data).hexdigest()
        sizes = {name: entry.size for name, entry in manifest.files.items()}
        assert sizes == {name: len(data) for name, data in CONTENTS.items()}

    def test_order_and_white_space_do_not_change_the_digest(self, model: Path) -> None:
        manifest = read_manifest(model)
        assert manifest is not None
        content = json.loads((model / MANIFEST_PATH).read_bytes())
        content["files"] = dict(reversed(content["files"].items()))
        (model / MANIFEST_PATH).write_text(json.dumps(content, indent=4))
        changed = read_manifest(model)
        assert changed is not None
        assert changed.digest == manifest.digest

    def test_the_digest_changes_with_any_file_and_not_with_the_place(
        self, model: Path, tmp_path: Path
    ) -> None:
        digest = build_manifest(model).digest
        shutil.copytree(model, tmp_path / "copy")
        assert build_manifest(tmp_path / "copy").digest == digest
        (tmp_path / "copy/requirements.txt").write_bytes(b"numpY")
        assert build_manifest(tmp_path / "copy").digest != digest
        os.rename(model / "requirements.txt", model / "constraints.txt")
        assert build_manifest(model).digest != digest

    def test_names_are_in_unicode_form_nfc(self, model: Path) -> None:
        decomposed = unicodedata.normalize("NFD", "artifacts/é.txt")
        (model / decomposed).write_bytes(b"x")
        written = write_manifest(model)
        assert "artifacts/é.txt" in written.files
        assert verify_files(model) == written
        files = ModelFiles.open(model)
        assert files.read(decomposed, key="artifacts.x.path") == b"x"

    @pytest.mark.parametrize(
        "names",
        [
            pytest.param(["a/é", "a/e\u0301"], id="unicode-forms"),
            pytest.param(["a/readme", "a/README"], id="case"),
            pytest.param(["Straße", "STRASSE"], id="case-folding"),
        ],
    )
    def test_names_that_are_one_on_other_systems_are_refused(
        self, tmp_path: Path, names: list[str]
    ) -> None:
        (tmp_path / "a").mkdir()
        for name in names:
            (tmp_path / name).write_text("")
        with pytest.raises(ModelPathError, match=r"differ in case only|Unicode forms"):
            build_manifest(tmp_path)

    @pytest.mark.parametrize("name", [b"\xff", b"a\\b", b"~x", b"c:d", b"%2e%2e%2fx"])
    def test_names_that_a_manifest_cannot_hold_are_refused(
        self, tmp_path: Path, name: bytes
    ) -> None:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb"):
            pass
        with pytest.raises(ModelPathError):
            build_manifest(tmp_path)

    def test_an_empty_directory_has_a_manifest(self, tmp_path: Path) -> None:
        assert write_manifest(tmp_path).files == {}
        assert verify_files(tmp_path).files == {}


class TestM1:
    """A changed bit in any file is found before anything is unpickled."""

    def test_every_flip_is_found(self, model: Path) -> None:
        names = [*(name for name, data in CONTENTS.items() if data), MANIFEST_PATH]
        chance = random.Random(1)
        silent = []
        for _ in range(FLIPS // 4):
            path = model / chance.choice(names)
            data = path.read_bytes()
            flipped = bytearray(data)
            bit = chance.randrange(len(data) * 8)
            flipped[bit // 8] ^= 1 << bit % 8
            path.write_bytes(flipped)
            for check in (load, verify_files):
                with suppress(ModelIntegrityError, ModelFormatError):
                    check(model)
                    silent.append((path.name, bit))
            path.write_bytes(data)
        assert silent == []
        load(model)

    @pytest.mark.parametrize("name", [name for name, data in CONTENTS.items() if data])
    def test_the_changed_file_is_named(self, model: Path, name: str) -> None:
        data = bytearray((model / name).read_bytes())
        data[-1] ^= 1
        (model / name).write_bytes(data)
        for check in (load, verify_files):
            with pytest.raises(ModelIntegrityError) as caught:
                check(model)
            assert caught.value.modified == (name,)
            assert caught.value.missing == caught.value.extra == ()
            assert f"modified after save: {name}" in str(caught.value)


class TestM2:
    """A changed size is found without hashing."""

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda path: os.truncate(path, 10), id="truncated"),
            pytest.param(lambda path: os.truncate(path, 0), id="emptied"),
            pytest.param(lambda path: path.write_bytes(b"other"), id="replaced"),
            pytest.param(lambda path: os.truncate(path, 10**9), id="grown"),
        ],
    )
    def test_by_its_size(
        self, model: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
    ) -> None:
        change(model / "artifacts/deep/weights.bin")

        def forbidden(*arguments: object, **named: object) -> None:
            raise AssertionError("something was hashed")

        monkeypatch.setattr(verification_module, "hash_files", forbidden)
        monkeypatch.setattr(opened_module, "open_regular_file", forbidden)
        with pytest.raises(ModelIntegrityError) as caught:
            load(model)
        assert caught.value.modified == ("artifacts/deep/weights.bin",)


class TestM3:
    """Missing and extra files."""

    def test_a_missing_file(self, model: Path) -> None:
        (model / "conda.yaml").unlink()
        for check in (load, verify_files):
            with pytest.raises(ModelIntegrityError) as caught:
                check(model)
            assert caught.value.missing == ("conda.yaml",)

    @pytest.mark.parametrize("name", ["extra.txt", "artifacts/deep/x", ".pyfunc/other", ".git/x"])
    def test_an_extra_file(self, model: Path, name: str) -> None:
        (model / name).parent.mkdir(exist_ok=True)
        (model / name).write_text("x")
        for check in (load, verify_files):
            with pytest.raises(ModelIntegrityError) as caught:
                check(model)
            assert caught.value.extra == (name,)
            with pytest.warns(PyfuncWarning, match="not in the manifest"):
                check(model, extra="warn")
            check(model, extra="ignore")

    @pytest.mark.parametrize("extra", ["error", "warn", "ignore"])
    @pytest.mark.parametrize("name", ["code/x.py", "code/__pycache__/module.cpython-311.pyc"])
    def test_an_extra_file_below_code_always_counts(
        self, model: Path, name: str, extra: str
    ) -> None:
        (model / name).parent.mkdir(exist_ok=True)
        (model / name).write_text("x")
        with pytest.raises(ModelIntegrityError) as caught:
            load(model, extra=extra)
        assert caught.value.extra == (name,)

    def test_an_extra_empty_directory_is_allowed(self, model: Path) -> None:
        (model / "code/empty").mkdir()
        load(model)

    def test_everything_wrong_is_reported_at_once(self, model: Path) -> None:
        (model / "conda.yaml").unlink()
        (model / "extra").write_text("")
        (model / "MLmodel").write_bytes(b"x")
        data = CONTENTS["python_model.pkl"]
        (model / "python_model.pkl").write_bytes(data[::-1])
        with pytest.raises(ModelIntegrityError) as caught:
            verify_files(model)
        assert caught.value.missing == ("conda.yaml",)
        assert caught.value.modified == ("MLmodel", "python_model.pkl")
        assert caught.value.extra == ("extra",)

    def test_a_file_that_is_not_listed_cannot_be_read(self, model: Path) -> None:
        (model / "extra.pkl").write_bytes(b"x")
        files = ModelFiles.open(model, extra="ignore")
        with pytest.raises(ModelIntegrityError) as caught:
            files.read("extra.pkl", key="flavors.python_function.python_model")
        assert caught.value.extra == ("extra.pkl",)


class TestM6:
    """A file that was replaced by something that is not a file."""

    @pytest.mark.parametrize("name", ["python_model.pkl", "code/module.py", "MLmodel"])
    def test_a_link_to_the_same_content(self, model: Path, name: str) -> None:
        (model / name).rename(model.parent / "same")
        (model / name).symlink_to(model.parent / "same")
        for check in (load, verify_files):
            with pytest.raises(ModelPathError, match="symbolic link"):
                check(model)

    def test_a_directory_that_is_a_link(self, model: Path) -> None:
        (model / "code").rename(model.parent / "code")
        (model / "code").symlink_to(model.parent / "code")
        for check in (load, verify_files):
            with pytest.raises(ModelPathError, match="symbolic link"):
                check(model)

    def test_a_manifest_that_is_a_link(self, model: Path) -> None:
        (model / MANIFEST_PATH).rename(model.parent / "manifest")
        (model / MANIFEST_PATH).symlink_to(model.parent / "manifest")
        with pytest.raises(ModelPathError):
            load(model)

    def test_a_fifo_is_not_waited_for(self, model: Path) -> None:
        (model / "conda.yaml").unlink()
        os.mkfifo(model / "conda.yaml")
        for check in (load, verify_files):
            with pytest.raises(ModelPathError, match="FIFO"):
                check(model)

    def test_a_link_that_appears_between_the_look_and_the_open(
        self, model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (model.parent / "same").write_bytes(CONTENTS["conda.yaml"])
        found = find_files(model)
        (model / "conda.yaml").unlink()
        (model / "conda.yaml").symlink_to(model.parent / "same")
        monkeypatch.setattr(verification_module, "find_files", lambda directory: found)
        with pytest.raises(ModelPathError):
            verify_files(model)


class TestM8:
    """A directory without a manifest, as MLflow writes it."""

    @pytest.fixture
    def plain(self, model: Path) -> Path:
        shutil.rmtree(model / ".pyfunc")
        return model

    def test_it_loads_with_unknown_integrity(self, plain: Path) -> None:
        files = ModelFiles.open(plain)
        assert files.read("python_model.pkl", key="k") == CONTENTS["python_model.pkl"]
        assert files.verify_all() == "unknown"
        assert files.integrity == "unknown"
        assert files.manifest is None

    def test_it_is_refused_where_a_manifest_is_required(self, plain: Path) -> None:
        with pytest.raises(ModelIntegrityError, match="no manifest"):
            ModelFiles.open(plain, verify="require")
        with pytest.raises(ModelIntegrityError, match="no manifest"):
            verify_files(plain)

    def test_the_manifest_can_be_skipped(self, model: Path) -> None:
        (model / "requirements.txt").write_text("changed")
        files = ModelFiles.open(model, verify="skip")
        assert files.read("requirements.txt", key="k") == b"changed"
        assert files.verify_all() == "unknown"

    def test_links_that_stay_inside_are_followed(self, plain: Path) -> None:
        (plain / "link").symlink_to("python_model.pkl")
        files = ModelFiles.open(plain)
        assert files.read("link", key="k") == CONTENTS["python_model.pkl"]


class TestM9:
    """An attacker who updates the manifest as well: only a pinned digest tells."""

    def test_a_pinned_digest_refuses(self, model: Path) -> None:
        pinned = build_manifest(model).digest
        ModelFiles.open(model).require_digest(pinned)
        ModelFiles.open(model).require_digest(pinned.upper())
        (model / "python_model.pkl").write_bytes(b"evil")
        refresh_manifest(model)
        assert load(model) == b"evil"
        with pytest.raises(UntrustedModelError, match=pinned):
            ModelFiles.open(model).require_digest(pinned)

    @pytest.mark.parametrize("digest", ["", "x", "0" * 64, "é"])
    def test_any_other_digest_refuses(self, model: Path, digest: str) -> None:
        with pytest.raises(UntrustedModelError):
            ModelFiles.open(model).require_digest(digest)

    def test_no_manifest_refuses(self, model: Path) -> None:
        shutil.rmtree(model / ".pyfunc")
        with pytest.raises(UntrustedModelError, match="no manifest"):
            ModelFiles.open(model).require_digest("0" * 64)


class TestM10:
    """A file that was changed on purpose: said so, and repaired by a refresh."""

    def test_refresh(self, model: Path) -> None:
        (model / "MLmodel").write_bytes(b"signature: changed\n")
        (model / "added.txt").write_text("x")
        (model / "conda.yaml").unlink()
        with pytest.raises(ModelIntegrityError, match="modified after save: MLmodel"):
            verify_files(model)
        refreshed = refresh_manifest(model)
        assert verify_files(model) == refreshed
        assert refreshed.files.keys() == {*CONTENTS, "added.txt"} - {"conda.yaml"}
        assert os.listdir(model / ".pyfunc") == ["manifest.json"]

    def test_a_plain_directory_gets_a_manifest(self, model: Path) -> None:
        shutil.rmtree(model / ".pyfunc")
        refresh_manifest(model)
        assert load(model, verify="require") == CONTENTS["python_model.pkl"]

    def test_a_directory_that_is_no_model_gets_none(self, tmp_path: Path) -> None:
        with pytest.raises(ModelIncompleteError):
            refresh_manifest(tmp_path)
        assert os.listdir(tmp_path) == []

    def test_a_link_at_its_place_is_not_followed(self, model: Path, tmp_path: Path) -> None:
        shutil.rmtree(model / ".pyfunc")
        (tmp_path / "outside").mkdir()
        (model / ".pyfunc").symlink_to(tmp_path / "outside")
        with pytest.raises(ModelPathError):
            refresh_manifest(model)
        assert os.listdir(tmp_path / "outside") == []


class TestM11:
    """The bytes that are checked are the bytes that are used."""

    def test_a_change_after_opening_is_found_by_reading(self, model: Path) -> None:
        files = ModelFiles.open(model)
        data = bytearray(CONTENTS["python_model.pkl"])
        data[7] ^= 1
        (model / "python_model.pkl").write_bytes(data)
        with pytest.raises(ModelIntegrityError) as caught:
            files.read("python_model.pkl", key="k")
        assert caught.value.modified == ("python_model.pkl",)

    def test_a_change_after_reading_does_not_reach_the_bytes(self, model: Path) -> None:
        files = ModelFiles.open(model)
        data = files.read("python_model.pkl", key="k")
        (model / "python_model.pkl").write_bytes(b"evil")
        files.verify_all()
        assert data == CONTENTS["python_model.pkl"]

    def test_a_change_between_opening_and_verifying_is_found(self, model: Path) -> None:
        files = ModelFiles.open(model)
        (model / "conda.yaml").unlink()
        weights = CONTENTS["artifacts/deep/weights.bin"]
        (model / "artifacts/deep/weights.bin").write_bytes(weights[::-1])
        with pytest.raises(ModelIntegrityError) as caught:
            files.verify_all()
        assert caught.value.missing == ("conda.yaml",)
        assert caught.value.modified == ("artifacts/deep/weights.bin",)
        assert files.integrity == "unknown"

    def test_each_file_is_hashed_once(self, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        files = ModelFiles.open(model)
        files.read("MLmodel", key="MLmodel")
        files.read("python_model.pkl", key="k")
        hashed: list[str] = []
        hash_files = verification_module.hash_files

        def record(names: dict[str, str], **named: Any) -> dict[str, str]:
            hashed.extend(names)
            return hash_files(names, **named)

        monkeypatch.setattr(verification_module, "hash_files", record)
        assert files.verify_all() == "verified"
        assert files.verify_all() == "verified"
        assert sorted(hashed) == sorted(CONTENTS.keys() - {"MLmodel", "python_model.pkl"})


class TestKept:
    """A file that is kept as it is hashed is not read again: once, and only as it was checked."""

    def test_a_change_after_hashing_does_not_reach_the_bytes(self, model: Path) -> None:
        files = ModelFiles.open(model)
        assert files.verify_all(keep="python_model.pkl") == "verified"
        (model / "python_model.pkl").write_bytes(b"evil")
        assert files.read("./python_model.pkl", key="k") == CONTENTS["python_model.pkl"]
        with pytest.raises(ModelIntegrityError):
            files.read("python_model.pkl", key="k")

    def test_a_change_before_hashing_is_found(self, model: Path) -> None:
        files = ModelFiles.open(model)
        (model / "python_model.pkl").write_bytes(CONTENTS["python_model.pkl"][::-1])
        with pytest.raises(ModelIntegrityError) as caught:
            files.verify_all(keep="python_model.pkl")
        assert caught.value.modified == ("python_model.pkl",)
        with pytest.raises(ModelIntegrityError):
            files.read("python_model.pkl", key="k")

    @pytest.mark.parametrize("name", ["missing", "MLmodel", ".", 7, None])
    def test_what_is_no_file_to_be_hashed_is_not_kept(self, model: Path, name: object) -> None:
        files = ModelFiles.open(model)
        files.read("MLmodel", key="MLmodel")
        assert files.verify_all(keep=name) == "verified"
        (model / "MLmodel").write_bytes(b"evil")
        with pytest.raises(ModelIntegrityError):
            files.read("MLmodel", key="MLmodel")

    def test_the_bounds_of_a_reader_hold(self, model: Path) -> None:
        files = ModelFiles.open(model)
        files.verify_all(keep="python_model.pkl")
        with pytest.raises(ModelFormatError, match="larger than 3 bytes"):
            files.read("python_model.pkl", key="k", max_bytes=3)

    def test_large_files_are_kept_as_threads_hash_them(self, tmp_path: Path) -> None:
        chance = random.Random(3)
        contents = {f"f{number}": chance.randbytes((number << 20) + 1) for number in range(1, 6)}
        for name, data in contents.items():
            (tmp_path / name).write_bytes(data)
        write_manifest(tmp_path)
        files = ModelFiles.open(tmp_path)
        calls: list[tuple[int, int]] = []
        files.verify_all(keep="f4", progress=lambda done, total: calls.append((done, total)))
        total = sum(map(len, contents.values()))
        assert calls[-1] == (total, total)
        (tmp_path / "f4").write_bytes(b"evil")
        assert files.read("f4", key="k") == contents["f4"]


class TestM12:
    """Large files: hashed in pieces and in threads, with progress."""

    def test_threads_give_the_same_digests(self, tmp_path: Path) -> None:
        chance = random.Random(2)
        contents = {f"f{number}": chance.randbytes(number << 20) for number in range(1, 6)}
        for name, data in contents.items():
            (tmp_path / name).write_bytes(data)
        manifest = write_manifest(tmp_path)
        assert {name: entry.sha256 for name, entry in manifest.files.items()} == {
            name: hashlib.sha256(data).hexdigest() for name, data in contents.items()
        }
        calls: list[tuple[int, int]] = []
        verify_files(tmp_path, progress=lambda done, total: calls.append((done, total)))
        total = sum(map(len, contents.values()))
        assert [done for done, _ in calls] == sorted({done for done, _ in calls})
        assert calls[-1] == (total, total)
        assert {total for _, total in calls} == {total}
        assert len(calls) >= 15

    def test_little_memory_is_needed(self, tmp_path: Path) -> None:
        with (tmp_path / "large").open("wb") as file:
            file.truncate(300 << 20)
        code = (
            "import resource, sys\n"
            "from pyfunc.directory.verification import build_manifest\n"
            "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "build_manifest(sys.argv[1])\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
        )
        assert int(done.stdout) < 20_000  # kilobytes


class TestModelFiles:
    """Opening and reading in general."""

    def test_a_model_is_verified_once_all_is_read(self, model: Path) -> None:
        files = ModelFiles.open(model)
        assert files.integrity == "unknown"
        for name, content in CONTENTS.items():
            assert files.read(name, key="k") == content
        assert files.verify_all() == "verified"

    def test_a_link_to_the_model_is_opened(self, model: Path) -> None:
        (model.parent / "latest").symlink_to("model")
        assert load(model.parent / "latest") == CONTENTS["python_model.pkl"]

    def test_nothing_there(self, tmp_path: Path, model: Path) -> None:
        for path in (tmp_path / "missing", model / "MLmodel"):
            with pytest.raises(ModelNotFoundError):
                ModelFiles.open(path)

    @pytest.mark.parametrize("option", [{"verify": "always"}, {"extra": "no"}, {"verify": None}])
    def test_unknown_options_are_refused(self, model: Path, option: dict[str, Any]) -> None:
        with pytest.raises(InvalidArgumentError):
            ModelFiles.open(model, **option)

    @pytest.mark.parametrize("relative", ["../x", "/etc/hostname", "", None, "artifacts/../../x"])
    def test_paths_are_confined(self, model: Path, relative: object) -> None:
        files = ModelFiles.open(model)
        for use in (files.read, files.resolve):
            with pytest.raises(ModelPathError) as caught:
                use(relative, key="flavors.python_function.data")
            assert caught.value.key == "flavors.python_function.data"
            assert caught.value.path == str(model / "MLmodel")

    def test_a_directory_is_resolved_and_not_read(self, model: Path) -> None:
        files = ModelFiles.open(model)
        assert files.resolve("code", key="code", kind="dir") == model / "code"
        with pytest.raises(ModelPathError):
            files.read("code", key="code")

    def test_a_missing_file(self, model: Path) -> None:
        with pytest.raises(ModelIncompleteError, match=r"nothing\.pkl"):
            ModelFiles.open(model).read("nothing.pkl", key="python_model")

    def test_the_size_can_be_bounded(self, model: Path) -> None:
        files = ModelFiles.open(model)
        assert files.read("requirements.txt", key="k", max_bytes=5) == b"numpy"
        with pytest.raises(ModelFormatError, match="larger than 4 bytes"):
            files.read("requirements.txt", key="k", max_bytes=4)

    def test_nothing_is_written(self, model: Path) -> None:
        before = {path: path.stat().st_mtime_ns for path in [model, *model.rglob("*")]}
        load(model)
        verify_files(model)
        assert {path: path.stat().st_mtime_ns for path in [model, *model.rglob("*")]} == before

    def test_errors_are_of_one_tree(self) -> None:
        for error in (ModelIntegrityError, ModelFormatError, ModelPathError, UntrustedModelError):
            assert issubclass(error, PyfuncError)
