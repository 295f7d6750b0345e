"""What can be said about an expression without running it: the names it uses, and every problem of its words and calls."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from .errors import ExpressionError, ExpressionProblem, Position, did_you_mean
from .functions import ALIASES, FUNCTIONS, Function
from .syntax import Call, Index, Lambda, ListOf, Literal, Member, Name, ObjectOf, Spread, Syntax, parts_of

SCOPE_NAMES = frozenset({"item", "items", "index", "nodes", "run", "workflow", "vars", "loop"})


@dataclass(slots=True)
class Analysis:
    """
    The facts about one tree.

    `names` are free names, `node_refs` the ids used as `nodes.<id>`, `functions` the functions called. `is_plain` says that no
    part can multiply work, so no meter is needed; `is_building` that the result may hold more than came in.
    """

    names: set[str] = field(default_factory=set)
    node_refs: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    faults: list[ExpressionError] = field(default_factory=list)
    is_plain: bool = True
    is_building: bool = False
    reads_clock: bool = False
    is_random: bool = False

    def problems(self, source: str) -> list[ExpressionProblem]:
        """Return the faults as problems with places in `source`."""
        return [
            ExpressionProblem(fault.message, Position.at(source, fault.offset or 0), fault.hint)
            for fault in sorted(self.faults, key=lambda fault: fault.offset or 0)
        ]


def analyse(tree: Syntax, known: Collection[str] | None = None) -> Analysis:
    """Walk a tree once; `known` are the names that exist, None when that is not known yet."""
    analysis = Analysis()
    _walk(tree, frozenset(), analysis, known)
    return analysis


def _walk(node: Syntax, local: frozenset[str], found: Analysis, known: Collection[str] | None) -> None:
    match node:
        case Name(at, name) if name not in local:
            found.names.add(name)
            if name == "nodes":
                found.faults.append(
                    ExpressionError(
                        "“nodes” is not a value by itself", hint="write nodes.<id>.item with the id of a node", offset=at
                    )
                )
            elif known is not None and name not in known:
                found.faults.append(unknown_name(name, known, at))
        case Member(_, Name(_, "nodes"), name) if "nodes" not in local:
            found.names.add("nodes")
            found.node_refs.add(name)
            return
        case Index(at, Name(_, "nodes"), key) if "nodes" not in local:
            found.names.add("nodes")
            if isinstance(key, Literal) and isinstance(key.value, str):
                found.node_refs.add(key.value)
            else:
                message = "the node must be written out, so that Treadle knows which data is needed"
                found.faults.append(ExpressionError(message, hint='write nodes.<id> or nodes["<id>"]', offset=at))
            return
        case Lambda(_, names, body):
            found.is_plain = False
            _walk(body, local | set(names), found, known)
            return
        case Call():
            _walk_call(node, found)
        case ListOf() | ObjectOf() | Spread():
            found.is_building = True
            found.is_plain = found.is_plain and not isinstance(node, Spread)
    for part in parts_of(node):
        _walk(part, local, found, known)


def _walk_call(call: Call, found: Analysis) -> None:
    function = FUNCTIONS.get(call.name)
    if function is None:
        found.faults.append(unknown_function(call))
        found.is_plain = False
        return
    found.functions.add(call.name)
    found.is_plain = found.is_plain and (function.is_flat or function.is_lazy)
    found.is_building = found.is_building or not (function.is_picking or function.is_flat or function.is_lazy)
    found.reads_clock = found.reads_clock or function.reads_clock
    found.is_random = found.is_random or function.is_random
    if fault := _wrong_arguments(call, function):
        found.faults.append(fault)


def _wrong_arguments(call: Call, function: Function) -> ExpressionError | None:
    count, least, most = len(call.arguments), function.least, function.most
    if count < least or (most is not None and count > most):
        wanted = str(least) if least == most else f"{least} or more" if most is None else f"{least} to {most}"
        plural = "value" if wanted == "1" else "values"
        return ExpressionError(
            f"{call.name} takes {wanted} {plural}, here it gets {count}", hint=f"write {function.signature}", offset=call.at
        )
    for index, argument in enumerate(call.arguments):
        parameter = function.parameter(index)
        if isinstance(argument, Lambda):
            if parameter.kind != "function":
                return ExpressionError(
                    f"{call.name} takes a value here, not a function", hint=f"write {function.signature}", offset=argument.at
                )
            if len(argument.names) > function.lambda_arity:
                return ExpressionError(
                    f"{call.name} hands at most {function.lambda_arity} values to the function", offset=argument.at
                )
        elif parameter.kind == "function" and not (
            isinstance(argument, Literal) and argument.value is None and parameter.is_optional
        ):
            return ExpressionError(
                f"{call.name} needs a function here",
                hint=f"write it with an arrow: {call.name}(…, x => x.total)",
                offset=argument.at,
            )
    return None


def unknown_function(call: Call) -> ExpressionError:
    """Build the error for a function that does not exist."""
    hint = did_you_mean(call.name, FUNCTIONS, aliases=ALIASES)
    return ExpressionError(f"there is no function “{call.name}”", hint=hint, offset=call.at)


def unknown_name(name: str, known: Collection[str], at: int) -> ExpressionError:
    """Build the error for a name that does not exist here."""
    hint = did_you_mean(name, sorted(word for word in known if not word.startswith("$")))
    if hint is None and name in FUNCTIONS:
        hint = f"“{name}” is a function: write {FUNCTIONS[name].signature}"
    if hint is None and "item" in known:
        hint = f"did you mean item.{name}?" if len(name) < 60 else None
    return ExpressionError(f"there is no name “{name}” here", hint=hint, offset=at)
