"""``pyfunc functions ui``: a real process, asked through a socket; it changes nothing."""

from __future__ import annotations

import http.client
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pytest

from pyfunc.errors import RunError
from pyfunc.functions import Project, Run, get_or_create_project
from tests.functions.conftest import HERE

SECRET = "hunter2-ü-of-the-team"
HTML = "<img src=x onerror=alert(1)>"
CODE = f'''
from pyfunc.functions import handler

@handler(outputs=["clean", "said"])
def clean(raw, limit, project):
    """Says {SECRET} aloud."""
    return raw.as_df().head(limit), project.get_secret("TOKEN").read_secret_value()

def train(rows):
    return {{"an": "object"}}

def talk(count):
    for number in range(count):
        print(f"line {{number}} {SECRET} {HTML}", flush=True)

def fail():
    raise ValueError("{SECRET} {HTML}")
'''


class Asker:
    """The server of the page, and requests to it."""

    def __init__(self, url: str) -> None:
        self.port = int(url.rpartition(":")[2].strip("/"))

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def get(self, *parts: str, **query: object) -> Any:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        path = "".join(f"/{quote(part, safe='')}" for part in parts)
        status, body = self.ask(f"/api/projects{path}?{asked}")
        assert status == 200, body
        return json.loads(body)

    def raw(self, request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(request)
            answer = b""
            while part := connection.recv(65536):
                answer += part
            return answer


def place(key: str) -> list[str]:
    """Return where the server has what a key names."""
    project, kind, *rest = key.removeprefix("store://").split("/")
    return [project, f"{kind}s", *rest[-1].split(":")]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ui") / "store"


@pytest.fixture(scope="module")
def project(root: Path) -> Project:
    return get_or_create_project("demo", root=root, description=f"{HTML} {SECRET}")


@pytest.fixture(scope="module")
def runs(project: Project) -> dict[str, Run]:
    """Return runs by name, with all that they leave."""
    project.new_secret("TOKEN", SECRET)
    frame = pd.DataFrame({"a": range(500), SECRET: [SECRET, HTML] * 250})
    raw = project.log_dataitem("raw", data=frame)

    def make(name: str) -> Any:
        return project.new_function(name, code=CODE, handler=name, python_version=HERE)

    clean = make("clean")
    found = {"clean": clean.run(inputs={"raw": raw}, parameters={"limit": 100}, cache=True)}
    found["cached"] = clean.run(inputs={"raw": raw}, parameters={"limit": 100}, cache=True)
    found["train"] = make("train").run(inputs={"rows": found["clean"].output("clean")})
    found["talk"] = make("talk").run(parameters={"count": 4000}, timeout=120)
    with pytest.raises(RunError):
        make("fail").run()
    found["fail"] = project.list_runs()[-1]
    return found


@pytest.fixture(scope="module")
def page(root: Path, runs: dict[str, Run]) -> Iterator[Asker]:
    command = [sys.executable, "-m", "pyfunc", "functions", "ui", "--port", "0"]
    with subprocess.Popen(
        [*command, "--root", str(root)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield Asker(process.stdout.readline().strip())
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def test_projects_are_shown(page: Asker, root: Path) -> None:
    found = page.get()
    assert found["root"] == str(root)
    [demo] = found["projects"]
    assert (demo["name"], demo["counts"]["runs"], demo["counts"]["functions"]) == ("demo", 5, 4)
    assert page.get("demo")["states"] == {"COMPLETED": 4, "ERROR": 1}


def test_runs_are_listed_the_newest_first(page: Asker, runs: dict[str, Run]) -> None:
    found = page.get("demo", "runs")
    assert [run["id"] for run in found["items"]] == [run.id for run in runs.values()][::-1]
    assert found["items"][-1]["results"] == {"said": "***"}
    assert found["items"][-2]["cached_from"] == runs["clean"].key
    part = page.get("demo", "runs", limit=2, offset=1)
    assert (part["total"], part["items"]) == (5, found["items"][1:3])
    assert page.get("demo", "runs", name="clean")["total"] == 2
    assert page.get("demo", "runs", state="ERROR")["items"] == found["items"][:1]
    assert page.get("demo", "functions", name="talk")["total"] == 1


def test_an_entity_is_shown_with_code_and_file(page: Asker, runs: dict[str, Run]) -> None:
    found = page.get(*place(runs["clean"].key))
    assert found["document"]["spec"]["parameters"] == {"limit": 100}
    assert "base64" not in found["document"]["spec"]["source"]
    assert "def clean" in found["code"]
    output = runs["clean"].output("clean", strict=True)
    assert output is not None
    shown = page.get(*place(output.key))
    assert shown["file"] == {
        "path": str(output.as_file()), "size": output.as_file().stat().st_size
    }  # fmt: skip


def test_a_lineage_leads_from_inputs_to_later_runs(page: Asker, runs: dict[str, Run]) -> None:
    first, later = runs["clean"], runs["train"]
    output, raw = first.outputs(as_key=True)["clean"], first.spec.inputs["raw"]
    found = page.get(*place(first.key), "lineage")
    assert {node["key"]: node["column"] for node in found["nodes"]} == {
        raw: 1, first.key: 2, output: 3, later.key: 4
    }  # fmt: skip
    assert [(edge["from"], edge["to"], edge["label"]) for edge in found["edges"]] == [
        (raw, first.key, "raw"),
        (first.key, output, "clean"),
        (output, later.key, "rows"),
    ]
    before = page.get(*place(later.key), "lineage")
    assert {"from": first.key, "to": output, "label": ""} in before["edges"]
    cached = page.get(*place(runs["cached"].key), "lineage")["edges"]
    assert (first.key, runs["cached"].key) in [(edge["from"], edge["to"]) for edge in cached]


def test_a_log_is_read_in_parts(page: Asker, runs: dict[str, Run]) -> None:
    where, text, offset = [*place(runs["talk"].key), "log"], "", 0
    while True:
        part = page.get(*where, offset=offset)
        assert part["start"] == offset
        text, offset = text + part["text"], part["end"]
        if offset == part["size"]:
            break
    whole = runs["talk"].path.joinpath("log.txt").read_text().replace(SECRET, "***")
    assert text == whole
    tail = page.get(*where)
    assert tail["is_over"]
    assert 0 < tail["start"] < tail["end"] == tail["size"]
    assert whole.endswith(tail["text"])
    assert page.get(*where, offset=10**12)["text"] == ""


def test_a_secret_is_hidden_wherever_a_part_begins(page: Asker, runs: dict[str, Run]) -> None:
    where = [*place(runs["talk"].key), "log"]
    data = runs["talk"].path.joinpath("log.txt").read_bytes()
    begin = data.index(SECRET.encode())
    for offset in range(begin - 1, begin + len(SECRET.encode())):
        assert page.get(*where, offset=offset)["text"].lstrip().startswith("*** <img")
    folder = runs["fail"].path.joinpath("log.txt")
    folder.write_bytes(b"x" * (65536 - 5) + SECRET.encode() + b"y" * 100)
    part = page.get(*place(runs["fail"].key), "log", offset=0)
    rest = page.get(*place(runs["fail"].key), "log", offset=part["end"])
    assert set(part["text"] + rest["text"]) == {"x", "*", "y"}


def test_no_answer_holds_a_secret(page: Asker, project: Project, runs: dict[str, Run]) -> None:
    asked: list[list[str]] = [[], ["demo"]]
    types = ("runs", "functions", "tasks", "dataitems", "artifacts", "models", "secrets")
    for kind in types:
        asked.append(["demo", kind])
        for item in page.get("demo", kind)["items"]:
            found = place(item["key"])
            asked.append(found)
            if kind == "runs":
                asked += [[*found, "log"], [*found, "lineage"]]
            if kind in ("dataitems", "artifacts", "models"):
                asked.append([*found, "preview"])
    for parts in asked:
        assert SECRET not in json.dumps(page.get(*parts), ensure_ascii=False), parts
    assert len(asked) > 30


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:1234", 200),
        ("LocalHost", 200),
        ("127.1.2.3:80", 200),
        ("[::1]:5001", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("evil.example:127", 403),
        ("localhost@evil.example", 403),
        ("0.0.0.0", 403),
        ("192.168.0.1", 403),
        ("::1", 403),
        ("", 403),
    ],
)
def test_only_names_of_this_machine_are_answered(page: Asker, host: str, status: int) -> None:
    assert page.ask("/api/projects", Host=host)[0] == status
    assert page.ask("/", Host=host)[0] == status


@pytest.mark.parametrize(
    "request_text",
    [
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", id="none"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\nConnection: close\r\n\r\n",
            id="two",
        ),
    ],
)
def test_one_name_is_asked_for(page: Asker, request_text: bytes) -> None:
    answer = page.raw(request_text)
    assert answer.split(b" ")[1] in (b"400", b"403")
    assert b"<html" not in answer


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_is_changed(page: Asker, root: Path, runs: dict[str, Run], method: str) -> None:
    before = snapshot(root)
    run = "/".join(place(runs["clean"].key))
    for path in ("", "/demo", "/demo/runs", f"/{run}", f"/{run}/log", f"/{run}/stop"):
        assert page.ask(f"/api/projects{path}", method)[0] in (404, 405)
    assert page.ask("/", method)[0] == 405
    assert snapshot(root) == before


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/none", 404),
        ("/%2e%2e", 400),
        ("/..%2f..%2fetc", 404),
        ("/demo/none", 404),
        ("/demo/runs/" + "0" * 32, 404),
        ("/demo/runs/none", 400),
        ("/demo/dataitems/%2e%2e/" + "0" * 32, 400),
        ("/demo/dataitems/raw/%2e%2e", 400),
        ("/demo/dataitems/raw", 400),
        ("/demo/runs?limit=x", 400),
        ("/demo/runs?offset=-1", 400),
        ("/demo/runs?offset=" + "9" * 30, 400),
    ],
)
def test_what_is_not_there_is_told(page: Asker, path: str, status: int) -> None:
    found, body = page.ask(f"/api/projects{path}")
    assert (found, "message" in json.loads(body)) == (status, True)


def test_a_path_of_a_document_stays_in_its_entity(
    page: Asker, project: Project, tmp_path: Path, runs: dict[str, Run]
) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text("a\nprivate words\n")
    inside = project.log_dataitem("loose", source=outside)
    document = inside.path / "entity.json"
    original = document.read_text()
    up = "../" * (len(inside.path.parts) - 1)
    for said in (f"{up}{str(outside)[1:]}", str(outside), "data", "..", "data/link.csv"):
        tree = json.loads(original)
        tree["spec"]["path"] = said
        document.write_text(json.dumps(tree))
        link = inside.path / "data" / "link.csv"
        if said.endswith("link.csv"):
            link.symlink_to(outside)
        for parts in ([], ["preview"]):
            where = "/".join([*place(inside.key), *parts])
            assert b"private" not in page.ask(f"/api/projects/{where}")[1]
    inside.delete()


def test_a_pickle_is_not_loaded(page: Asker, project: Project, tmp_path: Path) -> None:
    target = tmp_path / "loaded"

    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (target,)

    for name in ("trap.pickle", "trap.pkl", "trap.joblib", "trap.csv", "trap.parquet"):
        path = tmp_path / name
        path.write_bytes(pickle.dumps(Trap()))
        artifact = project.log_artifact("trap", source=path)
        assert page.get(*place(artifact.key), "preview")["kind"] != "folder"
    assert not target.exists()


def test_a_preview_reads_the_head_only(page: Asker, project: Project, tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    path.write_text("a,b\n" + "".join(f"{i},{i * i}\n" for i in range(100)) + "x" * 300_000)
    item = project.log_dataitem("large", source=path)
    os.truncate(item.as_file(), 1 << 40)  # without so many bytes on the disk
    found = page.get(*place(item.key), "preview")
    assert (found["columns"], len(found["rows"]), found["total"]) == (["a", "b"], 50, None)
    assert found["rows"][49] == ["49", "2401"]
    wide = tmp_path / "wide.csv"
    wide.write_text(",".join(map(str, range(500))) + "\n" + ",".join(["y" * 300] * 500) + "\n")
    found = page.get(*place(project.log_dataitem("wide", source=wide).key), "preview")
    assert (len(found["columns"]), found["more_columns"], found["total"]) == (50, 450, 1)
    assert len(found["rows"][0][0]) < 300


def test_a_parquet_file_is_read_up_to_the_rows_that_are_shown(
    page: Asker, project: Project, tmp_path: Path
) -> None:
    path = tmp_path / "large.parquet"
    values = [2**60 + 1, *range(199_999)]
    frame = pd.DataFrame({"n": values, "t": ["é\n"] * 200_000})
    frame.to_parquet(path, row_group_size=100_000)
    item = project.log_dataitem("groups", source=path)
    data = bytearray(item.as_file().read_bytes())
    data[len(data) // 2 : -20_000] = bytes(len(data) // 2 - 20_000 + len(data) % 2)
    item.as_file().write_bytes(data)
    found = page.get(*place(item.key), "preview")
    assert found["rows"][0] == [str(2**60 + 1), "é\n"]
    assert (found["columns"], len(found["rows"]), found["total"]) == (["n", "t"], 50, 200_000)
    item.as_file().write_bytes(b"PAR1 no")
    assert "cannot be read" in page.get(*place(item.key), "preview")["reason"]


def test_folders_and_texts_are_previewed(page: Asker, project: Project, tmp_path: Path) -> None:
    tmp_path.joinpath("notes.md").write_text(f"# {HTML}\n{SECRET}\n")
    tmp_path.joinpath("raw.bin").write_bytes(b"\0\1")
    folder = project.log_artifact("folder", source=tmp_path)
    entries = page.get(*place(folder.key), "preview")["entries"]
    assert [entry["path"] for entry in entries] == ["notes.md", "raw.bin"]
    text = project.log_artifact("text", source=tmp_path / "notes.md")
    assert page.get(*place(text.key), "preview") == {
        "kind": "text", "text": f"# {HTML}\n***\n", "more": 0
    }  # fmt: skip
    binary = project.log_artifact("binary", source=tmp_path / "raw.bin")
    assert page.get(*place(binary.key), "preview")["kind"] == "none"


def test_a_port_that_is_taken_is_told(page: Asker, root: Path) -> None:
    command = [sys.executable, "-m", "pyfunc", "functions", "ui", "--port", str(page.port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert f"port {page.port}" in done.stderr


def test_a_run_whose_process_is_gone_is_an_error_where_it_is_shown(
    page: Asker, project: Project, root: Path
) -> None:
    script = f"""
        import os, signal
        from pyfunc.functions import get_project
        function = get_project("demo", root={str(root)!r}).new_function(
            "dies", code="def f():\\n import os\\n os.kill(os.getpid(), 9)", handler="f",
            python_version={HERE!r})
        function.run()
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode == -signal.SIGKILL
    newest = page.get("demo", "runs", name="dies")["items"][0]
    assert (newest["state"], newest["message"]) == ("ERROR", "the process of the run is gone")
