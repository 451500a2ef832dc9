"""What of a project goes into a model, and what is refused before anything is written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import pyfunc
from pyfunc.code.project_files import find_project_files, parse_ignore_rules
from pyfunc.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    ModelNotFoundError,
    PyfuncWarning,
)
from pyfunc.handlers import add_handler

Save = Callable[..., Path]
Load = Callable[[Path], pyfunc.PyFuncModel]
Project = Callable[..., Path]

PASS = "def pre_inference(sample, signature, metadata):\n    return sample\n"


def section_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((path / "MLmodel").read_text())["flavors"]
    return found["request_handler"]  # type: ignore[no-any-return]


def test_the_model_describes_the_handler_in_a_flavor_of_its_own(save: Save) -> None:
    path = save(PASS, handler_metadata={"threshold": 0.5})
    assert section_of(path) == {
        "path": "handler.py",
        "project": "project",
        "api": 1,
        "metadata": {"threshold": 0.5},
        "python_path": ["."],
    }
    assert (path / "project" / "handler.py").read_text() == PASS


def test_a_model_without_a_handler_says_nothing_of_it(save: Save, load: Load) -> None:
    path = save(PASS, handler=None, project_dir=None)
    assert "request_handler" not in (path / "MLmodel").read_text()
    assert not (path / "project").exists()
    model = load(path)
    assert model.request_handler is None
    with pytest.raises(pyfunc.PyfuncError, match="without a request handler"):
        model.predict_sample(1)


def test_a_handler_alone_brings_no_other_file(save: Save, project: Project) -> None:
    root = project({"alone.py": PASS, "secret.txt": "no"}, "folder")
    path = save(handler=root / "alone.py", project_dir=None)
    assert sorted(os.listdir(path / "project")) == ["alone.py"]


PARTS = {
    "handler.py": PASS,
    "config.json": "{}",
    "inner/deep.txt": "x",
    "cortex.yaml": "[]",
    ".env": "SECRET=1",
    ".git/config": "",
    "inner/.hidden": "",
    "old.pyc": "",
    "old.pyo": "",
    "old.pyd": "",
    "__pycache__/handler.cpython-311.pyc": "",
    "venv/pyvenv.cfg": "",
    "venv/lib/site.py": "",
    "data/big.bin": "",
    "data/keep.bin": "",
    "notes/todo.md": "",
    ".pyfuncignore": "# nothing\n*.bin\n!keep.bin\nnotes/\n",
}


def test_what_belongs_to_a_project(project: Project) -> None:
    found = find_project_files(project(PARTS))
    assert sorted(found) == [
        "config.json",
        "cortex.yaml",
        "data/keep.bin",
        "handler.py",
        "inner/deep.txt",
    ]


@pytest.mark.parametrize(
    ("rules", "path", "folder", "ignored"),
    [
        pytest.param("*.csv", "a.csv", False, True, id="at-the-top"),
        pytest.param("*.csv", "a/b/c.csv", False, True, id="at-any-depth"),
        pytest.param("/a.csv", "b/a.csv", False, False, id="anchored-by-a-leading-slash"),
        pytest.param("b/*.csv", "b/a.csv", False, True, id="anchored-by-a-slash-inside"),
        pytest.param("b/*.csv", "c/b/a.csv", False, False, id="anchored-not-deeper"),
        pytest.param("a/**/z", "a/b/c/z", False, True, id="two-stars-between"),
        pytest.param("a/**/z", "a/z", False, True, id="two-stars-for-nothing"),
        pytest.param("a/**", "a/b/c", False, True, id="two-stars-at-the-end"),
        pytest.param("a*", "b/ab/c", False, False, id="a-star-stops-at-slashes"),
        pytest.param("?.txt", "a.txt", False, True, id="one-character"),
        pytest.param("?.txt", "ab.txt", False, False, id="one-character-only"),
        pytest.param("logs/", "logs", False, False, id="a-folder-rule-and-a-file"),
        pytest.param("logs/", "x/logs", True, True, id="a-folder-rule-and-a-folder"),
        pytest.param("*.txt\n!a.txt", "a.txt", False, False, id="taken-back"),
        pytest.param("!a.txt\n*.txt", "a.txt", False, True, id="the-last-rule-decides"),
        pytest.param("a.txt", "aXtxt", False, False, id="a-dot-is-a-dot"),
        pytest.param("# a.txt\n\n", "a.txt", False, False, id="comments-and-blank-lines"),
    ],
)
def test_ignore_rules(rules: str, path: str, folder: bool, ignored: bool) -> None:
    found = False
    for rule in parse_ignore_rules(rules):
        if (folder or not rule.only_folders) and rule.pattern.fullmatch(path):
            found = not rule.negated
    assert found is ignored


def test_links_bring_what_they_lead_to(project: Project, tmp_path: Path) -> None:
    root = project({"handler.py": PASS})
    outside = project({"shared.txt": "x"}, "outside")
    (root / "link.txt").symlink_to(outside / "shared.txt")
    (root / "folder").symlink_to(outside)
    assert sorted(find_project_files(root)) == ["folder/shared.txt", "handler.py", "link.txt"]


def test_a_link_in_a_circle_is_refused(project: Project) -> None:
    root = project({"handler.py": PASS})
    (root / "again").symlink_to(root)
    with pytest.raises(InvalidArgumentError, match="leads to a folder around it"):
        find_project_files(root)


def test_the_model_itself_is_not_part_of_its_project(save: Save, project: Project) -> None:
    root = project({"handler.py": PASS}, "model-project")
    for _ in range(2):
        pyfunc.save_model(
            root / "saved",
            python_model=lambda model_input: model_input,
            pip_requirements=[],
            handler="handler.py",
            project_dir=root,
            overwrite=True,
        )
    assert sorted(os.listdir(root / "saved" / "project")) == ["handler.py"]


TAKES = "can only accept positional arguments"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param("def pre_inference(sample):\n    pass", "but found .sample.", id="too-few"),
        pytest.param(
            "def pre_inference(sample, metadata, signature):\n    pass",
            r"expected function arguments \(sample, signature, metadata\)",
            id="order",
        ),
        pytest.param(
            "def post_inference(sample, signature, metadata):\n    pass",
            r"\(prediction, signature, metadata\)",
            id="a-sample-is-no-prediction",
        ),
        pytest.param("def pre_inference(*args):\n    pass", TAKES, id="star"),
        pytest.param("def pre_inference(**kwargs):\n    pass", TAKES, id="two-stars"),
        pytest.param(
            "def pre_inference(sample, signature, metadata=None):\n    pass", TAKES, id="default"
        ),
        pytest.param(
            "def pre_inference(sample, signature, *, metadata):\n    pass", TAKES, id="keyword"
        ),
        pytest.param(
            "async def pre_inference(sample, signature, metadata):\n    pass",
            "must not be async",
            id="async",
        ),
        pytest.param("def init(path):\n    pass", "function init: expected", id="init"),
        pytest.param("def pre_inference(:\n", "not valid Python", id="syntax"),
        pytest.param("x = '\0'", "not valid Python", id="nul"),
    ],
)
def test_functions_are_checked_without_being_run(
    save: Save, tmp_path: Path, source: str, message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        save(f"raise SystemExit('ran')\n{source}")
    assert not (tmp_path / "model").exists()


ARGUMENTS: list[Any] = [
    pytest.param({"handler": "gone.py"}, ModelNotFoundError, "does not exist", id="no-file"),
    pytest.param({"handler": "../x.py"}, InvalidArgumentError, "not inside", id="outside"),
    pytest.param({"handler": "h.pickle"}, InvalidArgumentError, "Python file", id="pickle"),
    pytest.param({"handler": 5}, InvalidTypeError, "handler: expected a path", id="number"),
    pytest.param({"handler": ""}, InvalidTypeError, "handler: expected a path", id="empty"),
    pytest.param(
        {"handler": ".hidden.py"}, InvalidArgumentError, "left out of the project", id="hidden"
    ),
    pytest.param({"project_dir": 5}, InvalidTypeError, "project_dir: expected", id="project"),
    pytest.param({"handler": None}, InvalidArgumentError, "without handler", id="no-handler"),
    pytest.param({"handler_metadata": [1]}, InvalidTypeError, "a mapping", id="metadata-list"),
    pytest.param({"handler_metadata": {1: 2}}, InvalidArgumentError, "be text", id="metadata-key"),
    pytest.param(
        {"handler_metadata": {"a": object()}},
        InvalidArgumentError,
        "handler_metadata",
        id="object",
    ),
    pytest.param(
        {"handler_python_path": ["nowhere"]}, InvalidArgumentError, "no such folder", id="path"
    ),
    pytest.param({"handler_python_path": "../up"}, InvalidArgumentError, "'..'", id="path-up"),
    pytest.param({"handler_python_path": [1]}, InvalidTypeError, "expected paths", id="path-1"),
    pytest.param(
        {"handler_output_style": "tf"}, InvalidArgumentError, "'pyfunc' or 'onnx'", id="style"
    ),
    pytest.param({"handler_tracker": "label"}, InvalidTypeError, "a mapping", id="tracker-text"),
    pytest.param(
        {"handler_tracker": {"key": "a"}}, InvalidArgumentError, "model_type", id="tracker-type"
    ),
    pytest.param(
        {"handler_tracker": {"model_type": "regression", "key": 5}},
        InvalidTypeError,
        "handler_tracker: key: expected text",
        id="tracker-key",
    ),
    pytest.param(
        {"handler_tracker": {"model_type": "regression", "keys": "a"}},
        InvalidArgumentError,
        "expected the keys",
        id="tracker-unknown",
    ),
]


@pytest.mark.parametrize(("arguments", "error", "message"), ARGUMENTS)
def test_arguments_that_cannot_work(
    save: Save, tmp_path: Path, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        save(PASS, files={".hidden.py": PASS}, **arguments)
    assert not (tmp_path / "model").exists()


def test_a_path_of_containers_in_the_source_is_a_warning(save: Save) -> None:
    with pytest.warns(PyfuncWarning, match="project_dir of the handler"):
        save(PASS + "# open('/mnt/project/config.json')\n")


def test_requirements_of_the_project_become_the_model_s(save: Save) -> None:
    path = save(
        PASS,
        files={"requirements.txt": "msgpack==0.6.1\n-r more.txt\n", "more.txt": "six>=1.0\n"},
        pip_requirements=["numpy"],
    )
    lines = (path / "requirements.txt").read_text().splitlines()
    assert lines[1:] == ["numpy", "msgpack==0.6.1", "six>=1.0"]
    conda = yaml.safe_load((path / "conda.yaml").read_text())
    assert conda["dependencies"][-1]["pip"] == lines


def test_requirements_of_the_project_join_a_conda_environment(save: Save) -> None:
    path = save(
        PASS,
        files={"requirements.txt": "msgpack==0.6.1\n"},
        pip_requirements=None,
        conda_env={"dependencies": ["python=3.11", {"pip": ["numpy"]}]},
    )
    assert (path / "requirements.txt").read_text().splitlines()[1:] == ["numpy", "msgpack==0.6.1"]


def test_requirements_of_the_project_join_inferred_ones(save: Save) -> None:
    source = "import yaml\n" + PASS
    path = save(source, files={"requirements.txt": "six==1.0\n"}, pip_requirements=None)
    lines = (path / "requirements.txt").read_text().lower().splitlines()
    assert "six==1.0" in lines
    assert [line for line in lines if line.startswith("pyyaml==")]


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"pip_requirements": ["six==1.16.0"]}, id="pip"),
        pytest.param(
            {"pip_requirements": None, "extra_pip_requirements": ["six==1.16.0"]}, id="extra"
        ),
        pytest.param(
            {"pip_requirements": None, "conda_env": {"dependencies": [{"pip": ["six==1.16.0"]}]}},
            id="conda",
        ),
    ],
)
def test_requirements_that_contradict_are_an_error(
    save: Save, tmp_path: Path, environment: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgumentError, match="contradicts"):
        save(PASS, files={"requirements.txt": "six==1.15.0\n"}, **environment)
    assert not (tmp_path / "model").exists()


def test_constraints_of_the_project_become_the_model_s(save: Save) -> None:
    files = {"requirements.txt": "six\n-c limits.txt\n", "limits.txt": "six<2\n"}
    path = save(PASS, files=files)
    assert (path / "constraints.txt").read_text() == "six<2"
    conda = {"dependencies": ["python=3.11"]}
    with pytest.raises(InvalidArgumentError, match="constraints, which conda_env cannot hold"):
        save(PASS, files=files, name="other", pip_requirements=None, conda_env=conda)


def test_a_conda_environment_without_pip_gets_a_section(save: Save) -> None:
    path = save(
        PASS,
        files={"requirements.txt": "six==1.16.0\n"},
        pip_requirements=None,
        conda_env={"dependencies": ["python=3.11"]},
    )
    assert (path / "requirements.txt").read_text().splitlines()[1:] == ["six==1.16.0"]


@pytest.mark.parametrize("name", ["requirements.txt", ".pyfuncignore"])
def test_files_that_are_not_text(save: Save, project: Project, name: str) -> None:
    root = project({"handler.py": PASS}, "model-project")
    (root / name).write_bytes(b"\xff\xfd")
    with pytest.raises(InvalidArgumentError, match="not UTF-8 text"):
        save(PASS)


def test_a_project_that_is_not_there(save: Save, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="does not exist"):
        save(PASS, project_dir=tmp_path / "gone")
    with pytest.raises(ModelNotFoundError, match="no such folder"):
        find_project_files(tmp_path / "gone")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("-r ../other.txt\n", "outside the project", id="outside"),
        pytest.param("-r gone.txt\n", "no such file", id="missing"),
        pytest.param("not a requirement\n", "requirements.txt", id="malformed"),
    ],
)
def test_requirements_files_that_cannot_work(save: Save, text: str, message: str) -> None:
    with pytest.raises(pyfunc.PyfuncError, match=message):
        save(PASS, files={"requirements.txt": text})


def test_a_handler_is_added_to_a_saved_model(save: Save, load: Load, project: Project) -> None:
    path = save(PASS, handler=None, project_dir=None, pip_requirements=["numpy"])
    root = project({"h.py": PASS, "requirements.txt": "six==1.16.0\n"}, "added")
    assert add_handler(path, "h.py", project_dir=root, handler_metadata={"a": 1}) == path
    assert section_of(path)["metadata"] == {"a": 1}
    assert (path / "requirements.txt").read_text().splitlines()[1:] == ["numpy", "six==1.16.0"]
    assert pyfunc.verify(path).files.keys() >= {"project/h.py", "MLmodel"}
    assert load(path).predict_sample([1]) == [1]


def test_a_handler_is_replaced(save: Save, load: Load, project: Project) -> None:
    path = save("def broken(", handler=None, project_dir=None)
    for answer in ("one", "two"):
        root = project(
            {
                f"{answer}.py": f"def post_inference(prediction, signature, metadata):\n"
                f"    return {answer!r}\n"
            },
            answer,
        )
        add_handler(path, f"{answer}.py", project_dir=root)
    assert load(path).predict_sample(1) == "two"
    assert sorted(os.listdir(path / "project")) == ["two.py"]


def test_a_copy_gets_the_handler(save: Save, load: Load, project: Project, tmp_path: Path) -> None:
    path = save(PASS, handler=None, project_dir=None)
    before = (path / "MLmodel").read_bytes()
    copy = add_handler(path, project({"h.py": PASS}) / "h.py", path=tmp_path / "copy")
    assert load(copy).predict_sample(3) == 3
    assert (path / "MLmodel").read_bytes() == before
    with pytest.raises(pyfunc.SaveConflictError):
        add_handler(path, project({"h.py": PASS}) / "h.py", path=copy)


def test_a_changed_model_gets_no_handler(save: Save, project: Project) -> None:
    path = save(PASS, handler=None, project_dir=None)
    (path / "requirements.txt").write_text("evil")
    with pytest.raises(pyfunc.ModelIntegrityError):
        add_handler(path, project({"h.py": PASS}) / "h.py")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("six==1.15.0\n", id="contradiction"),
        pytest.param("-c c.txt\n", id="constraints"),
    ],
)
def test_requirements_that_cannot_be_added(save: Save, project: Project, text: str) -> None:
    path = save(PASS, handler=None, project_dir=None, pip_requirements=["six==1.16.0"])
    root = project({"h.py": PASS, "requirements.txt": text, "c.txt": "six<2\n"})
    with pytest.raises(InvalidArgumentError, match="of the project"):
        add_handler(path, "h.py", project_dir=root)
    assert "request_handler" not in (path / "MLmodel").read_text()
