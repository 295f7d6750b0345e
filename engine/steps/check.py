"""
Everything that can be said about a workflow without running it: steps, fields, ports, the shape, the expressions.

All of it is reported at once; each problem names its node and field, and its line when the document came from text.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo, available_timezones

from engine.expressions import check_template
from engine.ids import NodeId
from engine.model.codec import Parsed
from engine.model.frames import FrameShape, Regions, find_regions
from engine.model.graph import Graph
from engine.model.problems import Problem
from engine.model.tree import Path, Position, Stop, note, problem_at
from engine.model.words import did_you_mean, one_of
from engine.model.workflow import ERROR_PORT, Document, Edge
from engine.steps.catalog import Catalog
from engine.steps.check_fields import FieldChecker
from engine.steps.spec import FrameSpec, StepSpec

LOOP = "flow.loop"


def check_document(document: Document | Parsed, catalog: Catalog) -> list[Problem]:
    """
    Return everything that is wrong with a document beyond its form, errors and warnings.

    Given a `Parsed`, problems carry line and column; its own problems (those of the form) are not repeated. One that has no
    document at all has nothing to check.
    """
    parsed = document if isinstance(document, Parsed) else None
    found = parsed.document if parsed else document
    if not isinstance(found, Document):
        return []
    return _Checker(found, parsed, catalog).run()


class _Checker:
    def __init__(self, document: Document, parsed: Parsed | None, catalog: Catalog) -> None:
        self.document = document
        self.parsed = parsed
        self.catalog = catalog
        self.graph = Graph.of(document)
        self.specs: dict[NodeId, StepSpec] = {}
        self.problems: list[Problem] = []
        self.regions = Regions()

    def run(self) -> list[Problem]:
        """Look at everything; problems come in the order of the text, or of the document where there is no text."""
        try:
            self.settings()
            self.steps()
            self.regions = self.find_regions()
            self.edges()
            self.frames()
            self.shape()
            self.failures()
            self.fields()
        except Stop:
            pass
        if self.parsed:
            self.problems.sort(key=lambda found: (found.code == "too_many", found.line or 0, found.column or 0))
        return self.problems

    def find_regions(self) -> Regions:
        """Find out what stands in the bodies of frames."""
        shapes = {
            node_id: FrameShape(spec.frame.body, spec.frame.back)
            for node_id, spec in self.specs.items()
            if spec.frame is not None and spec.frame.body
        }
        return find_regions(self.document.nodes, self.document.edges, shapes)

    def fields(self) -> None:
        """Check what stands under `with`."""
        checker = FieldChecker(self.graph, self.regions, self.loops(), self.locate, self.document.settings.timezone)
        for node_id, spec in self.specs.items():
            for problem in checker.check(self.document.nodes[node_id], spec):
                note(self.problems, problem)

    def loops(self) -> frozenset[NodeId]:
        """Return the nodes whose expressions may speak of `loop`: the loops and all that stands in them."""
        loops = [node_id for node_id, spec in self.specs.items() if spec.frame is not None and spec.frame.kind == "loop"]
        return frozenset(loops).union(*(self.regions.inside(loop) for loop in loops))

    def steps(self) -> None:
        """Find the step of each node."""
        for node_id, node in self.document.nodes.items():
            if spec := self.catalog.find(node.use):
                self.specs[node_id] = spec
            elif node.use:
                near = self.catalog.nearest(node.use)
                family = node.use.partition(".")[0]
                kin = sorted(spec.name for spec in self.catalog if spec.name.partition(".")[0] == family)
                hint = f"Did you mean “{near}”?" if near else f"There is {one_of(kin)}." if kin else None
                self.say("unknown_step", f"There is no step “{node.use[:80]}”.", ("nodes", node_id, "use"), hint=hint)
            elif self.parsed is None:
                text = f"Node “{node_id}” does not say which step it uses."
                self.say("missing", text, ("nodes", node_id, "use"), hint="Choose a step.")

    def edges(self) -> None:
        """Check both ends of each edge."""
        seen: set[Edge] = set()
        for index, edge in enumerate(self.document.edges):
            path = ("edges", index)
            if edge in seen:
                self.say("duplicate_edge", f"The edge “{edge}” stands here twice.", path, hint="Remove one.", node=edge.target)
                continue
            seen.add(edge)
            for end in dict.fromkeys((edge.source, edge.target)):
                if end not in self.document.nodes:
                    hint = did_you_mean(end, self.document.nodes)
                    other = edge.target if end == edge.source else edge.source
                    known = other if other in self.document.nodes else None
                    self.say("unknown_node", f"There is no node “{end}”.", path, hint=hint, node=known)
            if (spec := self.specs.get(edge.source)) is not None:
                self.out_port(edge, spec, path)
            if (spec := self.specs.get(edge.target)) is not None:
                self.in_port(edge, spec, path)

    def out_port(self, edge: Edge, spec: StepSpec, path: Path) -> None:
        """Check the port an edge leaves by."""
        node = self.document.nodes[edge.source]
        if edge.source_port == ERROR_PORT and not spec.is_trigger:
            if node.on_error != "route" and not any(port.name == ERROR_PORT for port in spec.outs(node.fields)):
                text = f"Nothing leaves “{node.label}” by its error port, because its failures are not routed."
                self.say("error_not_routed", text, path, hint=f"Write “on_error: route” at node “{node.id}”.", node=node.id)
            return
        ports = [port.name for port in spec.outs(node.fields)]
        if edge.source_port in ports:
            return
        if not ports:
            self.say("unknown_port", f"Nothing leaves “{node.label}”: {spec.title} is an end.", path, node=node.id)
            return
        if edge.source_port == "out":
            hint: str | None = f"Name the port: {one_of(f'{node.id}.{port}' for port in ports)}."
        else:
            hint = did_you_mean(edge.source_port, ports, otherwise=f"It has {one_of(ports)}.")
        self.say("unknown_port", f"“{node.label}” has no port “{edge.source_port}” to leave by.", path, hint=hint, node=node.id)

    def in_port(self, edge: Edge, spec: StepSpec, path: Path) -> None:
        """Check the port an edge arrives at."""
        node = self.document.nodes[edge.target]
        ports = [port.name for port in spec.ports_in]
        if edge.target_port in ports:
            return
        if not ports:
            text = f"Nothing can lead into “{node.label}”: it starts the run."
            self.say("unknown_port", text, path, hint="Draw the line the other way.", node=node.id)
            return
        if edge.target_port == "in":
            hint: str | None = f"Name the port: {one_of(f'{node.id}.{port}' for port in ports)}."
        else:
            hint = did_you_mean(edge.target_port, ports, otherwise=f"It has {one_of(ports)}.")
        self.say(
            "unknown_port", f"“{node.label}” has no port “{edge.target_port}” to arrive at.", path, hint=hint, node=node.id
        )

    def shape(self) -> None:
        """Check that a run can start, reach everything, and come to an end."""
        for group in self.cycles():
            text = f"These steps lead round in a circle: {', '.join(group[:8])}{', …' if len(group) > 8 else ''}."
            if len(group) == 1:
                text = f"“{group[0]}” leads back into itself."
            self.say("cycle", text, ("nodes", group[0]), hint=f"Remove a line, or repeat with {LOOP}.")
        if not self.document.nodes:
            return
        starts = [node_id for node_id, spec in self.specs.items() if spec.is_trigger]
        if not starts and len(self.specs) == len(self.document.nodes):
            self.say(
                "no_trigger",
                "Nothing starts this workflow.",
                (),
                hint="Add a trigger, such as trigger.manual.",
                is_warning=True,
            )
        if starts:
            reached = self.graph.reachable_from(*starts)
            for node_id, node in self.document.nodes.items():
                if node_id not in reached:
                    text = f"No trigger leads to “{node.label}”, so it never runs."
                    self.say("unreachable", text, ("nodes", node_id), hint="Draw a line to it.", is_warning=True)

    def cycles(self) -> tuple[tuple[NodeId, ...], ...]:
        """Return the circles that no loop closes."""
        if not self.graph.cycles:
            return ()
        straight = [edge for edge in self.graph.edges if edge not in self.regions.back_edges]
        return Graph.build(self.document.nodes, straight).cycles

    def frames(self) -> None:
        """Check that no line crosses the rim of a body, and what may stand in one."""
        for fault in self.regions.faults:
            self.say(fault.code, fault.text, ("edges", fault.index), hint=fault.hint, node=fault.node)
        for node_id, spec in self.specs.items():
            if (frame := spec.frame) is None:
                continue
            node, around = self.document.nodes[node_id], self.regions.around(node_id)
            kinds = [self.specs[owner].frame.kind for owner in around if self.specs[owner].frame is not None]  # type: ignore[union-attr]
            if frame.kind == "break" and ("loop" not in kinds or "compensate" in kinds[: kinds.index("loop")]):
                text = f"“{node.label}” stands in no loop, so there is nothing it could break."
                self.say("no_loop", text, ("nodes", node_id), hint="Put it between “each” and “next” of a loop.")
            if frame.kind == "compensate" and "compensate" in kinds:
                text = f"“{node.label}” stands among undo steps, which cannot themselves be undone."
                self.say("undo_in_undo", text, ("nodes", node_id), hint="Remove it.")
            if frame.body:
                self.body(node_id, frame)

    def body(self, node_id: NodeId, frame: FrameSpec) -> None:
        """Warn of a body that is empty, or that gives nothing back while something waits for it."""
        node = self.document.nodes[node_id]
        out = {edge.source_port for edge in self.graph.out_of(node_id)}
        if frame.body not in out:
            text = f"Nothing stands in the body of “{node.label}”."
            hint = f"Draw a line from “{node_id}.{frame.body}”."
            self.say("empty_body", text, ("nodes", node_id), hint=hint, is_warning=True)
        comes_back = any(edge.target_port == frame.back for edge in self.graph.into(node_id))
        if frame.kind == "loop" and "done" in out and not comes_back and node.fields.get("keep") != "none":
            text = f"No line leads back to “{node_id}.{frame.back}”, so nothing leaves “{node.label}” by “done”."
            hint = f"Draw a line to “{node_id}.{frame.back}”, or write “keep: none” to get a count of the passes."
            self.say("nothing_comes_back", text, ("nodes", node_id), hint=hint, is_warning=True)

    def failures(self) -> None:
        """Check that routed failures lead somewhere."""
        for node_id, node in self.document.nodes.items():
            if node.on_error == "route" and not any(edge.source_port == ERROR_PORT for edge in self.graph.out_of(node_id)):
                self.say(
                    "error_goes_nowhere",
                    f"Failures of “{node.label}” are routed, but no line leaves its error port: they are lost.",
                    ("nodes", node_id, "on_error"),
                    hint=f"Draw a line from “{node_id}.{ERROR_PORT}”, or write “on_error: ignore” or “stop”.",
                    is_warning=True,
                )

    def settings(self) -> None:
        """Check what holds for the whole workflow."""
        name = self.document.settings.timezone
        if not is_timezone(name):
            hint = did_you_mean(name, available_timezones(), otherwise="It is written like Europe/Vienna.")
            self.say("bad_value", f"There is no time zone “{name[:80]}”.", ("settings", "timezone"), hint=hint)
        limits = self.document.settings.limits
        if limits is not None and limits.key is not None:
            for problem in check_template(limits.key):
                path = ("settings", "concurrency", "key")
                self.say("expression", f"“key”: {problem.message}.", path, hint=problem.hint)

    def locate(self, path: Path) -> Position | None:
        """Return where a path stands in the text, None when there is no text."""
        return self.parsed.locate(path) if self.parsed else None

    def say(
        self,
        code: str,
        text: str,
        path: Path,
        *,
        hint: str | None = None,
        is_warning: bool = False,
        node: NodeId | None = None,
    ) -> None:
        """Note a problem; `node` names the one to mark where the path does not."""
        problem = problem_at(code, text, path, self.locate(path), hint=hint, is_warning=is_warning, node=node)
        note(self.problems, problem)


def is_timezone(name: str) -> bool:
    """Whether there is a time zone of that IANA name."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
