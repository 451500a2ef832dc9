"""Making a function: its arguments checked, all problems in one error, and its document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyfunc.errors import Problem, SchemaError, shorten
from pyfunc.functions.documents import new_document
from pyfunc.functions.entity import check_metadata, find_metadata_problems
from pyfunc.functions.function import FUNCTION_KIND, PYTHON_VERSIONS, Function
from pyfunc.functions.names import NAME_EXPECTED, Key, is_name, new_id
from pyfunc.functions.sources import find_source_problems, make_source
from pyfunc.functions.store import Store
from pyfunc.functions.user_code import find_handler_problem

__all__ = ["create_function"]


def create_function(
    store: Store,
    project: str,
    owner: object,
    *,
    name: str,
    kind: str,
    uuid: str | None,
    description: str | None,
    labels: Sequence[str] | None,
    embedded: bool,
    code_src: str | None,
    code: str | None,
    base64: str | None,
    source: Mapping[str, object] | None,
    handler: str | None,
    init_function: str | None,
    python_version: str,
    lang: str | None,
    image: str | None,
    base_image: str | None,
    requirements: Sequence[str] | None,
) -> Function:
    """Put a new function, or another version of one, into the store; see ``new_function``."""
    given = dict(source or {})
    code_src = code_src or _text(given.get("source"))
    base64 = base64 or _text(given.get("base64"))
    handler = handler or _text(given.get("handler"))
    init_function = init_function or _text(given.get("init_function"))
    about = {"uuid": uuid, "description": description, "labels": labels, "embedded": embedded}
    problems = [
        *([] if is_name(name) else [Problem("name", NAME_EXPECTED, shorten(name))]),
        *find_metadata_problems(**about),
        *_find_problems(kind, python_version, handler, init_function, requirements),
        *find_source_problems(code_src, code, base64),
        *_find_non_texts({"image": image, "base_image": base_image, "lang": lang}),
    ]
    if problems:
        raise SchemaError(problems, subject=f"the function {name!r} cannot be made")
    assert handler is not None
    version, metadata = check_metadata(**about)
    spec = {
        "source": make_source(
            code_src, code, base64, handler=handler, init_function=init_function
        ),
        "python_version": python_version,
        "requirements": None if requirements is None else [*requirements],
        "image": image,
        "base_image": base_image,
    }
    key = Key(project, "function", FUNCTION_KIND, name, version or new_id())
    document = new_document(key, spec, metadata)
    store.create(key, document, lambda directory: None)
    return Function(store, document, owner)


def _find_non_texts(given: Mapping[str, object]) -> list[Problem]:
    return [
        Problem(name, "str", shorten(value))
        for name, value in given.items()
        if value is not None and not isinstance(value, str)
    ]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _find_problems(
    kind: object, python_version: object, handler: object, init: object, requirements: object
) -> list[Problem]:
    from pyfunc.env.requirements.lines import parse_requirement

    problems = []
    if kind != FUNCTION_KIND:
        problems.append(Problem("kind", "'python'", shorten(kind)))
    if python_version not in PYTHON_VERSIONS:
        expected = f"one of {', '.join(PYTHON_VERSIONS)}"
        problems.append(Problem("python_version", expected, shorten(python_version)))
    if handler is None:
        problems.append(Problem("handler", "the name of a function", "nothing"))
    elif expected_handler := find_handler_problem(handler):
        problems.append(Problem("handler", expected_handler, shorten(handler)))
    if init is not None and not (isinstance(init, str) and init.isidentifier()):
        problems.append(Problem("init_function", "the name of a function", shorten(init)))
    if requirements is not None and not isinstance(requirements, (list, tuple)):
        return [*problems, Problem("requirements", "a list of str", shorten(requirements))]
    problems += [
        Problem(f"requirements[{position}]", "a requirement (PEP 508)", shorten(line))
        for position, line in enumerate(requirements or ())
        if not isinstance(line, str) or parse_requirement(line) is None
    ]
    return problems
