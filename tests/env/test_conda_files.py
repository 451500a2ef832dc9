"""A conda file means the same where it is given, restored and asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import pyfunc
from pyfunc.env import get_model_dependencies, update_requirements
from pyfunc.env.creating.recipe import read_recipe
from pyfunc.errors import InvalidArgumentError


class One(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return 1


def save(tmp_path: Path, conda_env: Any) -> Path:
    pyfunc.save_model(tmp_path / "m", python_model=One(), conda_env=conda_env)
    return tmp_path / "m"


def conda_of(model: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((model / "conda.yaml").read_text())
    return found


BY_PEOPLE = {
    "byte-order-mark": "\ufeffdependencies: [python=3.11, {pip: [six, idna]}]",
    "merge-key": "x: &x {dependencies: [python=3.11, {pip: [six, idna]}]}\n<<: *x\n",
    "merge-keys": "a: &a {name: n}\nb: &b {name: m, dependencies: [{pip: [six, idna]}]}\n"
    "<<: [*a, *b]\n",
    "two-sections": "dependencies:\n- pip: [six]\n- python=3.11\n- pip: [idna]\n",
    "an-empty-section": "dependencies:\n- pip:\n- pip: [six, idna]\n",
    "aliases": "dependencies:\n- &p python=3.11\n- pip: [&s six, idna]\n",
}


@pytest.mark.parametrize("text", BY_PEOPLE.values(), ids=BY_PEOPLE.keys())
def test_files_as_people_write_them(tmp_path: Path, text: str) -> None:
    (tmp_path / "env.yaml").write_text(text, encoding="utf-8")
    model = save(tmp_path, str(tmp_path / "env.yaml"))
    lines = (model / "requirements.txt").read_text().split("\n")
    assert lines[1:] == ["six", "idna"]
    assert read_recipe(model).requirements == ("six", "idna")


def test_what_stands_beside_a_merge_key_goes_first(tmp_path: Path) -> None:
    text = "x: &x {name: a, dependencies: [python]}\n<<: *x\ndependencies: [six]\n"
    (tmp_path / "env.yaml").write_text(text)
    conda = conda_of(save(tmp_path, str(tmp_path / "env.yaml")))
    assert (conda["name"], conda["dependencies"][0]) == ("a", "six")


@pytest.mark.parametrize("text", ["<<: 3\ndependencies: []", "<<: [a]\ndependencies: []"])
def test_only_mappings_are_merged(tmp_path: Path, text: str) -> None:
    (tmp_path / "env.yaml").write_text(text)
    with pytest.raises(InvalidArgumentError, match="a mapping to merge"):
        save(tmp_path, str(tmp_path / "env.yaml"))


@pytest.mark.parametrize("text", list(BY_PEOPLE.values())[3:5], ids=list(BY_PEOPLE)[3:5])
def test_several_sections_are_one_for_every_door(tmp_path: Path, text: str) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {python_function: {env: conda.yaml}}\n")
    (tmp_path / "conda.yaml").write_text(text)
    assert read_recipe(tmp_path).requirements == ("six", "idna")
    assert Path(get_model_dependencies(tmp_path)).read_text() == "six\nidna\n"
    (tmp_path / "requirements.txt").write_text("six\nidna")
    update_requirements(tmp_path, "remove", ["idna"])
    update_requirements(tmp_path, "add", ["six==1"])
    sections = [item for item in conda_of(tmp_path)["dependencies"] if isinstance(item, dict)]
    assert sections == [{"pip": ["six==1"]}]


@pytest.mark.parametrize(
    "item",
    [
        "numpy[version='>=1.20']",
        'numpy[version=">=1.20,<3", build="py*"]',
        "conda-forge::numpy >=1.20,<3|>=4",
        "_libgcc_mutex=0.1=main",
        "numpy=1.26.*=py311h*",
        "https://host/linux-64/a-1.0-0.conda#0123456789abcdef",
        "python(>=3.9)",
    ],
)
def test_what_conda_installs_is_saved_and_restored(tmp_path: Path, item: str) -> None:
    model = save(tmp_path, {"dependencies": [item]})
    assert conda_of(model)["dependencies"][0] == item
    assert read_recipe(model).conda == (item,)


@pytest.mark.parametrize("item", ["--file=/etc/passwd", "-c x", "a\nb", "$(touch x)", ""])
def test_what_conda_cannot_be_given_is_refused_at_once(tmp_path: Path, item: str) -> None:
    with pytest.raises(InvalidArgumentError, match="neither a conda package nor a channel"):
        save(tmp_path, {"dependencies": [item]})
    with pytest.raises(InvalidArgumentError, match="neither a conda package nor a channel"):
        save(tmp_path, {"dependencies": [], "channels": [item]})


@pytest.mark.parametrize(
    ("channel", "saved"),
    [
        ("conda-forge", "conda-forge"),
        ("pytorch/label/nightly", "pytorch/label/nightly"),
        ("/opt/channel", "/opt/channel"),
        ("file:///opt/channel", "file:///opt/channel"),
        ("https://host/t/tk-1234-abc/mine", "https://host/mine"),
        ("https://host/t/tk-1234-abc", "https://host"),
        ("https://u:p@host/t/tk-1/mine/label/x", "https://host/mine/label/x"),
        ("https://host/t/${TOKEN}/mine", "https://host/t/${TOKEN}/mine"),
        ("https://host/team/t1/mine", "https://host/team/t1/mine"),
    ],
)
def test_channels_are_saved_without_tokens_and_restored(
    tmp_path: Path, channel: str, saved: str
) -> None:
    model = save(tmp_path, {"channels": [channel], "dependencies": [f"{channel}::numpy"]})
    recipe = read_recipe(model)
    assert (recipe.channels, recipe.conda) == ((saved,), (f"{saved}::numpy",))
    assert "tk-" not in (model / "conda.yaml").read_text()


@pytest.mark.parametrize("channel", ["./channel", "../channel", "~/channel", ".", "file:channel"])
def test_a_channel_that_is_another_elsewhere_is_refused_at_save(
    tmp_path: Path, channel: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=r"(?s)another folder elsewhere.*whole path"):
        save(tmp_path, {"channels": [channel], "dependencies": ["numpy"]})


def test_a_wheel_of_the_model_is_saved_and_restored(tmp_path: Path) -> None:
    wheels = tmp_path / "my wheels"
    wheels.mkdir()
    (wheels / "a-1.0-py3-none-any.whl").write_bytes(b"")
    line = "code/my wheels/a-1.0-py3-none-any.whl ; python_version > '3'"
    pyfunc.save_model(
        tmp_path / "m",
        python_model=lambda model_input: 1,
        pip_requirements=[line],
        code_paths=[str(wheels)],
    )
    place = (tmp_path / "m" / line.partition(" ;")[0]).as_uri()
    assert read_recipe(tmp_path / "m").requirements == (f"a @ {place} ; python_version > '3'",)
    with pytest.raises(InvalidArgumentError, match=r"(?s)not in the model.*code/name\.whl"):
        pyfunc.save_model(
            tmp_path / "n", python_model=lambda model_input: 1, pip_requirements=[line]
        )
    assert not (tmp_path / "n").exists()


def test_a_commit_to_be_edited_is_restored_as_a_copy(tmp_path: Path) -> None:
    line = "-e git+https://h/a@v1#egg=a"
    model = save(tmp_path, {"dependencies": [{"pip": [line]}]})
    assert (model / "requirements.txt").read_text().split("\n")[1:] == [line]
    assert read_recipe(model).requirements == ("a @ git+https://h/a@v1#egg=a",)
