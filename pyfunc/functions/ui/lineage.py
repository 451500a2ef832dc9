"""Where a run stands among the others: what its inputs come from, and who takes its outputs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from pyfunc.errors import EntityNotFoundError, InvalidArgumentError
from pyfunc.functions.documents import Document, read_relationships
from pyfunc.functions.names import parse_key, parse_reference
from pyfunc.functions.store import Store

__all__ = ["find_lineage", "function_of"]

_MOST = 40  # nodes of one column
_EARLIER, _INPUTS, _RUN, _OUTPUTS, _LATER = range(5)


def function_of(document: Document) -> str:
    """Return the name of the function of a run."""
    try:
        return parse_reference(document["spec"].get("function")).name
    except InvalidArgumentError:
        return "?"


def find_lineage(store: Store, run: Document) -> dict[str, object]:
    """Return the graph around a run: nodes in five columns, and edges between their keys.

    The columns are the runs that made the inputs, the inputs, the run, its outputs, and the
    later runs of the project that were given these.
    """
    graph = _Graph(store)
    graph.add(run["key"], _RUN)
    for name, key in _keys(run, "inputs").items():
        graph.add(key, _INPUTS)
        graph.join(key, run["key"], name)
        graph.add_maker(key, run["key"])
    earlier = run["status"].get("cached_from")
    if isinstance(earlier, str):
        graph.add(earlier, _EARLIER)
        graph.join(earlier, run["key"], "same as")
    outputs = _keys(run, "outputs")
    for name, key in outputs.items():
        graph.add(key, _OUTPUTS)
        graph.join(run["key"], key, name)
    if outputs:
        graph.add_takers({*outputs.values()}, run)
    return graph.to_dict()


def _keys(run: Document, name: str) -> dict[str, str]:
    found = run["spec" if name == "inputs" else "status"].get(name)
    pairs = found.items() if isinstance(found, dict) else ()
    return {str(name): key for name, key in pairs if isinstance(key, str)}


@dataclass(frozen=True, slots=True)
class _Node:
    key: str
    column: int
    type: str
    kind: str
    label: str
    state: str


@dataclass
class _Graph:
    store: Store
    nodes: dict[str, _Node] = field(default_factory=dict)
    edges: dict[tuple[str, str], str] = field(default_factory=dict)
    left_out: int = 0

    def add(self, key: str, column: int) -> None:
        """Put what ``key`` names into a column, unless it stands in one."""
        if key in self.nodes:
            return
        if sum(node.column == column for node in self.nodes.values()) >= _MOST:
            self.left_out += 1
            return
        self.nodes[key] = self._node(key, column)

    def join(self, start: str, end: str, label: str) -> None:
        """Draw an edge between two nodes that are there."""
        if start in self.nodes and end in self.nodes:
            self.edges.setdefault((start, end), label)

    def add_maker(self, key: str, run: str) -> None:
        """Put the run that an input is the output of before it."""
        document = self._read(key)
        for relation in read_relationships(document) if document else ():
            maker = str(relation.get("dest"))
            if relation.get("type") == "produced_by" and maker != run:
                self.add(maker, _EARLIER)
                self.join(maker, key, "")

    def add_takers(self, outputs: set[str], run: Document) -> None:
        """Put the runs that were given outputs behind them."""
        for other in self.store.read_all(run["project"], "run"):
            taken = {key: name for name, key in _keys(other, "inputs").items() if key in outputs}
            if taken and other["key"] != run["key"]:
                self.add(other["key"], _LATER)
                for key, name in taken.items():
                    self.join(key, other["key"], name)

    def to_dict(self) -> dict[str, object]:
        """Return the graph as values of JSON."""
        edges = [{"from": a, "to": b, "label": text} for (a, b), text in self.edges.items()]
        nodes = [asdict(node) for node in self.nodes.values()]
        return {"nodes": nodes, "edges": edges, "left_out": self.left_out}

    def _node(self, key: str, column: int) -> _Node:
        document = self._read(key)
        if document is None:
            return _Node(key, column, "", "", key.rpartition("/")[2], "DELETED")
        parsed = parse_key(key)
        is_run = parsed.entity_type == "run"
        label = function_of(document) if is_run else document["name"]
        state = str(document["status"].get("state", "")) if is_run else ""
        return _Node(key, column, parsed.entity_type, document["kind"], label, state)

    def _read(self, key: str) -> Document | None:
        try:
            return self.store.read(parse_key(key))
        except (EntityNotFoundError, InvalidArgumentError):
            return None
