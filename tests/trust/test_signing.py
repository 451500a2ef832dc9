"""Signing with OpenSSF's model-signing (reliability 4.7), all of it without a network."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

import pyfunc
from pyfunc.directory import opened, signing
from pyfunc.directory.manifest import MANIFEST_PATH, SIGNATURE_PATH
from pyfunc.directory.verification import verify_files
from pyfunc.errors import (
    InvalidArgumentError,
    MissingDependencyError,
    ModelIntegrityError,
    ModelNotFoundError,
    PyfuncError,
    UntrustedModelError,
)


@pytest.fixture(autouse=True)
def _no_network() -> Iterator[None]:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket was opened")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socket", refuse)
        patch.setattr(socket, "create_connection", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        patch.delenv("PYFUNC_TRUST", raising=False)
        yield


def write_pair(folder: Path, name: str, key: Any, password: str | None = None) -> None:
    encryption = (
        serialization.NoEncryption()
        if password is None
        else serialization.BestAvailableEncryption(password.encode())
    )
    pem, public = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, encryption)
    (folder / f"{name}.pem").write_bytes(private)
    (folder / f"{name}.pub").write_bytes(key.public_key().public_bytes(pem, public))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    write_pair(folder, "ours", ec.generate_private_key(ec.SECP256R1()))
    write_pair(folder, "other", ec.generate_private_key(ec.SECP256R1()))
    write_pair(folder, "p384", ec.generate_private_key(ec.SECP384R1()))
    write_pair(folder, "locked", ec.generate_private_key(ec.SECP256R1()), "secret")
    for curve in (ec.SECP256K1, ec.SECP224R1, ec.BrainpoolP256R1):
        write_pair(folder, curve.name, ec.generate_private_key(curve()))
    write_pair(folder, "p521", ec.generate_private_key(ec.SECP521R1()))
    write_pair(folder, "rsa", rsa.generate_private_key(65537, 2048))
    write_pair(folder, "ed25519", ed25519.Ed25519PrivateKey.generate())
    return folder


def upper(model_input: list[str]) -> list[str]:
    return [text.upper() for text in model_input]


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Path:
    """Return a signed model, which no test may change."""
    folder = tmp_path_factory.mktemp("signed")
    (folder / "helper.py").write_text("VALUE = 1\n")
    pyfunc.save_model(
        folder / "model",
        python_model=upper,
        code_paths=[str(folder / "helper.py")],
        pip_requirements=[],
    )
    pyfunc.sign(folder / "model", private_key=keys / "ours.pem")
    return folder / "model"


@pytest.fixture
def model(signed: Path, tmp_path: Path) -> Path:
    shutil.copytree(signed, tmp_path / "model")
    return tmp_path / "model"


def load(path: Path, key: Path) -> pyfunc.PyFuncModel:
    return pyfunc.load_model(path, suppress_warnings=True, trust="signature", public_key=key)


class TestT1:
    """Signing and verifying, offline."""

    @pytest.mark.parametrize("name", ["ours", "p384", "p521"])
    def test_a_signed_model_verifies_and_loads(self, model: Path, keys: Path, name: str) -> None:
        assert pyfunc.sign(model, private_key=keys / f"{name}.pem") == model / SIGNATURE_PATH
        manifest = pyfunc.verify(model, public_key=keys / f"{name}.pub")
        assert manifest == pyfunc.verify(model)
        assert load(model, keys / f"{name}.pub").predict(["a"]) == ["A"]

    def test_a_key_with_a_password(self, model: Path, keys: Path) -> None:
        for password in (None, "wrong"):
            with pytest.raises(InvalidArgumentError, match="PEM key"):
                pyfunc.sign(model, private_key=keys / "locked.pem", password=password)
        pyfunc.sign(model, private_key=keys / "locked.pem", password="secret")
        pyfunc.verify(model, public_key=keys / "locked.pub")

    def test_a_changed_model_is_not_signed(self, model: Path, keys: Path) -> None:
        before = (model / SIGNATURE_PATH).read_bytes()
        (model / "conda.yaml").write_text("changed")
        with pytest.raises(ModelIntegrityError):
            pyfunc.sign(model, private_key=keys / "ours.pem")
        assert (model / SIGNATURE_PATH).read_bytes() == before

    def test_what_changes_while_it_is_signed_is_not_signed(
        self, model: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def change_after(root: Path) -> Any:
            manifest = verify_files(root)
            (model / "conda.yaml").write_text("changed")
            return manifest

        before = (model / SIGNATURE_PATH).read_bytes()
        monkeypatch.setattr(signing, "verify_files", change_after)
        with pytest.raises(ModelIntegrityError, match="changed while it was signed"):
            pyfunc.sign(model, private_key=keys / "ours.pem")
        assert (model / SIGNATURE_PATH).read_bytes() == before


def move(model: Path) -> Path:
    return model.rename(model.with_name("moved"))


def change_mode(model: Path) -> Path:
    (model / "conda.yaml").chmod(0o600)
    return model


def add_empty_folder(model: Path) -> Path:
    (model / "empty").mkdir()
    return model


HARMLESS = {"moved": move, "chmod": change_mode, "empty-directory": add_empty_folder}


def put(name: str, data: bytes = b"x") -> Callable[[Path], object]:
    def change(model: Path) -> None:
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_bytes(data)

    return change


CHANGES: dict[str, Callable[[Path], object]] = {
    "changed": put("conda.yaml"),
    "missing": lambda model: (model / "conda.yaml").unlink(),
    "renamed": lambda model: (model / "conda.yaml").rename(model / "conda2.yaml"),
    "extra": put("extra.txt"),
    "bytecode": put("code/__pycache__/helper.cpython-311.pyc"),
    "git-folder": put(".git/config"),
    "github-folder": put(".github/workflows/x.yaml"),
    "gitignore": put(".gitignore"),
    "gitattributes": put("artifacts/.gitattributes"),
    "beside-the-manifest": put(".pyfunc/other"),
    "left-over-signature": put(".pyfunc/model.sig.tmp"),
    "manifest": lambda model: put(MANIFEST_PATH, (model / MANIFEST_PATH).read_bytes() + b" ")(
        model
    ),
    "no-manifest": lambda model: (model / MANIFEST_PATH).unlink(),
}


class TestT2:
    """What happens to a model after it was signed."""

    @pytest.mark.parametrize("name", HARMLESS)
    def test_what_does_not_matter_passes(self, model: Path, keys: Path, name: str) -> None:
        root = HARMLESS[name](model)
        pyfunc.verify(root, public_key=keys / "ours.pub")
        assert load(root, keys / "ours.pub").predict(["a"]) == ["A"]

    @pytest.mark.parametrize("name", CHANGES)
    def test_every_change_of_a_file_is_found(self, model: Path, keys: Path, name: str) -> None:
        CHANGES[name](model)
        with pytest.raises(UntrustedModelError):
            pyfunc.verify(model, public_key=keys / "ours.pub")
        with pytest.raises(UntrustedModelError):
            load(model, keys / "ours.pub")

    @pytest.mark.parametrize("name", ["changed", "extra", "git-folder"])
    def test_a_refreshed_manifest_does_not_help(self, model: Path, keys: Path, name: str) -> None:
        CHANGES[name](model)
        pyfunc.refresh(model)
        with pytest.raises(UntrustedModelError):
            load(model, keys / "ours.pub")

    def test_a_signature_that_leaves_files_out_is_refused(self, model: Path, keys: Path) -> None:
        """As the tool itself signs by default, with Git's files left out."""
        import model_signing

        tool: Any = model_signing

        (model / SIGNATURE_PATH).unlink()
        put(".git/config")(model)
        pyfunc.refresh(model)
        config = tool.signing.Config().use_elliptic_key_signer(private_key=keys / "ours.pem")
        hashing = tool.hashing.Config().set_ignored_paths(
            paths=[model / SIGNATURE_PATH], ignore_git_paths=True
        )
        config.set_hashing_config(hashing).sign(model, model / SIGNATURE_PATH)
        with pytest.raises(UntrustedModelError, match=r"leaves files out.*\.git"):
            pyfunc.verify(model, public_key=keys / "ours.pub")


def edit_payload(model: Path, change: Callable[[Any, Any], None]) -> None:
    bundle = json.loads((model / SIGNATURE_PATH).read_bytes())
    envelope = bundle["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    change(envelope, statement)
    envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    (model / SIGNATURE_PATH).write_text(json.dumps(bundle))


class TestT3:
    """Signatures that are not those of the model."""

    def test_another_key(self, model: Path, keys: Path) -> None:
        for name in ("other.pub", "p384.pub"):
            with pytest.raises(UntrustedModelError, match="does not hold"):
                load(model, keys / name)

    def test_the_bundle_of_another_model(self, model: Path, keys: Path, tmp_path: Path) -> None:
        pyfunc.save_model(tmp_path / "b", python_model=upper, pip_requirements=["numpy"])
        pyfunc.sign(tmp_path / "b", private_key=keys / "ours.pem")
        shutil.copy(tmp_path / "b" / SIGNATURE_PATH, model / SIGNATURE_PATH)
        with pytest.raises(UntrustedModelError, match="does not hold"):
            load(model, keys / "ours.pub")

    def test_no_signature(self, model: Path, keys: Path) -> None:
        (model / SIGNATURE_PATH).unlink()
        with pytest.raises(UntrustedModelError, match="is not signed"):
            load(model, keys / "ours.pub")

    @pytest.mark.parametrize(
        "data",
        [b"", b"{}", b"[]", b"null", b"\xff", b"{" * 100_000, b'{"dsseEnvelope": 5}',
         b'{"dsseEnvelope": {"payload": "e30="}}'],
        ids=["empty", "object", "list", "null", "binary", "deep", "number", "no-statement"],
    )  # fmt: skip
    def test_what_is_no_bundle(self, model: Path, keys: Path, data: bytes) -> None:
        (model / SIGNATURE_PATH).write_bytes(data)
        with pytest.raises(UntrustedModelError, match="not a signature bundle"):
            load(model, keys / "ours.pub")

    def test_a_truncated_bundle(self, model: Path, keys: Path) -> None:
        whole = (model / SIGNATURE_PATH).read_bytes()
        for length in range(0, len(whole), len(whole) // 15):
            (model / SIGNATURE_PATH).write_bytes(whole[:length])
            with pytest.raises(UntrustedModelError):
                load(model, keys / "ours.pub")

    def test_another_payload_type(self, model: Path, keys: Path) -> None:
        edit_payload(model, lambda envelope, _: envelope.update(payloadType="text/plain"))
        with pytest.raises(UntrustedModelError, match="of another kind"):
            load(model, keys / "ours.pub")

    def test_an_edited_statement(self, model: Path, keys: Path) -> None:
        (model / "conda.yaml").write_text("changed")
        manifest = pyfunc.refresh(model)

        def claim(_: Any, statement: Any) -> None:
            for item in statement["predicate"]["resources"]:
                if item["name"] == MANIFEST_PATH:
                    item["digest"] = manifest.digest
                elif item["name"] == "conda.yaml":
                    item["digest"] = manifest.files["conda.yaml"].sha256

        edit_payload(model, claim)
        with pytest.raises(UntrustedModelError, match="does not hold"):
            load(model, keys / "ours.pub")

    def test_a_second_envelope_beside_the_signed_one(self, model: Path, keys: Path) -> None:
        """What another parser than the library's would read counts for nothing."""
        good = json.loads((model / SIGNATURE_PATH).read_bytes())
        (model / "conda.yaml").write_text("changed")
        pyfunc.refresh(model)
        for name in ("dsse_envelope", "dsseEnvelope"):
            text = json.dumps(good)[:-1] + f', "{name}": {json.dumps(good["dsseEnvelope"])}}}'
            (model / SIGNATURE_PATH).write_text(text)
            with pytest.raises(UntrustedModelError):
                load(model, keys / "ours.pub")

    def test_files_that_change_after_the_check_are_not_loaded(
        self, model: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        verify = signing.verify_signature

        def change_after(root: Path, **options: Any) -> Any:
            manifest = verify(root, **options)
            (model / "conda.yaml").write_text("changed")
            pyfunc.refresh(model)
            return manifest

        monkeypatch.setattr(opened, "verify_signature", change_after)
        with pytest.raises(UntrustedModelError, match="manifest digest"):
            load(model, keys / "ours.pub")
        with pytest.raises(PyfuncError):
            pyfunc.verify(model, public_key=keys / "ours.pub")


class TestT4:
    """Keys of other kinds are refused before any work."""

    @pytest.mark.parametrize(
        "name", ["rsa", "ed25519", "secp256k1", "secp224r1", "brainpoolP256r1"]
    )
    def test_the_kind_is_named(
        self, model: Path, keys: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setattr(signing, "verify_files", lambda _: pytest.fail("work was done"))
        for call in (
            lambda: pyfunc.sign(model, private_key=keys / f"{name}.pem"),
            lambda: pyfunc.verify(model, public_key=keys / f"{name}.pub"),
            lambda: load(model, keys / f"{name}.pub"),
        ):
            with pytest.raises(InvalidArgumentError, match="expected an elliptic-curve key"):
                call()

    def test_what_is_no_key(self, model: Path, keys: Path, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("no key")
        for path in (tmp_path / "text", keys / "ours.pem"):
            with pytest.raises(InvalidArgumentError, match="PEM"):
                load(model, path)
        with pytest.raises(ModelNotFoundError, match="no such key"):
            load(model, tmp_path / "nothing")


class TestT5:
    """Links in a model."""

    def test_a_link_is_refused_at_signing_and_at_verifying(self, model: Path, keys: Path) -> None:
        (model / "conda.yaml").rename(model.parent / "conda.yaml")
        (model / "conda.yaml").symlink_to(model.parent / "conda.yaml")
        with pytest.raises(PyfuncError, match="link"):
            pyfunc.sign(model, private_key=keys / "ours.pem")
        with pytest.raises(PyfuncError, match="link"):
            load(model, keys / "ours.pub")

    def test_a_signature_that_is_a_link(self, model: Path, keys: Path) -> None:
        (model / SIGNATURE_PATH).rename(model.parent / "sig")
        (model / SIGNATURE_PATH).symlink_to(model.parent / "sig")
        with pytest.raises(PyfuncError):
            load(model, keys / "ours.pub")


class TestT6:
    """The bundle and the model that it lies in."""

    def test_it_covers_everything_but_itself(self, signed: Path) -> None:
        envelope = json.loads((signed / SIGNATURE_PATH).read_bytes())["dsseEnvelope"]
        statement = json.loads(base64.b64decode(envelope["payload"]))
        covered = {item["name"] for item in statement["predicate"]["resources"]}
        present = {
            path.relative_to(signed).as_posix() for path in signed.rglob("*") if path.is_file()
        }
        assert covered == present - {SIGNATURE_PATH}

    def test_signing_again_replaces_it(self, model: Path, keys: Path) -> None:
        pyfunc.sign(model, private_key=keys / "other.pem")
        pyfunc.verify(model, public_key=keys / "other.pub")
        assert sorted(os.listdir(model / ".pyfunc")) == ["manifest.json", "model.sig"]

    def test_it_does_not_disturb_who_does_not_ask(self, signed: Path) -> None:
        model = pyfunc.load_model(signed, suppress_warnings=True, verify="require")
        assert model.predict(["a"]) == ["A"]
        assert pyfunc.inspect(signed).integrity == "verified"


class TestT7:
    """Packages that are not installed."""

    @pytest.mark.parametrize("module", ["OpenSSL", "model_signing"])
    def test_the_line_that_installs_them_is_named(
        self, model: Path, keys: Path, monkeypatch: pytest.MonkeyPatch, module: str
    ) -> None:
        for name in list(sys.modules):
            if name.partition(".")[0] in ("model_signing", "OpenSSL"):
                monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, module, None)
        for call in (
            lambda: pyfunc.sign(model, private_key=keys / "ours.pem"),
            lambda: load(model, keys / "ours.pub"),
        ):
            with pytest.raises(MissingDependencyError, match=r"pip install .*\[signing\]"):
                call()


class TestT8:
    """Large models; the time itself is measured by benchmarks/bench_trust.py."""

    def test_verifying_reports_progress_and_needs_little_memory(
        self, tmp_path: Path, keys: Path
    ) -> None:
        import tracemalloc

        with (tmp_path / "large").open("wb") as file:
            file.truncate(48 << 20)
        pyfunc.save_model(
            tmp_path / "m",
            python_model=upper,
            artifacts={"a": str(tmp_path / "large")},
            pip_requirements=[],
        )
        pyfunc.sign(tmp_path / "m", private_key=keys / "ours.pem")
        seen: list[tuple[int, int]] = []
        tracemalloc.start()
        pyfunc.verify(
            tmp_path / "m",
            public_key=keys / "ours.pub",
            progress=lambda done, total: seen.append((done, total)),
        )
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert seen[-1][0] == seen[-1][1] > 48 << 20
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)
        assert peak < 24 << 20


def test_a_key_is_held_against_the_files_in_every_mode(
    model: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("conda.yaml")(model)
    pyfunc.refresh(model)
    for mode in ("full", "allowlist", "none", "signature"):
        with pytest.raises(UntrustedModelError, match="signature"):
            pyfunc.load_model(model, trust=mode, public_key=keys / "ours.pub")
    monkeypatch.setenv("PYFUNC_TRUST", "none")
    with pytest.raises(UntrustedModelError, match="signature"):
        load(model, keys / "ours.pub")


class TestSubject:
    """A signature of one model does not let another take its place."""

    def load(self, model: Path, keys: Path, subject: str) -> pyfunc.PyFuncModel:
        return pyfunc.load_model(
            model, suppress_warnings=True, trust="signature", public_key=keys / "ours.pub",
            expected_subject=subject,
        )  # fmt: skip

    @pytest.mark.parametrize("subject", ["iris/3", "Größe: 1", "../x", "a" * 255])
    def test_the_subject_is_held_against_the_signature(
        self, model: Path, keys: Path, subject: str
    ) -> None:
        pyfunc.sign(model, private_key=keys / "ours.pem", subject=subject)
        assert self.load(model, keys, subject).predict(["a"]) == ["A"]
        assert load(model, keys / "ours.pub").predict(["a"]) == ["A"]
        pyfunc.verify(model, public_key=keys / "ours.pub", expected_subject=subject)
        for other in ("iris/2", subject[:200] + "x", "model", "subject:"):
            with pytest.raises(UntrustedModelError, match="expected a signature of"):
                self.load(model, keys, other)

    def test_a_model_that_was_signed_without_one_has_none(self, model: Path, keys: Path) -> None:
        renamed = model.rename(model.with_name("subject-of-a-folder"))
        pyfunc.sign(renamed, private_key=keys / "ours.pem")
        for subject in ("model", "subject-of-a-folder"):
            with pytest.raises(UntrustedModelError, match="no subject"):
                self.load(renamed, keys, subject)

    def test_an_edited_subject_is_found(self, model: Path, keys: Path) -> None:
        pyfunc.sign(model, private_key=keys / "ours.pem", subject="iris/2")
        bundle = json.loads((model / SIGNATURE_PATH).read_text())
        statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
        statement["subject"][0]["name"] = "subject:iris/3"
        payload = base64.b64encode(json.dumps(statement).encode()).decode()
        bundle["dsseEnvelope"]["payload"] = payload
        (model / SIGNATURE_PATH).write_text(json.dumps(bundle))
        with pytest.raises(UntrustedModelError, match="does not hold"):
            self.load(model, keys, "iris/3")

    @pytest.mark.parametrize("subject", ["", "a\nb", "\x00", "a" * 256])
    def test_what_is_no_subject(self, model: Path, keys: Path, subject: str) -> None:
        for call in (
            lambda: pyfunc.sign(model, private_key=keys / "ours.pem", subject=subject),
            lambda: self.load(model, keys, subject),
        ):
            with pytest.raises(InvalidArgumentError, match="printable"):
                call()

    def test_a_subject_needs_a_key(self, model: Path) -> None:
        with pytest.raises(InvalidArgumentError, match="public_key"):
            pyfunc.load_model(model, expected_subject="iris/3")
        with pytest.raises(InvalidArgumentError, match="public_key"):
            pyfunc.verify(model, expected_subject="iris/3")

    def test_the_mode_may_be_any(self, model: Path, keys: Path) -> None:
        pyfunc.sign(model, private_key=keys / "ours.pem", subject="iris/3")
        with pytest.raises(UntrustedModelError, match="iris/2"):
            pyfunc.load_model(
                model, trust="none", public_key=keys / "ours.pub", expected_subject="iris/2"
            )
