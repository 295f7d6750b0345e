"""How a call becomes a closure: arguments held to their kinds, costs charged before and after, errors given their place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .budget import METER, Meter
from .errors import ExpressionError
from .functions.spec import EXACT_TYPES, MAX_WHOLE, Function, Parameter, fitted
from .syntax import Call, Literal

Run = Callable[[Any], Any]


def build_call(call: Call, function: Function, runs: list[Run]) -> Run:
    """Return the closure that calls `function` with what `runs` give."""
    if function.is_lazy:
        return _lazy(call, function, runs)
    arguments = [_argument(function, index, run, call) for index, run in enumerate(runs)]
    if function.is_flat:
        return _flat(call, function, arguments)
    if len(arguments) in (1, 2) and function.parameter(0).kind == "list" and not function.parameter(0).is_variadic:
        is_function = len(arguments) == 2 and function.parameter(1).kind == "function"
        if is_function or len(arguments) == 1:
            return _on_list(call, function, runs)
    return _metered(call, function, arguments)


def _argument(function: Function, index: int, run: Run, call: Call) -> Run:
    """Wrap one argument so that it arrives in the kind the parameter asks for."""
    parameter: Parameter = function.parameter(index)
    kind = parameter.kind
    if kind in ("any", "function"):
        return run
    written = call.arguments[index]
    exact = EXACT_TYPES[kind]
    if isinstance(written, Literal) and type(written.value) in exact and not (kind == "whole" and not _is_small(written.value)):
        return run
    fit, is_whole = _fitter(function, index, call), kind == "whole"

    def argument(frame: Any) -> Any:
        value = run(frame)
        if type(value) in exact and (not is_whole or -MAX_WHOLE < value < MAX_WHOLE):
            return value
        return fit(value, frame)

    return argument


def _fitter(function: Function, index: int, call: Call) -> Callable[[Any, Any], Any]:
    """Return what brings an argument of another kind to the one the parameter asks for, or refuses it by name."""
    parameter = function.parameter(index)
    at, label = call.arguments[index].at, _label(function, index)

    def fit(value: Any, frame: Any) -> Any:
        if value is None and parameter.is_optional:
            return parameter.default
        try:
            return fitted(value, parameter.kind, frame)
        except ExpressionError as error:
            raise ExpressionError(f"{label} {error.message}", hint=error.hint, offset=at) from None

    return fit


def _is_small(value: object) -> bool:
    return isinstance(value, int) and -MAX_WHOLE < value < MAX_WHOLE


def _label(function: Function, index: int) -> str:
    """Name the argument in a sentence: `round(…)`, `the second value of round(…)`."""
    if index == 0:
        return f"{function.name}(…)"
    order = ("first", "second", "third", "fourth", "fifth", "sixth")
    return f"the {order[index] if index < len(order) else f'{index + 1}th'} value of {function.name}(…)"


def _lazy(call: Call, function: Function, runs: list[Run]) -> Run:
    at, work = call.at, function.call

    def evaluate(frame: Any) -> Any:
        try:
            return work(frame, *runs)
        except ExpressionError as error:
            raise error.located(at) from None

    return evaluate


def _flat(call: Call, function: Function, arguments: list[Run]) -> Run:
    at, work = call.at, function.call
    if function.wants_scope:

        def scoped(frame: Any) -> Any:
            try:
                return work(frame, *[argument(frame) for argument in arguments])
            except ExpressionError as error:
                raise error.located(at) from None

        return scoped
    if len(arguments) == 1:
        only = arguments[0]

        def one(frame: Any) -> Any:
            try:
                return work(only(frame))
            except ExpressionError as error:
                raise error.located(at) from None

        return one

    def several(frame: Any) -> Any:
        try:
            return work(*[argument(frame) for argument in arguments])
        except ExpressionError as error:
            raise error.located(at) from None

    return several


def _on_list(call: Call, function: Function, runs: list[Run]) -> Run:
    """Build a call that works on a list, alone or with a function: `filter`, `map`, `sum` and their like, without detours."""
    at, work, list_run, fit_list = call.at, function.call, runs[0], _fitter(function, 0, call)
    each = 8 if function.is_picking else 16
    second = runs[1] if len(runs) > 1 else None
    lead = METER if function.wants_meter else "" if function.wants_scope else None

    def evaluate(frame: Any) -> Any:
        meter: Meter = frame[METER]
        try:
            values = list_run(frame)
            if type(values) is not list:
                values = fit_list(values, frame)
            length = len(values)
            if length > 16:
                meter.charge(length >> 1)
            if lead is None:
                value = work(values) if second is None else work(values, second(frame))
            else:
                head = meter if lead else frame
                value = work(head, values) if second is None else work(head, values, second(frame))
            kind = type(value)
            if kind is list:
                meter.memory -= 56 + len(value) * each
                if meter.memory < 0:
                    meter.take(0)
            elif kind is str:
                meter.take_text(len(value), not value.isascii())
            elif kind is dict:
                meter.take(240 + 100 * len(value))
            return value
        except ExpressionError as error:
            raise error.located(at) from None

    return evaluate


def _metered(call: Call, function: Function, arguments: list[Run]) -> Run:
    at, work, wants_meter, wants_scope = call.at, function.call, function.wants_meter, function.wants_scope
    each = 8 if function.is_picking else 16

    def evaluate(frame: Any) -> Any:
        meter: Meter = frame[METER]
        try:
            values = [argument(frame) for argument in arguments]
            for value in values:
                kind = type(value)
                if kind is list or kind is dict:
                    if len(value) > 16:
                        meter.charge(len(value) >> 1)
                elif kind is str and len(value) > 128:
                    meter.charge(len(value) >> 7)
            if wants_meter:
                value = work(meter, *values)
            elif wants_scope:
                value = work(frame, *values)
            else:
                value = work(*values)
            kind = type(value)
            if kind is list:
                meter.take(56 + len(value) * each)
            elif kind is str:
                meter.take_text(len(value), not value.isascii())
            elif kind is dict:
                meter.take(240 + 100 * len(value))
            return value
        except ExpressionError as error:
            raise error.located(at) from None

    return evaluate
