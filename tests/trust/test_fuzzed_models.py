"""Any MLmodel, signature, manifest or path gives a result or an error of our tree (4.9)."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

import pyfunc
from pyfunc.directory.manifest import MANIFEST_PATH
from pyfunc.errors import PyfuncError

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=12),
    st.sampled_from([
        "python_model.pkl", "MLmodel", "code", "..", "/", "~", "mlflow.sklearn", "os", ".x", "",
        "mlflow.pyfunc.model", "3.11.2", "2.7", "double", "tensor", "float64", "[-1]", "a.b.c",
    ]),
)  # fmt: skip
_USUAL = ["path", "type", "name", "inputs", "params"]
KEYS = st.one_of(st.text(max_size=8), st.sampled_from(_USUAL))
METHODS = st.sampled_from(["get_input_schema", "save", "__class__"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)


def places_of(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value inside of ``value``, and to itself."""
    yield place
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        yield from places_of(inner, (*place, key))


def put(tree: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    changed = copy.copy(tree)
    changed[place[0]] = put(tree[place[0]], place[1:], value)
    return changed


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model without a manifest, whose MLmodel file the tests rewrite."""
    folder = tmp_path_factory.mktemp("fuzzed")
    (folder / "a.txt").write_text("artifact")
    (folder / "helper.py").write_text("VALUE = 1\n")

    class Echo(pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input

    pyfunc.save_model(
        folder / "model",
        python_model=Echo(),
        artifacts={"a": str(folder / "a.txt")},
        code_paths=[str(folder / "helper.py")],
        input_example=(pd.DataFrame({"a": [1.5], "b": ["x"]}), {"p": 1}),
        model_config={"k": 1},
        metadata={"m": 1},
        pip_requirements=["numpy"],
    )
    (folder / "model" / MANIFEST_PATH).rename(folder / "manifest.json")
    return folder / "model"


@pytest.fixture(scope="module")
def mlmodel(model: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((model / "MLmodel").read_text())
    return content


def use(root: Path) -> None:
    """Do everything that reads a model; an error that is not of our tree passes through."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for read in (pyfunc.inspect, pyfunc.Model.load, pyfunc.get_model_dependencies, predict):
            try:  # noqa: SIM105
                read(root)
            except PyfuncError:  # noqa: PERF203
                pass


def predict(root: Path) -> None:
    loaded = pyfunc.load_model(root)
    try:
        assert isinstance(repr(loaded), str)
        example = loaded.input_example
        loaded.predict(pd.DataFrame({"a": [1.0], "b": ["x"]}) if example is None else example)
    finally:
        loaded.close()


def write_mlmodel(root: Path, content: Any) -> None:
    text = yaml.safe_dump(content, allow_unicode=True)
    (root / "MLmodel").write_bytes(text.encode("utf-8", "surrogatepass"))


@given(data=st.data(), value=VALUES)
def test_any_value_anywhere_in_an_mlmodel(
    model: Path, mlmodel: dict[str, Any], data: st.DataObject, value: Any
) -> None:
    place = data.draw(st.sampled_from(list(places_of(mlmodel))))
    write_mlmodel(model, put(mlmodel, place, value))
    use(model)


@given(data=st.data())
def test_any_key_missing_in_an_mlmodel(
    model: Path, mlmodel: dict[str, Any], data: st.DataObject
) -> None:
    content = copy.deepcopy(mlmodel)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.sampled_from([p for p in places_of(content) if p]))
        inner: Any = content
        for key in place[:-1]:
            inner = inner[key]
        del inner[place[-1]]
        if not content:
            break
    write_mlmodel(model, content)
    use(model)


@given(
    key=st.one_of(KEYS, st.sampled_from(["get_input_schema", "save", "__class__"])), value=VALUES
)
def test_any_key_more_in_an_mlmodel(
    model: Path, mlmodel: dict[str, Any], key: str, value: Any
) -> None:
    for place in ((), ("flavors",), ("flavors", "python_function")):
        content = copy.deepcopy(mlmodel)
        inner: Any = content
        for part in place:
            inner = inner[part]
        inner.setdefault(key, value)
        write_mlmodel(model, content)
        use(model)


@given(data=st.binary(max_size=200))
@example(data=b"")
@example(data=b"flavors: {python_function: 5}\n")
@example(data=b"flavors: 5\n")
@example(data=b"flavors: null\nutc_time_created: 5\n")
def test_any_bytes_as_an_mlmodel(model: Path, data: bytes) -> None:
    (model / "MLmodel").write_bytes(data)
    use(model)


@given(data=st.data(), flips=st.integers(1, 3))
def test_flipped_bits_in_an_mlmodel(
    model: Path, mlmodel: dict[str, Any], data: st.DataObject, flips: int
) -> None:
    text = bytearray(yaml.safe_dump(mlmodel).encode())
    for _ in range(flips):
        text[data.draw(st.integers(0, len(text) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (model / "MLmodel").write_bytes(bytes(text))
    use(model)


@given(data=st.data(), part=st.sampled_from(["inputs", "outputs", "params"]), value=VALUES)
def test_any_value_anywhere_in_a_signature(
    model: Path, mlmodel: dict[str, Any], data: st.DataObject, part: str, value: Any
) -> None:
    signature = mlmodel["signature"]
    tree = json.loads(signature.get(part) or "null")
    place = data.draw(st.sampled_from(list(places_of(tree))))
    text = json.dumps(put(tree, place, value))
    write_mlmodel(model, {**mlmodel, "signature": {**signature, part: text}})
    use(model)


@given(text=st.text(max_size=40), part=st.sampled_from(["inputs", "outputs", "params"]))
@example(text="[" * 100_000, part="inputs")
@example(text='[{"type": "array", "items": ' * 5_000, part="inputs")
@example(text="9" * 5_000, part="params")
@example(text="NaN", part="outputs")
def test_any_text_as_a_signature(
    model: Path, mlmodel: dict[str, Any], text: str, part: str
) -> None:
    write_mlmodel(model, {**mlmodel, "signature": {**mlmodel["signature"], part: text}})
    use(model)


NAMES = st.one_of(
    st.text(max_size=20),
    st.sampled_from([
        "..", "../outside", "a/../../x", "/etc/hostname", "~", "C:\\x", "a\0b", "%2e%2e/x", "./x",
        "code", "code/..", "python_model.pkl/", "artifacts//a.txt", "x" * 5000, ".pyfunc",
    ]),
    st.lists(st.sampled_from(["..", ".", "", "code", "artifacts", "a.txt"]), max_size=5).map(
        "/".join
    ),
)  # fmt: skip


@given(
    name=NAMES,
    key=st.sampled_from(["python_model", "code", "data", "model_code_path", "loader_module"]),
)
def test_any_path(model: Path, mlmodel: dict[str, Any], name: str, key: str) -> None:
    content = copy.deepcopy(mlmodel)
    content["flavors"]["python_function"][key] = name
    content["saved_input_example_info"]["artifact_path"] = name
    content["flavors"]["python_function"]["env"] = {"conda": name, "virtualenv": name}
    write_mlmodel(model, content)
    use(model)


@pytest.fixture(scope="module")
def listed(model: Path, mlmodel: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Return the model with its manifest, and the content of the manifest."""
    write_mlmodel(model, mlmodel)
    pyfunc.refresh(model)
    yield model, json.loads((model / MANIFEST_PATH).read_bytes())
    (model / MANIFEST_PATH).unlink()


def use_listed(root: Path) -> None:
    use(root)
    try:
        pyfunc.verify(root)
        pyfunc.load_model(root, verify="require").close()
    except PyfuncError:
        pass


@given(data=st.data(), value=VALUES)
def test_any_value_anywhere_in_a_manifest(
    listed: tuple[Path, dict[str, Any]], data: st.DataObject, value: Any
) -> None:
    root, manifest = listed
    place = data.draw(st.sampled_from(list(places_of(manifest))))
    text = json.dumps(put(manifest, place, value))
    (root / MANIFEST_PATH).write_text(text)
    use_listed(root)


@given(name=NAMES, size=st.integers(-2, 2**70))
def test_any_name_in_a_manifest(listed: tuple[Path, dict[str, Any]], name: str, size: int) -> None:
    root, manifest = listed
    files = {**manifest["files"], name: {"sha256": "0" * 64, "size": size}}
    (root / MANIFEST_PATH).write_text(json.dumps({**manifest, "files": files}))
    use_listed(root)


@given(data=st.binary(max_size=200))
@example(data=b"[" * 100_000)
def test_any_bytes_as_a_manifest(listed: tuple[Path, dict[str, Any]], data: bytes) -> None:
    root, _ = listed
    (root / MANIFEST_PATH).write_bytes(data)
    use_listed(root)
