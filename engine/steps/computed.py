"""
From what stands under `with` to what an action receives: templates rendered, types converted, expressions bound.

    plan = plan_fields(spec, node.fields)          # once per node: everything is compiled here
    fields = plan.render(scope)                    # once per batch, or once per item with `item` in the scope
    result = spec.call(batch, **fields)

The scope is a mapping with `item`, `items`, `index`, `nodes`, `run`, `workflow`, `vars`, `$now`, `$timezone`. What differs
from item to item beside `item` and `index` (the lineage behind `nodes`) comes from `at(items, index)`: it returns names laid
over the scope, and is asked only for expressions that mention one of the names in `PER_ITEM`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from engine.errors import BadInput, TreadleError
from engine.expressions.expression import Expression, compile_expression
from engine.expressions.template import Template, compile_template
from engine.model.items import Batch, Item
from engine.model.words import did_you_mean
from engine.steps.contract import Computed
from engine.steps.convert import convert
from engine.steps.spec import FieldSpec, StepSpec

ScopeAt = Callable[[Batch | None, int], Mapping[str, Any]]
"""
Asked with the batch an expression is evaluated over and an index; returns the names that differ there.

When the batch is, by identity, one that arrived at a port, the index counts in that one, else in the batch at `in`. With the
index `OVER_ALL` the value is computed over all items of the batch; `nodes.<id>.item` is one only where all came from it.
"""

PER_ITEM: Final = frozenset({"nodes"})
OF_ITEM: Final = frozenset({"item", "index"})
OF_ITEMS: Final = OF_ITEM | {"items"}
OVER_ALL: Final = -1
EXPRESSION_TYPES: Final = frozenset({"expression", "expressions", "expression_list", "cases"})


class BoundExpression:
    """An expression with the scope of its step; see `engine.steps.contract.Computed`."""

    __slots__ = ("_at", "_compiled", "_field", "_scope", "source")

    def __init__(self, source: str, scope: Mapping[str, Any], *, at: ScopeAt | None = None, field: str = "") -> None:
        self.source = bare(source)
        self._field = field
        self._scope = scope
        try:
            self._compiled: Expression = compile_expression(self.source)
        except TreadleError as error:
            raise _named(error, field) from None
        self._at = at if at and self._compiled.names & PER_ITEM else None

    @property
    def names(self) -> frozenset[str]:
        """The names of the scope that the expression mentions."""
        return self._compiled.names

    @property
    def reads_clock(self) -> bool:
        """Whether the value depends on the present moment, or on chance."""
        return self._compiled.reads_clock or self._compiled.is_random

    def few(self) -> Callable[[Batch], list[Any] | None]:
        """Return what computes the values for a few items; it gives None, or raises, when `values` has to look closer."""
        return self._compiled.few or self.values

    def value(self, item: Item | None = None, index: int = 0, **names: Any) -> Any:
        """Return the value for one item; `names` are laid over the scope."""
        scope = {**self._scope, "item": item, "index": index, **names}
        if self._at:
            scope.update(self._at(None, index))
        return self._evaluate(scope)

    def values(self, items: Batch, positions: Sequence[int] | None = None) -> list[Any]:
        """
        Return the value for each item of a batch; raises the error of the first item that has none.

        `positions` are the indexes to say `index` with where the items are a selection from a batch.
        """
        if self.source == "index":
            return list(range(len(items)) if positions is None else positions)
        if self._at is None and (positions is None or "index" not in self._compiled.names):
            if field := self._compiled.item_field:
                return [item.get(field) for item in items]
            try:
                return self._compiled.evaluate_each(items, self._scope)
            except TreadleError as error:
                raise _named(error, self._field) from None
        scope, at = {**self._scope}, self._at
        found = []
        for place, item in zip(positions if positions is not None else range(len(items)), items, strict=True):
            scope["item"], scope["index"] = item, place
            if at:
                scope.update(at(items, place))
            found.append(self._evaluate(scope))
        return found

    def value_over(self, items: Batch, **names: Any) -> Any:
        """Return one value computed over `items`; `item` is the first of them."""
        scope = {**self._scope, "items": items, "item": items[0] if items else None, "index": 0, **names}
        if self._at:
            scope.update(self._at(items, OVER_ALL))
        return self._evaluate(scope)

    def _evaluate(self, scope: Mapping[str, Any]) -> Any:
        try:
            return self._compiled.evaluate(scope)
        except TreadleError as error:
            raise _named(error, self._field) from None


class Constant:
    """A value that was written out where an expression may stand."""

    __slots__ = ("_value", "source")

    def __init__(self, value: Any) -> None:
        self._value = value
        self.source = str(value)

    def value(self, item: Item | None = None, index: int = 0, **names: Any) -> Any:
        """Return the constant."""
        return self._value

    def values(self, items: Batch, positions: Sequence[int] | None = None) -> list[Any]:
        """Return the constant once per item."""
        return [self._value] * len(items)

    def value_over(self, items: Batch, **names: Any) -> Any:
        """Return the constant."""
        return self._value


class FieldPlan:
    """The fields of one node, compiled once, rendered as often as the step is called."""

    __slots__ = ("_bound", "_constant", "_constants", "_rendered", "_written")

    def __init__(self, spec: StepSpec, written: Mapping[str, Any]) -> None:
        self._written = {**{field.name: field.default for field in spec.fields}, **written}
        known = {field.name: field for field in spec.fields}
        for name in written:
            if name not in known:
                raise BadInput(name, f"“{spec.title}” has no field “{name}”.", hint=did_you_mean(name, known))
        self._constant: list[tuple[FieldSpec, Any]] = []
        self._bound: list[tuple[FieldSpec, Any]] = []
        self._rendered: list[tuple[FieldSpec, Callable[[Mapping[str, Any]], Any]]] = []
        self._constants: dict[str, Any] | None = None
        for field in spec.fields:
            value = written.get(field.name)
            if value is None:
                value = field.default
            if field.type in EXPRESSION_TYPES:
                self._bound.append((field, value))
                continue
            render = None if field.type == "items" or not field.allows_expressions else _renderer(value, field.name)
            if render is None:
                self._constant.append((field, value))
            else:
                self._rendered.append((field, render))

    @property
    def varies(self) -> bool:
        """Whether a field has an expression in it, so that it can differ from item to item."""
        return bool(self._rendered or self._bound)

    def is_of_items(self) -> bool:
        """Whether nothing but the items, and neither the clock nor chance, decides what the fields of a batch come to."""
        if self._bound:
            return False
        return all(_is_of_items(value) for value in self._written.values())

    @property
    def is_of_item_alone(self) -> bool:
        """Whether nothing but `item` and `index` is mentioned, so that fields once rendered hold for every batch and run."""
        if self._rendered:
            return False
        for field, value in self._bound:
            found = bind_field(field, value, {})
            for entry in found.values() if isinstance(found, dict) else found if isinstance(found, list) else [found]:
                if isinstance(entry, BoundExpression) and not entry.names <= OF_ITEM:
                    return False
        return True

    def render(self, scope: Mapping[str, Any], *, at: ScopeAt | None = None) -> dict[str, Any]:
        """
        Return the fields as the action receives them.

        Raises `BadInput` for a value that is missing or of the wrong type and `ExpressionError` for an expression that fails;
        both name the field.
        """
        timezone = str(scope.get("$timezone") or "UTC")
        if self._constants is None:
            self._constants = {
                field.name: _present(field, convert(field, value, timezone=timezone)) for field, value in self._constant
            }
        fields = dict(self._constants)
        for field, render in self._rendered:
            value = convert(field, render(scope), timezone=timezone)
            fields[field.name] = _present(field, convert(field, field.default, timezone=timezone) if value is None else value)
        for field, value in self._bound:
            fields[field.name] = _present(field, bind_field(field, value, scope, at=at))
        return fields


def plan_fields(spec: StepSpec, written: Mapping[str, Any]) -> FieldPlan:
    """Compile what stands under `with`; raises `BadInput` for an unknown field, `ExpressionError` for a broken template."""
    return FieldPlan(spec, written)


def bind_fields(
    spec: StepSpec, written: Mapping[str, Any], scope: Mapping[str, Any], *, at: ScopeAt | None = None
) -> dict[str, Any]:
    """Compile and render in one go, for a step that is called once."""
    return FieldPlan(spec, written).render(scope, at=at)


def bind_expression(source: str, scope: Mapping[str, Any], *, at: ScopeAt | None = None, field: str = "") -> Computed:
    """Return the expression bound to a scope; raises `ExpressionError` when it cannot be read."""
    return BoundExpression(source, scope, at=at, field=field)


def bind_field(field: FieldSpec, value: Any, scope: Mapping[str, Any], *, at: ScopeAt | None = None) -> Any:
    """Return an expression field in the form its type promises: `Computed`, a mapping of them, or a list of them."""
    if value is None:
        return None

    def bind(entry: Any) -> Computed:
        if isinstance(entry, str):
            return BoundExpression(entry, scope, at=at, field=field.name)
        return Constant(entry)

    match field.type:
        case "expression":
            return bind(value)
        case "expression_list":
            return [bind(entry) for entry in (value if isinstance(value, list | tuple) else [value])]
        case _:
            if isinstance(value, str):
                value = [value]
            if isinstance(value, list | tuple):
                value = {name_for(entry): entry for entry in value}
            if not isinstance(value, Mapping):
                raise BadInput(
                    field.name, f"“{field.label}” wants names with expressions.", hint="Write it as name: expression."
                )
            return {str(name): bind(entry) for name, entry in value.items()}


def bare(source: str) -> str:
    """Return an expression without the `{{ }}` that people put around it out of habit."""
    text = source.strip()
    if text.startswith("{{") and text.endswith("}}") and text.count("{{") == 1:
        return text[2:-2].strip()
    return source


def name_for(source: Any) -> str:
    """Return the name of an unnamed expression: the last word of a path (`item.customer.city` is `city`), else its text."""
    text = bare(str(source)).strip()
    head, _, last = text.rpartition(".")
    return last if head.replace(".", "").replace("_", "").isalnum() and last.isidentifier() else text


def _present(field: FieldSpec, value: Any) -> Any:
    if value is None and field.required:
        raise BadInput(field.name, f"“{field.label or field.name}” is missing.", hint=field.help or None)
    return value


def _named(error: TreadleError, field: str) -> TreadleError:
    if field:
        error.where.setdefault("field", field)
    return error


def _renderer(value: Any, field: str) -> Callable[[Mapping[str, Any]], Any] | None:
    """Return a function of the scope for a value with templates in it; None when it is constant."""
    if isinstance(value, str):
        return _text_renderer(value, field) if "{{" in value else None
    if isinstance(value, Mapping):
        parts = {name: _renderer(entry, field) for name, entry in value.items()}
        if not any(parts.values()):
            return None
        return lambda scope: {
            name: render(scope) if (render := parts[name]) is not None else entry for name, entry in value.items()
        }
    if isinstance(value, list | tuple):
        renderers = [_renderer(entry, field) for entry in value]
        if not any(renderers):
            return None
        return lambda scope: [render(scope) if render else entry for render, entry in zip(renderers, value, strict=True)]
    return None


def _is_of_items(value: Any) -> bool:
    if isinstance(value, str):
        template = compile_template(value) if "{{" in value else None
        if template is None:
            return True
        return not (template.reads_clock or template.is_random) and all(part.names <= OF_ITEMS for part in template.expressions)
    if isinstance(value, Mapping):
        return all(map(_is_of_items, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_of_items, value))
    return True


def _text_renderer(text: str, field: str) -> Callable[[Mapping[str, Any]], Any]:
    try:
        template: Template = compile_template(text)
    except TreadleError as error:
        raise _named(error, field) from None

    def render(scope: Mapping[str, Any]) -> Any:
        try:
            return template.render(scope)
        except TreadleError as error:
            raise _named(error, field) from None

    return render
