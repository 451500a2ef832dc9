"""The direction of dependency, the choke points, and what importing the package costs."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).parents[2]
FOLDERS = {
    "pyfunc": REPOSITORY / "pyfunc",
    "pyfunc.schema": REPOSITORY / "schema",
    "pyfunc.env": REPOSITORY / "env",
    "pyfunc.flavors": REPOSITORY / "flavors",
}
LINKS = ("schema", "env", "flavors")

# The house, from the ground up: a module may import from its own room and from floors below.
# Rooms of one floor are strangers. A new room fails the test until it has a place here.
FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"_lazy", "errors", "version"}),
    frozenset({"variables"}),
    frozenset({"files", "pickles", "trust", "types"}),
    frozenset({"code", "directory"}),
    frozenset({"env", "schema"}),
    frozenset({"model"}),
    frozenset({"handlers", "processes"}),
    frozenset({"chat"}),
    frozenset({"deploy", "loading", "saving"}),
    frozenset({"tracking"}),
    frozenset({"distributed", "flavors", "serving"}),
    frozenset({"cortex", "functions", "inspection", "validation"}),
    frozenset({"cli", "isolated"}),
    frozenset({"__main__"}),
)
# Inside a room of more than eight modules the parts have floors of their own; what is named
# together may import each other, since it is one noun.
PARTS: dict[str, tuple[frozenset[str], ...]] = {
    "chat": (
        frozenset({"loaders", "problems", "signatures"}),
        frozenset({"classes", "requests"}),
        frozenset({"kinds", "loaded"}),
        frozenset({"examples", "runner"}),
    ),
    "cli": (
        frozenset({"exits", "streams"}),
        frozenset({"function_options", "options", "server_options"}),
        frozenset({"run"}),
        frozenset(
            {
                "converting",
                "dockerfile",
                "environments",
                "functions",
                "inspecting",
                "kubernetes",
                "predict",
                "requirements",
                "serve",
                "validating",
            }
        ),
        frozenset({"app"}),
        frozenset({"entry"}),
    ),
    "code": (
        frozenset({"aliases", "calling", "children", "content", "shipped", "source_imports"}),
        frozenset({"bindings", "own_files", "project_files", "statements"}),
        frozenset({"finder"}),
        frozenset({"inherited", "scope"}),
    ),
    "deploy": (
        frozenset({"actions", "containers", "dockerfile", "engine", "instructions"}),
        frozenset({"image", "kubernetes"}),
        frozenset({"model_image"}),
    ),
    "distributed": (
        frozenset({"archives", "arrow", "kubernetes"}),
        frozenset({"batch", "spark"}),
        frozenset({"ray"}),
    ),
    "env": (
        frozenset({"installed"}),
        frozenset({"requirements"}),
        frozenset({"specification", "updating"}),
        frozenset({"checking"}),
        frozenset({"inference"}),
        frozenset({"creating"}),
    ),
    "files": (
        frozenset({"lfs_pointers", "locks", "opening", "progress", "urls"}),
        frozenset({"paths", "temporaries", "tracked"}),
        frozenset({"atomic_files", "copying", "publishing", "stores", "yaml_reading"}),
        frozenset({"downloads", "uploads", "yaml_writing"}),
        frozenset({"locations"}),
    ),
    "flavors": (
        frozenset(
            {
                "categories",
                "libraries",
                "onnx_files",
                "onnx_options",
                "onnx_tensors",
                "pickled_parts",
                "predictors",
                "protocol",
                "skops_harmless",
                "skops_types",
            }
        ),
        frozenset({"registry"}),
        frozenset({"loading", "saving"}),
        frozenset({"frame"}),
        frozenset(
            {
                "keras_predictor",
                "onnx_session",
                "pipelines",
                "skops_files",
                "sklearn_rows",
                "torch_predictor",
            }
        ),
        frozenset(
            {
                "catboost",
                "keras",
                "lightgbm",
                "onnx",
                "prophet",
                "pytorch",
                "sentence_transformers",
                "sklearn",
                "spacy",
                "statsmodels",
                "tensorflow",
                "transformers",
                "xgboost",
            }
        ),
        frozenset({"mlflow_wrappers"}),
    ),
    "functions": (
        frozenset({"hiding", "signatures"}),
        frozenset({"archives", "awaiting", "events", "invoking", "json_values", "names"}),
        frozenset({"binding", "documents", "liveness", "outputs", "sources"}),
        frozenset({"plans", "replies", "store", "user_code"}),
        frozenset({"entity", "streams", "workloads"}),
        frozenset({"app", "artifact", "dataitem", "model", "secret", "task"}),
        frozenset({"arguments", "cache", "planned", "run", "writing"}),
        frozenset({"server"}),
        frozenset({"publishing", "serving"}),
        frozenset({"building", "executing", "garbage", "services"}),
        frozenset({"children", "containers", "image"}),
        frozenset({"function"}),
        frozenset({"defining"}),
        frozenset({"project"}),
        frozenset({"ui", "worker"}),
    ),
    "handlers": (
        frozenset({"contract", "debug_text", "mounting", "samples", "tensor_types", "tracker"}),
        frozenset({"hooks", "project", "signatures"}),
        frozenset({"conversion", "wrapping"}),
        frozenset({"adapters", "attaching"}),
        frozenset({"loading"}),
        frozenset({"attached"}),
    ),
    "loading": (
        frozenset({"overrides", "python_models"}),
        frozenset({"opening", "registry"}),
        frozenset({"isolated", "loaders"}),
        frozenset({"entry"}),
        frozenset({"observer", "worker"}),
    ),
    "model": (
        frozenset({"example_forms", "hints", "info", "live_classes", "resources", "rows"}),
        frozenset({"description", "python_model"}),
        frozenset({"config", "loaded"}),
        frozenset({"mlflow_names", "script"}),
        frozenset({"mlflow_standin", "pickled_forms"}),
        frozenset({"adopting", "pickle_writing", "runner"}),
        frozenset({"opened"}),
        frozenset({"pickle_loading"}),
    ),
    "pickles": (
        frozenset({"bytecode", "estimators", "report", "values"}),
        frozenset({"arrays", "known_data", "machine"}),
        frozenset({"walking"}),
        frozenset({"allowlist"}),
        frozenset({"restoring"}),
    ),
    "saving": (
        frozenset({"artifacts", "mlflow_models", "script_files", "uv_project"}),
        frozenset({"request"}),
        frozenset({"signature"}),
        frozenset({"chats", "writing"}),
        frozenset({"entry"}),
    ),
    "schema": (
        frozenset({"data_types", "text_forms"}),
        frozenset({"types"}),
        frozenset({"casting", "spark_types"}),
        frozenset({"specs"}),
        frozenset({"schemas"}),
        frozenset({"hints"}),
        frozenset({"dataclass_schemas"}),
        frozenset({"signature"}),
        frozenset({"infer"}),
        frozenset({"enforce"}),
        frozenset({"wire"}),
        frozenset({"examples"}),
        frozenset({"signature_file"}),
    ),
    "serving": (
        frozenset({"http"}),
        frozenset({"settings"}),
        frozenset({"service"}),
        frozenset({"open_inference", "scoring"}),
        frozenset({"batching", "chats", "pages", "samples", "streaming"}),
        frozenset({"app"}),
        frozenset({"running"}),
    ),
}
MODULES_WITHOUT_PARTS = 8
MOST_ANY = 18  # of each 1,000 lines; only ever lowered
# A public name that stays where it was: the face names it, and nothing inside reaches it there.
FACES = {("pyfunc.handlers", "pyfunc.serving.samples.routes")}


class Edge(NamedTuple):
    importer: str
    imported: str
    line: int
    at_import_time: bool


@cache
def modules() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            relative = path.relative_to(folder)
            if package == "pyfunc" and relative.parts[0] in LINKS:
                continue
            dotted = ".".join((package, *relative.with_suffix("").parts))
            found[dotted.removesuffix(".__init__")] = path
    return found


@cache
def tree_of(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_text(encoding="utf-8"))


@cache
def stub_of(name: str) -> ast.Module:
    """Return the types of a face, which stand beside it; empty for every other module."""
    path = modules()[name].with_suffix(".pyi")
    return ast.parse(path.read_text(encoding="utf-8") if path.is_file() else "")


def package_of(name: str) -> str:
    return name if modules()[name].name == "__init__.py" else name.rpartition(".")[0]


def absolute(node: ast.ImportFrom, name: str) -> str:
    if not node.level:
        return node.module or ""
    base = package_of(name).split(".")
    base = base[: len(base) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def imports_in(name: str) -> Iterator[Edge]:
    for node, inside, typing_only in (
        *walk_with_place(tree_of(name)),
        *walk_with_place(stub_of(name), typing_only=True),
    ):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node, name)
            targets = [
                f"{base}.{alias.name}" if f"{base}.{alias.name}" in modules() else base
                for alias in node.names
            ]
        else:
            continue
        for target in targets:
            if target.partition(".")[0] == "pyfunc":
                yield Edge(name, target, node.lineno, not inside and not typing_only)


def walk_with_place(
    node: ast.AST, inside: bool = False, typing_only: bool = False
) -> Iterator[tuple[ast.AST, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        yield child, inside, typing_only
        is_function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        is_typing = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        yield from walk_with_place(child, inside or is_function, typing_only or is_typing)


def room_of(name: str) -> str:
    return name.split(".")[1]


def floor_of(room: str) -> int | None:
    for position, rooms in enumerate(FLOORS):
        if room in rooms:
            return position
    return None


def part_of(name: str) -> str:
    """Return the first part of ``name`` below its room; empty for the face of the room."""
    parts = name.split(".")
    return parts[2] if len(parts) > 2 else ""


def is_allowed(importer: str, imported: str) -> bool:
    if imported == "pyfunc":
        return False  # the front door knows every room; nobody inside goes through it
    if (importer, imported) in FACES:
        return True
    above, below = room_of(importer), room_of(imported)
    if above == below:
        return is_allowed_inside(importer, imported)
    left, right = floor_of(below), floor_of(above)
    return left is not None and right is not None and left < right


def is_allowed_inside(importer: str, imported: str) -> bool:
    above, below = part_of(importer), part_of(imported)
    if not above or above == below:
        return True
    if not below:
        return False  # the face of the room knows every part; no part goes through it
    parts = PARTS.get(room_of(importer))
    if parts is None:
        return True
    position = {part: floor for floor, names in enumerate(parts) for part in names}
    return below in position and above in position and position[below] < position[above]


def is_package(name: str) -> bool:
    return name != "pyfunc" and modules()[name].name == "__init__.py"


def is_face(name: str) -> bool:
    """Return whether ``name`` is a package that only names what is in its modules."""
    return name in FACE_NAMES


def inner_modules() -> list[str]:
    return [name for name in modules() if name != "pyfunc"]


def test_every_module_has_a_room() -> None:
    assert [name for name in inner_modules() if floor_of(room_of(name)) is None] == []


def test_no_room_is_named_twice() -> None:
    names = [room for rooms in FLOORS for room in rooms]
    assert sorted(names) == sorted(set(names))


def test_a_large_room_says_which_of_its_parts_stand_on_which() -> None:
    rooms: dict[str, list[str]] = {}
    for name in inner_modules():
        rooms.setdefault(room_of(name), []).append(name)
    large = {room for room, names in rooms.items() if len(names) > MODULES_WITHOUT_PARTS + 1}
    assert large - PARTS.keys() == set()
    for room, floors in PARTS.items():
        named = {part for parts in floors for part in parts}
        assert named == {part_of(name) for name in rooms[room]} - {""}, room


def test_few_modules_lie_flat() -> None:
    flat = [name for name in modules() if name.count(".") <= 1 and not is_package(name)]
    assert len(flat) < 10, flat


def test_imports_point_only_to_the_left() -> None:
    wrong = [
        f"{edge.importer}:{edge.line} imports {edge.imported}"
        for name in inner_modules()
        for edge in imports_in(name)
        if not is_allowed(edge.importer, edge.imported)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        pytest.param("pyfunc.schema.types", "pyfunc.env.updating", id="schema-to-env"),
        pytest.param("pyfunc.env.updating", "pyfunc.schema.types", id="env-to-schema"),
        pytest.param("pyfunc.schema.types", "pyfunc.model.description", id="schema-to-model"),
        pytest.param("pyfunc.model.opened", "pyfunc.loading.entry", id="model-to-loading"),
        pytest.param("pyfunc.loading.entry", "pyfunc.flavors.sklearn", id="loading-to-flavor"),
        pytest.param("pyfunc.saving.entry", "pyfunc.loading.entry", id="saving-to-loading"),
        pytest.param("pyfunc.errors", "pyfunc.schema.types", id="ground-to-schema"),
        pytest.param("pyfunc.saving.entry", "pyfunc", id="through-the-front-door"),
        pytest.param("pyfunc.saving.entry", "pyfunc.unheard_of", id="no-room"),
        pytest.param("pyfunc.schema.wire.tables", "pyfunc.schema", id="through-the-own-face"),
        pytest.param("pyfunc.schema.infer.inference", "pyfunc.schema.wire.tables", id="inside"),
    ],
)
def test_the_table_refuses(importer: str, imported: str) -> None:
    assert not is_allowed(importer, imported)


# Where a module of ours is named by text, since it stands above or is found by another's name.
NAMED_BY_TEXT = {
    "pyfunc.env.inference.observed_run",  # a child process that loads a model
    "pyfunc.loading.registry",  # the flavors, which stand above, and a child process
    "pyfunc.model.mlflow_names",  # MLflow's names for what is here
}


def texts_in(name: str) -> Iterator[str]:
    """Yield the texts of a module, without those that document it or name a logger."""
    tree = tree_of(name)
    left_out: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            left_out.add(node.value)
        elif isinstance(node, ast.Call) and dotted(node.func) == "logging.getLogger":
            left_out.update(node.args)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in left_out:
            yield node.value


def named_modules(text: str) -> str | None:
    """Return the module that a text is the name of, also as ``module:name`` or ``module.``."""
    found = text.partition(":")[0].removesuffix(".")
    return found if "." in found and found in modules() else None


def test_few_modules_are_named_by_text() -> None:
    group = ("pyfunc.flavors.registry", "pyfunc.flavors")  # of entry points; no module is meant
    found = {
        name
        for name in modules()
        for text in texts_in(name)
        if named_modules(text) and (name, text) != group
    }
    assert found == NAMED_BY_TEXT


def test_the_probe_for_names_sees_what_is_there() -> None:
    texts = ["pyfunc.env", "pyfunc.env.updating:update_requirements", "pyfunc.schema.", "pyfunc"]
    assert list(map(named_modules, texts)) == [
        "pyfunc.env",
        "pyfunc.env.updating",
        "pyfunc.schema",
        None,
    ]


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines of a function hold code: no docstring, no comment, nothing blank."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    lines: set[int] = set()
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, (ast.expr, ast.stmt)):
                lines.update((node.lineno, node.end_lineno or node.lineno))
    return len(lines)


def test_functions_are_short() -> None:
    lengths = [
        code_lines(node)
        for name in modules()
        for node in ast.walk(tree_of(name))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    assert statistics.median(lengths) <= 6
    assert statistics.quantiles(lengths, n=10)[-1] <= 18


def test_little_is_of_any_type() -> None:
    texts = [path.read_text(encoding="utf-8") for path in modules().values()]
    found = sum(len(re.findall(r"\bAny\b", text)) for text in texts)
    assert found * 1000 <= MOST_ANY * sum(text.count("\n") for text in texts)


def test_what_speaks_http_knows_no_models() -> None:
    # What serves functions stands on it as well.
    names = [name for name in modules() if name.startswith("pyfunc.serving.http")]
    imported = {edge.imported for name in names for edge in imports_in(name)}
    assert imported - {"pyfunc.errors", "pyfunc.variables"} <= set(names)
    found = {n for n in names if re.search("model", modules()[n].read_text("utf-8"), re.I)}
    assert found == set()


def test_no_module_imports_itself_in_a_circle() -> None:
    # Imports inside functions and for types count: they hide a circle and do not end it.
    graph = {
        name: {edge.imported for edge in imports_in(name)} - {name}
        for name in inner_modules()
        if not is_face(name)
    }
    assert find_cycle(graph) is None


def test_a_circle_is_found() -> None:
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


def find_cycle(graph: dict[str, set[str]]) -> list[str] | None:
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done or name not in graph:
            return None
        for target in sorted(graph[name]):
            found = visit(target, [*path, name])
            if found is not None:
                return found
        done.add(name)
        return None

    for start in sorted(graph):
        found = visit(start, [])
        if found is not None:
            return found
    return None


# What only one module may do: a predicate over the syntax tree, and the modules that may.
def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def names_used(name: str) -> Iterator[tuple[str, int]]:
    """Yield the full dotted name of everything that a module refers to."""
    bound: dict[str, str] = {}
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name if alias.asname else alias.name.partition(".")[0]
                bound[alias.asname or top] = top
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                bound[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield f"{node.module}.{alias.name}", node.lineno
    for node in ast.walk(tree_of(name)):
        if isinstance(node, (ast.Attribute, ast.Name)):
            top, _, rest = dotted(node).partition(".")
            if top in bound:
                yield ".".join(part for part in (bound[top], rest) if part), node.lineno


def users_of(*forbidden: str) -> set[str]:
    return {name for name in modules() for used, _ in names_used(name) if used in forbidden}


def calls_on_sys(attribute: str) -> set[str]:
    """Return the modules that change ``sys.<attribute>``."""
    changed: set[str] = set()
    for name in modules():
        for node in ast.walk(tree_of(name)):
            targets: list[ast.AST] = []
            if isinstance(node, (ast.Assign, ast.Delete)):
                targets = list(node.targets)
            elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
                targets = [node.target]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                changes = ("append", "insert", "extend", "remove", "pop", "clear", "update")
                if node.func.attr in (*changes, "setdefault"):
                    targets = [node.func.value]
            for target in targets:
                while isinstance(target, ast.Subscript):
                    target = target.value  # noqa: PLW2901 - down to what is subscripted
                if dotted(target) == f"sys.{attribute}":
                    changed.add(name)
    return changed


IMPORTING = {
    "pyfunc.code.aliases",
    "pyfunc.code.children",
    "pyfunc.code.finder",
    "pyfunc.code.scope",
}
# joblib, skops and torch files hold pickles too: the flavors that read them do it there.
FORMATS_OF_FLAVORS = {name for name in modules() if name.startswith("pyfunc.flavors.")}


@pytest.mark.parametrize(
    ("forbidden", "allowed"),
    [
        pytest.param(
            ("pickle.load", "pickle.loads", "pickle.Unpickler", "pickle._Unpickler"),
            {"pyfunc.model.pickle_loading"},
            id="unpickling",
        ),
        pytest.param(
            ("cloudpickle.load", "cloudpickle.loads", "cloudpickle.Unpickler"),
            {"pyfunc.model.pickle_loading"},
            id="unpickling-with-cloudpickle",
        ),
        pytest.param(
            ("joblib.load", "dill.load", "dill.loads", "pandas.read_pickle", "shelve.open"),
            FORMATS_OF_FLAVORS,
            id="unpickling-with-others",
        ),
        pytest.param(
            ("marshal.load", "marshal.loads", "marshal.dumps"), set[str](), id="unmarshalling"
        ),
        pytest.param(
            (
                "yaml.load",
                "yaml.safe_load",
                "yaml.full_load",
                "yaml.unsafe_load",
                "yaml.load_all",
                "yaml.safe_load_all",
                "yaml.dump",
                "yaml.safe_dump",
                "yaml.CSafeLoader",
                "yaml.SafeLoader",
                "yaml.Loader",
            ),
            {"pyfunc.files.yaml_reading", "pyfunc.files.yaml_writing"},
            id="yaml",
        ),
        pytest.param(
            ("os.rename", "os.renames", "os.replace", "shutil.move"),
            # one puts a single small file of its own in place, and one the document of a run,
            # several times per run, which is not flushed
            {
                "pyfunc.files.atomic_files",
                "pyfunc.files.publishing",
                "pyfunc.env.creating.environments",
                "pyfunc.functions.store",
            },
            id="renaming",
        ),
        pytest.param(
            (
                "importlib.util.spec_from_file_location",
                "importlib.util.module_from_spec",
                "importlib.machinery.SourceFileLoader",
                "importlib.machinery.FileFinder",
                "runpy.run_path",
                "runpy.run_module",
                "imp.load_source",
            ),
            IMPORTING,
            id="importing-files",
        ),
        pytest.param(
            ("os.path.realpath",), {"pyfunc.files.paths", "pyfunc.files.temporaries"}, id="links"
        ),
        pytest.param(
            ("os.environ", "os.environb", "os.getenv", "os.putenv"),
            # the others hand the whole environment to a child process, or options of the command
            # to the model, or hide what the variables of a user hold
            {
                "pyfunc.variables",
                "pyfunc.cli.predict",
                "pyfunc.env.creating.installers",
                "pyfunc.env.inference.observed_run",
                "pyfunc.functions.children",
                "pyfunc.functions.hiding",
                "pyfunc.functions.serving",
                "pyfunc.functions.sources",
                "pyfunc.loading.isolated",
            },
            id="environment-variables",
        ),
        pytest.param(
            ("fcntl", "msvcrt", "resource", "termios", "pwd", "grp"),
            set[str](),
            id="modules-of-one-system",
        ),
    ],
)
def test_only_one_module_does_this(forbidden: tuple[str, ...], allowed: set[str]) -> None:
    assert users_of(*forbidden) <= allowed


@pytest.mark.parametrize("attribute", ["path", "modules", "meta_path", "path_hooks"])
def test_only_the_code_scope_changes_the_import_system(attribute: str) -> None:
    assert calls_on_sys(attribute) <= IMPORTING


def test_nothing_runs_text_as_code() -> None:
    users = {
        name
        for name in modules()
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("eval", "exec", "compile", "__import__")
    }
    assert users == set()


def test_files_from_a_model_are_resolved_in_one_place() -> None:
    found = {
        name
        for name in modules()
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.FunctionDef) and node.name == "confine"
    }
    assert found == {"pyfunc.files.paths"}


def test_the_probe_for_choke_points_sees_what_is_there() -> None:
    assert users_of("pickle.Unpickler") == {"pyfunc.model.pickle_loading"}
    assert calls_on_sys("modules") == {
        "pyfunc.code.aliases",
        "pyfunc.code.finder",
        "pyfunc.code.scope",
    }
    assert calls_on_sys("meta_path") == {"pyfunc.code.finder"}


PROBE = """
import json, sys
before = set(sys.modules)
import pyfunc
loaded = sorted(set(sys.modules) - before)
print(json.dumps(loaded))
"""


def modules_after(code: str) -> list[str]:
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded: list[str] = json.loads(finished.stdout)
    return loaded


def test_importing_the_package_loads_no_library() -> None:
    tops = {name.partition(".")[0] for name in modules_after(PROBE)}
    assert tops.isdisjoint({"numpy", "pandas", "scipy", "cloudpickle", "yaml", "mlflow", "env"})


def test_importing_the_package_loads_few_modules() -> None:
    ours = [name for name in modules_after(PROBE) if name.partition(".")[0] == "pyfunc"]
    assert ours == ["pyfunc", "pyfunc._lazy", "pyfunc.version"]


def test_the_error_tree_is_light() -> None:
    tops = {
        name.partition(".")[0]
        for name in modules_after(PROBE.replace("import pyfunc", "from pyfunc import PyfuncError"))
    }
    assert tops.isdisjoint({"numpy", "pandas", "scipy", "cloudpickle", "yaml", "mlflow"})


def test_loading_and_saving_modules_do_not_load_frames() -> None:
    code = PROBE.replace("import pyfunc", "import pyfunc.code.scope, pyfunc.model.description")
    tops = {name.partition(".")[0] for name in modules_after(code)}
    assert tops.isdisjoint({"numpy", "pandas", "scipy", "cloudpickle", "mlflow"})


@cache
def face_of(name: str) -> tuple[dict[str, str], tuple[str, ...]] | None:
    """Return the names of a face with their modules, and the modules that it gives as they are."""
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id != "face":
                continue
            table = ast.literal_eval(node.args[1])
            given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords}
            homes = {
                item: importlib.util.resolve_name(module, name)
                for module, items in table.items()
                for item in items
            }
            return homes, given.get("modules", ())
    return None


FACE_NAMES = [name for name in modules() if face_of(name) is not None]


def face_table(name: str) -> dict[str, str]:
    found = face_of(name)
    assert found is not None
    return found[0]


def face_modules(name: str) -> tuple[str, ...]:
    found = face_of(name)
    assert found is not None
    return found[1]


PACKAGES = [
    "cortex",
    "env",
    "flavors",
    "functions",
    "handlers",
    "isolated",
    "schema",
    "serving",
    "types",
]


@pytest.mark.parametrize("name", PACKAGES)
def test_packages_are_reached_through_the_front_door(name: str) -> None:
    code = f"import pyfunc; print(pyfunc.{name}.__name__)"
    command = [sys.executable, "-W", "error", "-c", code]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    assert found.stdout == f"pyfunc.{name}\n"


def test_the_front_door_shows_the_packages() -> None:
    assert sorted(face_modules("pyfunc")) == PACKAGES


def test_the_flavors_show_those_that_are_built_in() -> None:
    from pyfunc.flavors.registry import BUILT_IN

    assert sorted(face_modules("pyfunc.flavors")) == sorted(BUILT_IN)


def test_these_packages_are_faces() -> None:
    assert sorted(FACE_NAMES) == [
        "pyfunc",
        "pyfunc.deploy",
        "pyfunc.deploy.kubernetes",
        "pyfunc.distributed",
        "pyfunc.distributed.kubernetes",
        "pyfunc.distributed.ray",
        "pyfunc.env",
        "pyfunc.flavors",
        "pyfunc.functions",
        "pyfunc.handlers",
        "pyfunc.schema",
        "pyfunc.serving",
        "pyfunc.types",
    ]


@pytest.mark.parametrize("name", FACE_NAMES)
def test_the_stub_of_a_face_says_what_its_table_says(name: str) -> None:
    typed: dict[str, str] = {}
    for node in ast.walk(stub_of(name)):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert alias.asname == alias.name, "only a name imported as itself is public"
                typed[alias.name] = absolute(node, name)
    given = dict.fromkeys(face_modules(name), name)
    assert typed == face_table(name) | given


@pytest.mark.parametrize("name", FACE_NAMES)
def test_no_name_of_a_face_is_the_name_of_a_submodule(name: str) -> None:
    # Importing the submodule would replace the function.
    assert [item for item in face_table(name) if f"{name}.{item}" in modules()] == []
    assert [item for item in face_modules(name) if f"{name}.{item}" not in modules()] == []


@pytest.mark.parametrize("name", FACE_NAMES)
def test_every_name_of_a_face_is_there(name: str) -> None:
    package = importlib.import_module(name)
    table = face_table(name)
    more = ["__version__"] if name == "pyfunc" else []
    assert sorted(package.__all__) == sorted([*table, *more])
    assert dir(package) == sorted([*table, *more, *face_modules(name)])
    for item, home in table.items():
        module = getattr(getattr(package, item), "__module__", home)
        assert module == home or home in FACE_NAMES
    with pytest.raises(AttributeError, match="no attribute 'nothing_of_the_kind'"):
        _ = package.nothing_of_the_kind


@pytest.mark.parametrize("name", FACE_NAMES)
def test_a_face_gives_all_its_names_to_a_star_import(name: str) -> None:
    bound: dict[str, object] = {}
    exec(f"from {name} import *", bound)
    assert face_table(name).keys() <= bound.keys()


@pytest.mark.parametrize("name", sorted(modules()))
def test_a_module_says_what_it_is_for_and_what_is_public(name: str) -> None:
    tree = tree_of(name)
    assert ast.get_docstring(tree), "no docstring"
    if is_face(name) or modules()[name].name == "__main__.py" or len(tree.body) == 1:
        return
    exported = literal_all(name)
    assert exported is not None, "no __all__"
    assert sorted(set(exported)) == sorted(exported)
    assert set(exported) <= defined_names(tree)


def defined_names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node, inside, _ in walk_with_place(tree):
        if inside:
            continue
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def test_another_room_uses_only_what_is_public() -> None:
    private = [
        f"{name}:{node.lineno} imports {alias.name} from {base}"
        for name in inner_modules()
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.ImportFrom)
        for base in [absolute(node, name)]
        if base in inner_modules() and room_of(base) != room_of(name)
        for alias in node.names
        if f"{base}.{alias.name}" not in modules() and alias.name not in (literal_all(base) or ())
    ]
    assert private == []


def literal_all(name: str) -> list[str] | None:
    if is_face(name):
        return list(face_table(name))
    for node in tree_of(name).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        target = node.target if isinstance(node, ast.AnnAssign) else None
        for candidate in (*targets, target):
            if isinstance(candidate, ast.Name) and candidate.id == "__all__":
                assert isinstance(node, (ast.Assign, ast.AnnAssign))
                value = node.value
                assert value is not None
                result: list[str] = ast.literal_eval(value)
                return result
    return None


@pytest.mark.parametrize("link", LINKS)
def test_the_links_lead_to_the_folders_beside(link: str) -> None:
    path = REPOSITORY / "pyfunc" / link
    assert path.is_symlink()
    assert str(path.readlink()) == f"../{link}"
