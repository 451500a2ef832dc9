"""Projects and what they hold: data, models, secrets, versions, archives, two processes."""

from __future__ import annotations

import importlib.util
import json
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyfunc
from pyfunc.errors import (
    EntityNotFoundError,
    IncompatiblePythonError,
    InvalidArgumentError,
    InvalidTypeError,
    ModelFormatError,
    ModelIncompleteError,
    ModelNotFoundError,
    PyfuncWarning,
    SaveConflictError,
    UntrustedModelError,
)
from pyfunc.functions import (
    Project,
    delete_project,
    get_or_create_project,
    get_project,
    import_project,
    list_projects,
    new_project,
)
from pyfunc.functions.writing import Target, write_artifact

FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
EMPTY = {
    "kind": "project",
    "metadata": {},
    "spec": {},
    "status": {},
    "id": "p",
    "key": "store://p",
}


class Doubling(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any) -> Any:
        return model_input * 2


def test_a_project_is_made_once(root: Path) -> None:
    made = new_project("p", description="d", labels=["a"], root=root)
    assert (made.metadata.description, made.metadata.labels) == ("d", ["a"])
    assert get_or_create_project("p", root=root) == made == get_project("p", root=root)
    with pytest.raises(InvalidArgumentError, match="already"):
        new_project("p", root=root)
    assert [project.name for project in list_projects(root=root)] == ["p"]
    delete_project("p", root=root)
    assert list_projects(root=root) == []
    with pytest.raises(EntityNotFoundError, match="no project"):
        get_project("p", root=root)


def test_logging_a_name_twice_makes_a_second_version(project: Project) -> None:
    first = project.log_dataitem("d", data=FRAME)
    before = first.as_file().read_bytes()
    second = project.log_dataitem("d", data=FRAME[:1])
    assert first.key != second.key
    assert first.as_file().read_bytes() == before
    assert project.get_dataitem("d") == second
    assert len(project.get_dataitem(first.key).as_df()) == 2
    assert project.list_dataitems("d") == [first, second]
    project.delete_dataitem(second.key)
    assert project.get_dataitem("d") == first


def test_an_id_is_there_once(project: Project) -> None:
    uuid = "2d0c00b7a4f34a0081c830fbe438cf13"
    assert project.log_dataitem("d", data=FRAME, uuid=uuid).id == uuid
    with pytest.raises(SaveConflictError):
        project.log_dataitem("d", data=FRAME, uuid=uuid)
    with pytest.raises(InvalidArgumentError, match="uuid"):
        project.log_dataitem("d", data=FRAME, uuid="../x")


def test_a_missing_source_fails_when_it_is_logged(project: Project) -> None:
    with pytest.raises(ModelNotFoundError, match=r"dataitem 'd': source 'none\.csv'"):
        project.log_dataitem("d", source="none.csv")
    with pytest.raises(ModelNotFoundError, match="artifact 'd'"):
        project.log_artifact("d", source="none")
    with pytest.raises(ModelNotFoundError, match="model 'd'"):
        project.log_model("d", source="none")


def test_files_are_read_in_place(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    FRAME.to_csv(path, index=False)
    item = project.log_dataitem("d", "dataitem", source=path)
    path.unlink()
    assert item.path in item.as_file().parents
    assert item.as_df().shape == (2, 2)
    assert item.download(tmp_path / "copy.csv").is_file()
    text = tmp_path / "a.txt"
    text.write_text("t")
    with pytest.raises(InvalidArgumentError, match="no frame can be read"):
        project.log_dataitem("t", source=text).as_df()


def test_what_to_log_is_checked(project: Project) -> None:
    with pytest.raises(InvalidArgumentError, match="either data or source"):
        project.log_dataitem("d")
    with pytest.raises(InvalidArgumentError, match="kind"):
        project.log_dataitem("d", "iceberg", data=FRAME)
    with pytest.raises(InvalidTypeError, match="frame of pandas"):
        project.log_dataitem("d", data=[1])  # type: ignore[arg-type]


MOMENTS = pd.Series(["2026-01-01T00:00:00.000000001", None, "1900-05-05"])
TYPED = pd.DataFrame(
    {
        "int8": np.array([1, -2, 3], dtype="int8"),
        "uint64": np.array([0, 2**64 - 1, 1], dtype="uint64"),
        "float64": [0.1, np.nan, np.inf],
        "float32": np.array([0.1, np.nan, -0.0], dtype="float32"),
        "bool": [True, False, True],
        "text": ["", "NA", "a,\n\"b\""],
        "missing": ["x", None, "NA_"],
        "moment": pd.to_datetime(MOMENTS, format="ISO8601").array,
        "zoned": pd.to_datetime(MOMENTS, format="ISO8601").dt.tz_localize("Europe/Rome").array,
        "Int64": pd.array([1, None, 2**62 + 1], dtype="Int64"),
        "boolean": pd.array([True, None, False], dtype="boolean"),
    },
    index=pd.Index([10, 20, 30], name="row"),
)  # fmt: skip


@pytest.fixture
def without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    # The development environment has it, and many users have not.
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *a: None if name == "pyarrow" else found(name, *a),
    )


@pytest.mark.usefixtures("without_pyarrow")
@pytest.mark.parametrize("name", list(TYPED.columns))
def test_without_pyarrow_a_table_is_csv_with_its_types(project: Project, name: str) -> None:
    item = project.log_dataitem("d", data=TYPED[[name]])
    assert item.as_file().suffix == ".csv"
    pd.testing.assert_frame_equal(item.as_df(), TYPED[[name]], check_exact=True)


@pytest.mark.usefixtures("without_pyarrow")
@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(pd.DataFrame({"a": [[1], [2]]}), id="objects"),
        pytest.param(pd.DataFrame({"a": pd.Categorical(["x"])}), id="categories"),
        pytest.param(pd.DataFrame([[1, 2]], columns=["a", "a"]), id="two-of-a-name"),
        pytest.param(pd.DataFrame({1: [1]}), id="number-as-name"),
        pytest.param(
            pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([(1, 2)])), id="index"
        ),
    ],
)
def test_without_pyarrow_what_csv_cannot_hold_is_refused(
    project: Project, frame: pd.DataFrame
) -> None:
    with pytest.raises(InvalidArgumentError, match="pyfunc-format\\[arrow\\]"):
        project.log_dataitem("d", data=frame)


def test_models_are_model_directories(project: Project, tmp_path: Path) -> None:
    pyfunc.save_model(tmp_path / "saved", python_model=Doubling())
    from_path = project.log_model("m", "mlflow", source=tmp_path / "saved")
    from_object = project.log_model("m", source=Doubling())
    for model in (from_path, from_object):
        assert model.load().predict(np.array([2])) == [4]
    pyfunc.verify(from_path.as_file())
    with pytest.raises(InvalidArgumentError, match="no model directory"):
        project.log_model("m", source=tmp_path)
    with pytest.raises(LookupError, match="no flavor"):
        project.log_model("m", source=3)
    assert len(project.list_models("m")) == 2


def test_secrets_are_files_that_only_the_owner_reads(
    project: Project, root: Path, tmp_path: Path
) -> None:
    secret = project.new_secret("token", "hush-hush")
    [value] = root.rglob("value")
    assert stat.S_IMODE(value.stat().st_mode) == 0o600
    assert project.get_secret("token").read_secret_value() == "hush-hush"
    secret.set_secret_value("other-word")
    assert stat.S_IMODE(value.stat().st_mode) == 0o600
    documents = [path.read_text() for path in root.rglob("entity.json")]
    archive = project.export(tmp_path / "p.zip")
    with zipfile.ZipFile(archive) as opened:
        documents += [opened.read(name).decode() for name in opened.namelist()]
    assert not [text for text in documents if "hush" in text or "other-word" in text]
    copied = import_project(archive, root=tmp_path / "elsewhere")
    with pytest.raises(EntityNotFoundError, match="set_secret_value"):
        copied.get_secret("token").read_secret_value()


@pytest.mark.parametrize("value", ["", "a\r\nb\rc\n", "\ufeffä", "x" * 5])
def test_a_run_gets_the_very_value_of_a_secret(project: Project, value: str) -> None:
    assert project.new_secret("TOKEN", value).read_secret_value() == value
    code = "import os\ndef f(): return os.environ['TOKEN'].encode()"
    function = project.new_function("f", code=code, handler="f", python_version="PYTHON3_11")
    assert function.run(secrets=["TOKEN"], env="local").result("output_0") == value.encode()


@pytest.mark.parametrize("value", ["a\0b", "\ud800", 1, None, b"x"])
def test_what_no_variable_holds_is_no_secret(project: Project, value: Any) -> None:
    with pytest.raises((InvalidArgumentError, InvalidTypeError), match="secret_value"):
        project.new_secret("TOKEN", value)
    assert project.list_secrets() == []
    assert not (project.path / "secrets").exists()
    secret = project.new_secret("TOKEN", "good")
    with pytest.raises((InvalidArgumentError, InvalidTypeError), match="secret_value"):
        secret.set_secret_value(value)
    assert secret.read_secret_value() == "good"


@pytest.mark.parametrize("source", [None, 3, b"x"])
def test_what_is_no_path_is_no_artifact(project: Project, source: Any) -> None:
    with pytest.raises(InvalidTypeError, match="artifact 'a': source: expected a path"):
        project.log_artifact("a", source=source)
    assert project.list_artifacts() == []


def test_a_project_moves_as_one_archive(project: Project, tmp_path: Path) -> None:
    item = project.log_dataitem("d", data=FRAME)
    function = project.new_function(
        "f", code="def f(d): return len(d.as_df())", handler="f", python_version="PYTHON3_11"
    )
    run = function.run(inputs={"d": item}, env="local")
    copied = import_project(project.export(tmp_path / "p.zip"), root=tmp_path / "elsewhere")
    assert copied.get_run(run.id).results() == {"output_0": 2}
    assert copied.get_run(run.key).inputs() == {"d": item}
    assert copied.get_function("f").run(inputs={"d": item.key}, env="local").results() == {
        "output_0": 2
    }
    with pytest.raises(SaveConflictError, match=r"a project 'demo' already .*\n.*root="):
        import_project(tmp_path / "p.zip", root=tmp_path / "elsewhere")


@pytest.mark.parametrize(
    "document",
    [
        pytest.param('{"kind": "project"}', id="parts-missing"),
        pytest.param('[{"kind": "project"}]', id="list"),
        pytest.param("null", id="null"),
        pytest.param("{", id="no-json"),
        pytest.param("[" * 100_000, id="deep"),
        pytest.param(json.dumps({**EMPTY, "name": "a/b"}), id="no-name"),
    ],
)
def test_an_archive_of_something_else_leaves_nothing(tmp_path: Path, document: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("entity.json", document)
    with pytest.raises(ModelFormatError, match=r"a\.zip.*not the archive of a project"):
        import_project(tmp_path / "a.zip", root=tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


def test_a_document_that_is_no_entity_is_named(project: Project) -> None:
    item = project.log_dataitem("d", data=FRAME)
    document = item.path / "entity.json"
    document.write_text("[1]")
    with pytest.raises(ModelFormatError, match=r"entity\.json.*no entity"):
        project.get_dataitem("d")


def test_pickles_follow_the_trust_rules(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = write_artifact(
        Target(project._store, "demo", "a", "artifact"), value={"x": np.arange(3)}
    )
    value = artifact.as_object()
    assert isinstance(value, dict)
    assert value["x"].tolist() == [0, 1, 2]
    # What an administrator sets to forbid pickles.
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    with pytest.raises(UntrustedModelError):
        artifact.as_object()


def change_versions(artifact: Any, **versions: str) -> None:
    path = artifact.path / "versions.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **versions}))


def test_a_pickle_remembers_what_wrote_it(project: Project) -> None:
    target = Target(project._store, "demo", "a", "artifact")
    artifact = write_artifact(target, value=np.arange(3))
    assert json.loads((artifact.path / "versions.json").read_bytes())["numpy"] == np.__version__
    change_versions(artifact, numpy="0.1")
    with pytest.warns(PyfuncWarning, match=r"pickled with numpy 0.1 \(here: "):
        artifact.as_object()
    artifact.as_file().write_bytes(b"\x80\x05cnumpy\nno_such_name\n.")
    with (
        pytest.warns(PyfuncWarning),
        pytest.raises(ModelIncompleteError, match=r"hint: pickled with numpy 0.1"),
    ):
        artifact.as_object()
    code = write_artifact(target, value=lambda: 1)
    change_versions(code, python="3.9.1")
    with pytest.raises(IncompatiblePythonError, match=r"3\.9"):
        code.as_object()
    with pytest.raises(InvalidArgumentError, match="as_file"):
        project.log_artifact("file", source=__file__).as_object()


def test_attributes_that_are_not_there_name_those_that_are(project: Project) -> None:
    assert project.status.state == "CREATED"
    assert project.metadata.description is None
    with pytest.raises(AttributeError, match="only message, state"):
        _ = project.status.sate
    assert project.status.to_dict() == {"state": "CREATED"}


def test_the_key_of_something_else_is_refused(project: Project) -> None:
    item = project.log_dataitem("d", data=FRAME)
    with pytest.raises(InvalidArgumentError, match="expected the key of a model of 'demo'"):
        project.get_model(item.key)
    for name in ("dataitem", "model", "artifact", "secret", "function", "run", "task"):
        with pytest.raises(EntityNotFoundError):
            getattr(project, f"get_{name}")("none")


def test_the_import_loads_neither_pandas_nor_a_server() -> None:
    code = (
        "import sys, pyfunc.functions; from pyfunc.functions import Project, handler, Function;"
        "print(sorted({'pandas', 'numpy', 'uvicorn', 'starlette', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
