"""Manifests that are malformed (reliability 4.2, M7)."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfunc.directory.manifest import (
    MANIFEST_PATH,
    FileEntry,
    Manifest,
    parse_manifest,
    read_manifest,
)
from pyfunc.directory.opened import ModelFiles
from pyfunc.directory.verification import verify_files
from pyfunc.errors import ModelFormatError

ENTRY = {"sha256": "0" * 64, "size": 1}


def manifest_text(files: Any, **changes: Any) -> bytes:
    content = {"algorithm": "sha256", "files": files, "version": 1, **changes}
    return json.dumps({key: value for key, value in content.items() if value != "-"}).encode()


class TestM7:
    """A malformed manifest."""

    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"{", id="truncated"),
            pytest.param(b"[]", id="list"),
            pytest.param(b"null", id="null"),
            pytest.param(b"{}", id="no-keys"),
            pytest.param(b"[" * 200_000, id="deep"),
            pytest.param(b'{"a":' * 200_000, id="deep-objects"),
            pytest.param(b"\xff\xfe", id="not-utf-8"),
            pytest.param(manifest_text({}).decode().encode("utf-16"), id="utf-16"),
            pytest.param(b"\xef\xbb\xbf" + manifest_text({}), id="bom"),
            pytest.param(manifest_text({}) + b"{}", id="trailing-data"),
            pytest.param(manifest_text({}, version=2), id="version-2"),
            pytest.param(manifest_text({}, version=1.0), id="version-float"),
            pytest.param(manifest_text({}, version=True), id="version-bool"),
            pytest.param(manifest_text({}, version="1"), id="version-text"),
            pytest.param(manifest_text({}, version="-"), id="no-version"),
            pytest.param(manifest_text({}, algorithm="md5"), id="algorithm"),
            pytest.param(manifest_text({}, algorithm=None), id="algorithm-null"),
            pytest.param(manifest_text({}, other=1), id="unknown-key"),
            pytest.param(manifest_text([]), id="files-list"),
            pytest.param(manifest_text(None), id="files-null"),
            pytest.param(manifest_text({"a": 1}), id="entry-int"),
            pytest.param(manifest_text({"a": None}), id="entry-null"),
            pytest.param(manifest_text({"a": {**ENTRY, "mode": 1}}), id="entry-with-more"),
            pytest.param(manifest_text({"a": {"size": 1}}), id="entry-with-less"),
            pytest.param(manifest_text({"a": {**ENTRY, "size": -1}}), id="size-negative"),
            pytest.param(manifest_text({"a": {**ENTRY, "size": 1.0}}), id="size-float"),
            pytest.param(manifest_text({"a": {**ENTRY, "size": True}}), id="size-bool"),
            pytest.param(manifest_text({"a": {**ENTRY, "size": 2**63}}), id="size-huge"),
            pytest.param(manifest_text({"a": {**ENTRY, "size": "1"}}), id="size-text"),
            pytest.param(
                manifest_text({"a": ENTRY}).replace(b": 1}", b": " + b"9" * 5000 + b"}"),
                id="size-of-5000-digits",
            ),
            pytest.param(manifest_text({"a": {**ENTRY, "sha256": "0"}}), id="sha-short"),
            pytest.param(manifest_text({"a": {**ENTRY, "sha256": "A" * 64}}), id="sha-upper"),
            pytest.param(manifest_text({"a": {**ENTRY, "sha256": "g" * 64}}), id="sha-not-hex"),
            pytest.param(manifest_text({"a": {**ENTRY, "sha256": "0" * 64 + "\n"}}), id="sha-nl"),
            pytest.param(manifest_text({"a": {**ENTRY, "sha256": 0}}), id="sha-int"),
            pytest.param(b'{"version":1,"version":1,"algorithm":"sha256","files":{}}', id="twice"),
            pytest.param(
                manifest_text({"a": ENTRY, "b": ENTRY}).replace(b'"b"', b'"a"'), id="file-twice"
            ),
            pytest.param(manifest_text({"../x": ENTRY}), id="parent"),
            pytest.param(manifest_text({"a/../../x": ENTRY}), id="parent-inside"),
            pytest.param(manifest_text({"/etc/passwd": ENTRY}), id="absolute"),
            pytest.param(manifest_text({"a\\b": ENTRY}), id="backslash"),
            pytest.param(manifest_text({"a\0": ENTRY}), id="nul"),
            pytest.param(manifest_text({"": ENTRY}), id="empty-name"),
            pytest.param(manifest_text({"./a": ENTRY}), id="dot"),
            pytest.param(manifest_text({"a//b": ENTRY}), id="two-slashes"),
            pytest.param(manifest_text({"a/": ENTRY}), id="trailing-slash"),
            pytest.param(manifest_text({"~/a": ENTRY}), id="home"),
            pytest.param(manifest_text({"\ud800": ENTRY}), id="surrogate"),
            pytest.param(manifest_text({"e\u0301": ENTRY}), id="not-nfc"),
            pytest.param(manifest_text({"a": ENTRY, "A": ENTRY}), id="case-clash"),
            pytest.param(manifest_text({"ß": ENTRY, "SS": ENTRY}), id="case-fold-clash"),
            pytest.param(manifest_text({"a": ENTRY, "a/b/c": ENTRY}), id="file-and-directory"),
            pytest.param(manifest_text({MANIFEST_PATH: ENTRY}), id="itself"),
            pytest.param(manifest_text({".pyfunc/model.sig": ENTRY}), id="its-signature"),
            pytest.param(
                b'{"algorithm":"sha256","version":1,"files":{'
                + b",".join(b'"%d":{"size":1,"sha256":""}' % i for i in range(1_000_000))
                + b"}}",
                id="million-entries",
            ),
            pytest.param(
                manifest_text({str(number): ENTRY for number in range(100_001)}), id="100001-files"
            ),
            pytest.param(b" " * (100 << 20), id="100-megabytes"),
        ],
    )
    def test_is_refused(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / ".pyfunc").mkdir()
        (tmp_path / MANIFEST_PATH).write_bytes(data)
        for check in (read_manifest, verify_files, ModelFiles.open):
            with pytest.raises(ModelFormatError) as caught:
                check(tmp_path)
            assert caught.value.path == str(tmp_path / MANIFEST_PATH)
            assert len(str(caught.value)) < 1000

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["version", "algorithm", "files", "size", "sha256", "a", "../a"]
                    )
                    | st.text(max_size=4),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=10,
        )
    )
    def test_any_json_gives_a_manifest_or_one_error(self, content: Any) -> None:
        text = manifest_text({"a": content})
        for data in (json.dumps(content).encode(), text):
            with pytest.raises(ModelFormatError):
                parse_manifest(data)

    @given(
        st.dictionaries(
            st.text(max_size=12),
            st.builds(
                FileEntry,
                size=st.integers(0, 2**63 - 1),
                sha256=st.text(alphabet="0123456789abcdef", min_size=64, max_size=64),
            ),
            max_size=6,
        )
    )
    def test_a_manifest_survives_its_bytes_or_has_a_name_that_is_refused(
        self, files: dict[str, FileEntry]
    ) -> None:
        manifest = Manifest(files)
        try:
            data = manifest.to_bytes()
            parsed = parse_manifest(data)
        except (ModelFormatError, UnicodeEncodeError):
            return
        assert parsed == manifest
        assert parsed.to_bytes() == data

    @given(st.binary(max_size=40), st.integers(0, 400))
    def test_any_bytes_inside_a_manifest_give_a_manifest_or_one_error(
        self, noise: bytes, place: int
    ) -> None:
        data = manifest_text({"a": ENTRY, "b/c": ENTRY})
        at = place % len(data)
        for changed in (noise, data[:at] + noise + data[at:], data[:at] + noise):
            with suppress(ModelFormatError):
                assert isinstance(parse_manifest(changed), Manifest)
