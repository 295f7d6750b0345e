"""The fields of a node against the form of its step: names, types, bounds, expressions and what they speak of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from engine.errors import TreadleError
from engine.expressions import (
    ExpressionProblem,
    check_expression,
    check_template,
    compile_expression,
    compile_template,
)
from engine.ids import NodeId
from engine.model.cron import parse_cron
from engine.model.decode import kind_of
from engine.model.frames import Regions
from engine.model.graph import Graph
from engine.model.problems import Problem
from engine.model.tree import Path, Position, problem_at
from engine.model.words import did_you_mean, is_port, one_of, slug
from engine.model.workflow import Node
from engine.steps.computed import EXPRESSION_TYPES, bare
from engine.steps.convert import convert
from engine.steps.spec import FieldSpec, StepSpec

ALTERNATIVES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {"trigger.schedule": (("cron", "every"),)}
"""Pairs of fields of which exactly one is written."""

_OPEN: Final = "{{"


class FieldChecker:
    """Checks the fields of the nodes of one document."""

    def __init__(
        self, graph: Graph, regions: Regions, loops: frozenset[NodeId], locate: Callable[[Path], Position | None], timezone: str
    ) -> None:
        self._graph, self._regions, self._loops = graph, regions, loops
        self._locate = locate
        self._timezone = timezone

    def check(self, node: Node, spec: StepSpec) -> list[Problem]:
        """Return everything that is wrong with what stands under `with`; of a node that is switched off these are warnings."""
        found: list[Problem] = []
        known = {field.name: field for field in spec.fields}
        for name in node.fields:
            if name not in known:
                free = [word for word in known if word not in node.fields]
                otherwise = f"It has {one_of(known)}." if known else "It has no fields."
                hint = did_you_mean(name, free) or did_you_mean(name, known, otherwise=otherwise)
                found.append(self._problem("unknown_field", f"“{spec.title}” has no field “{name[:80]}”.", node, (name,), hint))
        for name, field in known.items():
            value = node.fields.get(name)
            if value is None or (value == "" and field.required):
                if field.required and field.default is None and _is_shown(field, node.fields, known):
                    text = f"“{field.label or name}” is missing."
                    found.append(self._problem("missing", text, node, (name,), field.help or f"Write “{name}: …”."))
            else:
                found += self._check_value(node, field, value)
        found += self._check_alternatives(node, spec)
        if node.disabled:
            return [replace(problem, severity="warning") for problem in found]
        return found

    def _check_alternatives(self, node: Node, spec: StepSpec) -> Iterator[Problem]:
        for one, other in ALTERNATIVES.get(spec.name, ()):
            given = [name for name in (one, other) if node.fields.get(name) not in (None, "")]
            if not given:
                text = f"“{spec.title}” needs “{one}” or “{other}”."
                yield self._problem("missing", text, node, (one,), f"Write “{one}: …” or “{other}: …”.")
            elif len(given) == 2:
                text = f"“{spec.title}” takes “{one}” or “{other}”, not both."
                yield self._problem("bad_value", text, node, (other,), "Remove one of the two.")

    def _check_value(self, node: Node, field: FieldSpec, value: Any) -> Iterator[Problem]:
        if field.type in EXPRESSION_TYPES:
            yield from self._check_expressions(node, field, value)
            return
        if field.type != "items" and field.allows_expressions:
            is_constant = True
            for path, text in _texts(value, (field.name,)):
                is_constant = False
                yield from self._check_text(node, field, path, text, is_template=True)
            if not is_constant:
                return
        try:
            convert(field, value, timezone=self._timezone)
            if field.type == "cron":
                parse_cron(str(value))
        except TreadleError as error:
            yield self._problem("bad_value", error.message, node, (field.name,), error.hint)
        except Exception:  # a converter that stumbles over a value has found that it is of the wrong type
            text = f"“{field.label or field.name}” cannot be {kind_of(value)}."
            yield self._problem("bad_value", text, node, (field.name,), None)

    def _check_expressions(self, node: Node, field: FieldSpec, value: Any) -> Iterator[Problem]:
        path: tuple[str | int, ...] = (field.name,)
        entries: Iterable[tuple[tuple[str | int, ...], Any]]
        match field.type:
            case "expression":
                if isinstance(value, list | dict):
                    text = f"“{field.label or field.name}” is an expression, not {kind_of(value)}."
                    yield self._problem(
                        "wrong_type", text, node, path, "Write the list or the object as an expression, in quotes."
                    )
                    return
                entries = [(path, value)]
            case "expression_list":
                listed = value if isinstance(value, list) else [value]
                entries = (
                    [((*path, index), entry) for index, entry in enumerate(listed)] if listed is value else [(path, value)]
                )
            case _ if isinstance(value, dict):
                entries = [((*path, name), entry) for name, entry in value.items()]
                if field.type == "cases":
                    yield from self._check_case_names(node, field, value)
            case "cases":
                text = f"“{field.label or field.name}” wants ports with conditions, not {kind_of(value)}."
                yield self._problem("wrong_type", text, node, path, "Write it as port: condition.")
                return
            case _ if isinstance(value, list | str):
                entries = (
                    [((*path, index), entry) for index, entry in enumerate(value)]
                    if isinstance(value, list)
                    else [(path, value)]
                )
            case _:
                text = f"“{field.label or field.name}” wants names with expressions, not {kind_of(value)}."
                yield self._problem("wrong_type", text, node, path, "Write it as name: expression.")
                return
        for at, entry in entries:
            if isinstance(entry, str):
                yield from self._check_text(node, field, at, bare(entry), is_template=False)

    def _check_case_names(self, node: Node, field: FieldSpec, cases: Mapping[str, Any]) -> Iterator[Problem]:
        for name in cases:
            if not is_port(name):
                text = f"“{name[:80]}” cannot name a port: letters, digits, underscores and dashes."
                yield self._problem("bad_port", text, node, (field.name, name), f"Write “{slug(name)}”.")

    def _check_text(
        self, node: Node, field: FieldSpec, path: tuple[str | int, ...], text: str, *, is_template: bool
    ) -> Iterator[Problem]:
        problems, references, says_loop = _look_at(text, is_template)
        if says_loop and node.id not in self._loops:
            sentence = f"“{field.label or field.name}”: “loop” is known only in the body of a loop."
            yield self._problem("reference", sentence, node, path, "Put the step between “each” and “next” of a loop.")
        place = self._locate(("nodes", node.id, "with", *path))
        for problem in problems:
            where = f" (line {problem.position.line})" if "\n" in text else f" (at character {problem.position.column})"
            sentence = f"“{field.label or field.name}”: {problem.message}{where if len(text) > 12 else ''}."
            # A text of several lines stands below its key.
            at = (place[0] + problem.position.line, place[1]) if place and "\n" in text else place
            yield self._problem("expression", sentence, node, path, _sentence(problem.hint), at)
        for name in references:
            if mistake := self._reference(node, name):
                sentence, hint = mistake
                yield self._problem("reference", f"“{field.label or field.name}”: {sentence}", node, path, hint, place)

    def _reference(self, node: Node, name: str) -> tuple[str, str | None] | None:
        """Return what is wrong with `nodes.<name>` at this node, and what would mend it."""
        if name not in self._graph.nodes:
            before = [known for known in self._graph.nodes if self._graph.is_upstream(known, node.id)]
            hint = did_you_mean(name, before) or did_you_mean(name, self._graph.nodes)
            return f"there is no node “{name[:80]}”.", hint or (f"Before it come {one_of(before)}." if before else None)
        if name == node.id:
            return "a node cannot use its own output.", "What comes in is “item”."
        inside = [frame for frame in self._regions.around(NodeId(name)) if frame not in self._regions.around(node.id)]
        if inside:
            return (
                f"“{name}” stands in the body of “{inside[-1]}”, so its data is not seen from here.",
                f"Lead what is needed back to “{inside[-1]}”, and use nodes.{inside[-1]}.",
            )
        if name in self._regions.around(node.id):
            return f"“{name}” is the frame around this step.", "Use loop.item, or the steps before the frame."
        if not self._graph.is_upstream(NodeId(name), node.id):
            return (
                f"“{name}” does not come before “{node.id}”, so its data is not there yet.",
                f"Draw a way from “{name}” to here.",
            )
        return None

    def _problem(
        self,
        code: str,
        text: str,
        node: Node,
        path: tuple[str | int, ...],
        hint: str | None,
        position: Position | None = None,
    ) -> Problem:
        whole = ("nodes", node.id, "with", *path)
        return problem_at(code, text, whole, position or self._locate(whole), hint=hint)


@lru_cache(maxsize=16_384)
def _look_at(text: str, is_template: bool) -> tuple[tuple[ExpressionProblem, ...], tuple[str, ...], bool]:
    """Return what is wrong with an expression or a template, the nodes it speaks of, and whether of `loop`; remembered."""
    problems = tuple(check_template(text) if is_template else check_expression(text))
    if "nodes" not in text and "loop" not in text:
        return problems, (), False
    try:
        compiled = compile_template(text) if is_template else compile_expression(text)
    except TreadleError:
        return problems, (), False
    return problems, tuple(sorted(compiled.node_refs)), "loop" in compiled.names


def _texts(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Return the texts with expressions in them, with their paths."""
    if isinstance(value, str):
        if _OPEN in value:
            yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*path, index))


def _is_shown(field: FieldSpec, written: Mapping[str, Any], known: Mapping[str, FieldSpec]) -> bool:
    """Whether the form surely shows the field: a field that hangs on an expression may be hidden."""
    for name, wanted in field.show_when.items():
        value = written.get(name)
        if value is None and name in known:
            value = known[name].default
        if value not in wanted:
            return False
    return True


def _sentence(hint: str | None) -> str | None:
    if not hint:
        return None
    return hint[0].upper() + hint[1:] + ("" if hint[-1] in ".?!" else ".")
