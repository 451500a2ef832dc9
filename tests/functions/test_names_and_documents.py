"""Keys, names and the dict forms of entities."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, SchemaError
from pyfunc.functions import Project
from pyfunc.functions.documents import from_document, read_relationships, to_form
from pyfunc.functions.names import Key, check_name, new_id, parse_key, parse_reference

ID = "2d0c00b7a4f34a0081c830fbe438cf13"
THEIRS = Path(__file__).parents[1] / "data" / "digitalhub"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("store://p", Key("p"), id="project"),
        pytest.param(
            f"store://p/dataitem/table/d.1:{ID}",
            Key("p", "dataitem", "table", "d.1", ID),
            id="full",
        ),
        pytest.param(
            "store://p/model/mlflow/m", Key("p", "model", "mlflow", "m", None), id="newest"
        ),
        pytest.param(
            f"store://p/run/python+run/{ID}", Key("p", "run", "python+run", ID, ID), id="run"
        ),
        pytest.param(
            f"store://p/run/python+job:run/{ID}",
            Key("p", "run", "python+job:run", ID, ID),
            id="newer-run",
        ),
    ],
)
def test_a_key_is_read_and_written(text: str, expected: Key) -> None:
    assert parse_key(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "store://", "p/dataitem/table/d", "store://p/thing/table/d:1", "store://p/../x/y",
        f"store://../dataitem/table/d:{ID}", f"store://p/dataitem/table/..:{ID}",
        "store://p/run/python+run/../../x", "store://p/dataitem/table/d:../x",
    ],
)  # fmt: skip
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        parse_key(text)


def test_a_key_has_to_be_text() -> None:
    with pytest.raises(InvalidTypeError, match="store://"):
        parse_key(None)


NAMES = st.from_regex(r"[a-zA-Z0-9_+-][a-zA-Z0-9._+-]{0,60}", fullmatch=True)


@given(NAMES, NAMES, st.sampled_from(["artifact", "dataitem", "function", "model", "secret"]))
def test_every_key_reads_back_equal(project: str, name: str, entity_type: str) -> None:
    key = Key(project, entity_type, "kind", name, new_id())
    assert parse_key(str(key)) == key


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "ä", "a\n", "x" * 256, "a:b"])
def test_what_cannot_be_a_directory_is_no_name(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="name of the model"):
        check_name(name, "model")


def test_references_in_specs() -> None:
    assert parse_reference(f"python://p/f:{ID}").id == ID
    assert str(parse_reference(f"python+job://p/{ID}")) == f"python+job://p/{ID}"
    with pytest.raises(InvalidArgumentError, match="expected python://"):
        parse_reference("python:p")


def documents() -> list[Any]:
    return [
        pytest.param(document, id=f"{path.stem}-{document['kind']}")
        for path in sorted(THEIRS.glob("documents_*.json"))
        for document in json.loads(path.read_bytes())
    ]


@pytest.mark.parametrize("theirs", documents())
def test_documents_of_the_real_packages_are_read(theirs: dict[str, Any]) -> None:
    ours = from_document(theirs)
    assert ours["spec"] == theirs["spec"]
    assert ours["status"] == theirs["status"]
    assert (ours["name"], ours["id"]) == (theirs["name"], theirs["id"])
    assert ":run" not in ours["kind"] + ours["key"]


def test_the_newer_form_names_the_action_in_the_kind_of_a_run(project: Project) -> None:
    function = project.new_function(
        "f", code="def f(): pass", handler="f", python_version="PYTHON3_11"
    )
    run = function.run(env="local")
    newer = run.to_dict("0.15")
    assert newer["kind"] == "python+job:run"
    assert newer["key"] == f"store://demo/run/python+job:run/{run.id}"
    assert from_document(newer) == run.to_dict()


def test_resources_are_one_amount_in_the_newer_form(project: Project) -> None:
    function = project.new_function(
        "f", code="def f(): pass", handler="f", python_version="PYTHON3_11", image="i:1"
    )
    given = {"cpu": {"requests": "1", "limits": "2"}, "mem": {"requests": "1Gi"}}
    run = function.run("job", local_execution=False, resources=given)
    document = run.to_dict("0.15")
    assert document["spec"]["resources"] == {"cpu": "2", "mem": "1Gi"}
    assert run.to_dict()["spec"]["resources"] == given
    document["spec"]["resources"] = {"cpu": 2, "mem": "1Gi", "gpu": None}
    again = from_document(document)["spec"]["resources"]
    assert again == {"cpu": {"limits": "2"}, "mem": {"limits": "1Gi"}, "gpu": None}
    assert from_document(run.to_dict())["spec"]["resources"] == given


def test_relations_to_runs_follow_the_form() -> None:
    key = f"store://p/run/python+run/{ID}"
    document = from_document(
        {
            "kind": "table",
            "metadata": {"relationships": [{"type": "produced_by", "dest": key}]},
            "spec": {}, "status": {}, "project": "p", "name": "d", "id": ID,
            "key": f"store://p/dataitem/table/d:{ID}",
        }
    )  # fmt: skip
    [relation] = read_relationships(to_form(document, "0.15"))
    assert relation["dest"] == f"store://p/run/python+job:run/{ID}"


def test_all_that_a_document_lacks_is_named() -> None:
    with pytest.raises(SchemaError) as raised:
        from_document({"kind": 1, "metadata": {}, "spec": []})
    assert [problem.path for problem in raised.value.problems] == [
        "id",
        "key",
        "kind",
        "name",
        "spec",
        "status",
    ]


def test_an_unknown_form_is_refused(project: Project) -> None:
    with pytest.raises(InvalidArgumentError, match="form"):
        project.to_dict("0.9")  # type: ignore[arg-type]


def test_a_document_is_written_to_a_file(project: Project, tmp_path: Path) -> None:
    path = project.new_secret("s", "v").export(tmp_path / "s.yaml", form="0.15")
    assert json.loads(path.read_bytes())["kind"] == "secret"
