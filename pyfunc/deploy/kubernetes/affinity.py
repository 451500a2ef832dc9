"""Where pods want to run, from the names that a user writes to those of Kubernetes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyfunc.deploy.kubernetes import forms
from pyfunc.deploy.kubernetes.findings import Findings

__all__ = ["to_affinity"]

Convert = Callable[[Findings, str, object], object]

_LABEL_OPERATORS = ("DoesNotExist", "Exists", "In", "NotIn")
_NODE_OPERATORS = (*_LABEL_OPERATORS, "Gt", "Lt")
_REQUIRED = "required_during_scheduling_ignored_during_execution"
_PREFERRED = "preferred_during_scheduling_ignored_during_execution"


def to_affinity(findings: Findings, value: object) -> object:
    """Return the affinity of a pod; what is wrong with it is noted."""
    return _AFFINITY(findings, "affinity", value)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _object(members: Mapping[str, Convert], required: tuple[str, ...] = ()) -> Convert:
    def convert(findings: Findings, path: str, value: object) -> object:
        if not isinstance(value, Mapping):
            findings.add(path, f"an object of {', '.join(sorted(members))}", value)
            return value
        given = {name: item for name, item in value.items() if item is not None}
        findings.has_only(path, given, members)
        for name in required:
            if name not in given:
                findings.add(f"{path}.{name}", "a value", None)
        return {
            _camel(name): members[name](findings, f"{path}.{name}", item)
            for name, item in given.items()
            if name in members
        }

    return convert


def _list(member: Convert) -> Convert:
    def convert(findings: Findings, path: str, value: object) -> object:
        if not isinstance(value, list):
            findings.add(path, "a list", value)
            return value
        return [member(findings, f"{path}[{i}]", item) for i, item in enumerate(value)]

    return convert


def _form(form: forms.Form) -> Convert:
    def convert(findings: Findings, path: str, value: object) -> object:
        findings.fits(path, value, form)
        return value

    return convert


def _operator(allowed: tuple[str, ...]) -> Convert:
    def convert(findings: Findings, path: str, value: object) -> object:
        findings.is_one_of(path, value, allowed)
        return value

    return convert


def _weight(findings: Findings, path: str, value: object) -> object:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 100:
        findings.add(path, "an integer from 1 to 100", value)
    return value


def _labels(findings: Findings, path: str, value: object) -> object:
    if not isinstance(value, Mapping):
        findings.add(path, "an object of labels", value)
        return value
    findings.are_labels(path, value)
    return dict(value)


def _expression(operators: tuple[str, ...]) -> Convert:
    members = _object(
        {
            "key": _form(forms.LABEL_KEY),
            "operator": _operator(operators),
            "values": _list(_form(forms.LABEL_VALUE)),
        },
        ("key", "operator"),
    )

    def convert(findings: Findings, path: str, value: object) -> object:
        converted = members(findings, path, value)
        if isinstance(value, Mapping) and isinstance(value.get("operator"), str):
            operator, values = value["operator"], value.get("values") or []
            if operator in ("In", "NotIn") and not values:
                findings.add(f"{path}.values", f"values, since the operator is {operator}", None)
            if operator in ("Exists", "DoesNotExist") and values:
                expected = f"no values, since the operator is {operator}"
                findings.add(f"{path}.values", expected, values)
        return converted

    return convert


_NODE_EXPRESSIONS = _list(_expression(_NODE_OPERATORS))
_NODE_TERM = _object({"match_expressions": _NODE_EXPRESSIONS, "match_fields": _NODE_EXPRESSIONS})
_SELECTOR = _object(
    {"match_expressions": _list(_expression(_LABEL_OPERATORS)), "match_labels": _labels}
)
_POD_TERM = _object(
    {
        "label_selector": _SELECTOR,
        "namespace_selector": _SELECTOR,
        "namespaces": _list(_form(forms.DNS_LABEL)),
        "topology_key": _form(forms.LABEL_KEY),
    },
    ("topology_key",),
)
_PODS = _object(
    {
        _REQUIRED: _list(_POD_TERM),
        _PREFERRED: _list(
            _object(
                {"weight": _weight, "pod_affinity_term": _POD_TERM},
                ("weight", "pod_affinity_term"),
            )
        ),
    }
)
_NODES = _object(
    {
        _REQUIRED: _object({"node_selector_terms": _list(_NODE_TERM)}, ("node_selector_terms",)),
        _PREFERRED: _list(
            _object({"weight": _weight, "preference": _NODE_TERM}, ("weight", "preference"))
        ),
    }
)
_AFFINITY = _object({"node_affinity": _NODES, "pod_affinity": _PODS, "pod_anti_affinity": _PODS})
