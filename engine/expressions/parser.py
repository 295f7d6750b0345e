"""
From tokens to a tree: a Pratt parser with one precedence table.

From loose to tight: `? :`, `||`, `&&`, `not`, comparisons and `in`, `+ -`, `* / %`, unary `- + !`, `??`, then `. [] ()`.
`??` binds tighter than arithmetic on purpose: arithmetic on null is an error, so `item.price * item.qty ?? 0` can only mean
`item.price * (item.qty ?? 0)`.
"""

from __future__ import annotations

from .errors import ExpressionError, did_you_mean
from .lexer import MAX_SOURCE, Token, tokenize
from .syntax import (
    Binary,
    Call,
    Condition,
    Index,
    Lambda,
    ListOf,
    Literal,
    Member,
    Name,
    ObjectOf,
    Slice,
    Spread,
    Syntax,
    Unary,
)

MAX_NESTING = 40
MAX_DEPTH = 200

_OR, _AND, _NOT, _COMPARE, _ADD, _MULTIPLY, _UNARY, _ELSE = range(1, 9)
_BINDING = {
    "||": _OR,
    "or": _OR,
    "&&": _AND,
    "and": _AND,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in", "not"), _COMPARE),
    "+": _ADD,
    "-": _ADD,
    "*": _MULTIPLY,
    "/": _MULTIPLY,
    "%": _MULTIPLY,
    "??": _ELSE,
}
_SPELLED = {"or": "||", "and": "&&"}
_CONSTANTS: dict[str, object] = {"true": True, "false": False, "null": None}
RESERVED = frozenset({"and", "or", "not", "in", "true", "false", "null"})
_FOREIGN_WORDS = {"None": "null", "nil": "null", "undefined": "null", "True": "true", "False": "false", "NULL": "null"}
_STATEMENTS = frozenset(
    {"let", "var", "const", "function", "return", "import", "lambda", "def", "class", "new", "for", "while"}
)


def parse(source: str) -> Syntax:
    """Return the tree of a bare expression; raises ExpressionError with the source and the place."""
    try:
        if len(source) > MAX_SOURCE:
            raise ExpressionError(
                f"the expression is longer than {MAX_SOURCE} characters", hint="split it over several fields", offset=0
            )
        return parse_tokens(tokenize(source))
    except ExpressionError as error:
        raise error.within(source) from None


def parse_tokens(tokens: list[Token]) -> Syntax:
    """Return the tree of a list of tokens that ends with an `end` token."""
    return _Parser(tokens).whole()


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.place = 0
        self.nesting = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    def whole(self) -> Syntax:
        if self.at_end():
            raise ExpressionError("the expression is empty", hint="write a value such as item.name", offset=self.token.at)
        tree = self.expression()
        if not self.at_end():
            raise self.unexpected("expected the end of the expression")
        _check_depth(tree)
        return tree

    def expression(self) -> Syntax:
        """Read `a ? b : c` and everything tighter."""
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise ExpressionError(
                f"the expression is nested deeper than {MAX_NESTING} levels",
                hint="split it over several fields",
                offset=self.token.at,
            )
        if self.is_lambda():
            raise ExpressionError(
                "a function can only be handed to another one", hint="for example items.map(i => i.total)", offset=self.token.at
            )
        tree = self.binary(0)
        if self.is_sign("?"):
            at = self.advance().at
            then = self.expression()
            self.expect(":", "a condition needs both sides: test ? this : that")
            tree = Condition(at, tree, then, self.expression())
        self.nesting -= 1
        return tree

    def binary(self, floor: int) -> Syntax:
        left = self.unary()
        compared = False
        while True:
            token = self.token
            word = token.value if token.kind in ("sign", "name") else None
            if not isinstance(word, str) or (binding := _BINDING.get(word, 0)) <= floor:
                return left
            if word == "not":
                if self.peek().value != "in" or self.peek().kind != "name":
                    return left
                self.advance()
            self.advance()
            if binding == _COMPARE:
                if compared:
                    raise ExpressionError("comparisons cannot be chained", hint="write 1 < x && x < 5", offset=token.at)
                compared = True
            if word == "not":
                left = Unary(token.at, "!", Binary(token.at, "in", left, self.binary(binding)))
            elif binding == _ELSE:
                left = Binary(token.at, "??", left, self.unary(above=_ELSE))
            else:
                left = Binary(token.at, _SPELLED.get(word, word), left, self.binary(binding))

    def unary(self, above: int = 0) -> Syntax:
        """Read a sign before a value; the value takes what binds tighter than the sign."""
        token = self.token
        if token.kind == "name" and token.value == "not":
            self.advance()
            return Unary(token.at, "!", self.deeper(lambda: self.binary(_NOT)))
        if token.kind == "sign" and token.value in ("-", "+", "!"):
            self.advance()
            operand = self.deeper(lambda: self.binary(_UNARY) if above < _UNARY else self.unary(above))
            if token.value == "-" and isinstance(operand, Literal) and type(operand.value) in (int, float):
                value = operand.value
                assert isinstance(value, int | float)
                return Literal(token.at, -value)
            return Unary(token.at, str(token.value), operand)
        return self.postfix(self.primary())

    def deeper(self, read: object) -> Syntax:
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise ExpressionError(f"the expression is nested deeper than {MAX_NESTING} levels", offset=self.token.at)
        assert callable(read)
        tree = read()
        self.nesting -= 1
        assert isinstance(tree, Syntax)
        return tree

    def primary(self) -> Syntax:
        if self.at_end():
            raise self.unexpected("expected a value")
        token = self.advance()
        if token.kind in ("number", "text"):
            return Literal(token.at, token.value)
        if token.kind == "name":
            word = str(token.value)
            if word in _CONSTANTS:
                return Literal(token.at, _CONSTANTS[word])
            if self.is_sign("("):
                return Call(token.at, word, self.arguments())
            if word in RESERVED or word in _STATEMENTS:
                self.place -= 1
                raise self.unexpected("expected a value")
            if word in _FOREIGN_WORDS:
                raise ExpressionError(f"there is no “{word}”", hint=f"did you mean “{_FOREIGN_WORDS[word]}”?", offset=token.at)
            return Name(token.at, word)
        if token.value == "(":
            tree = self.expression()
            self.expect(")", "the bracket is never closed")
            return tree
        if token.value == "[":
            return self.list_of(token.at)
        if token.value == "{":
            return self.object_of(token.at)
        self.place -= 1
        raise self.unexpected("expected a value")

    def postfix(self, tree: Syntax) -> Syntax:
        while self.token.kind == "sign":
            token = self.token
            if token.value in (".", "?."):
                self.advance()
                if self.is_sign("[") and token.value == "?.":
                    continue
                name = self.token
                if name.kind == "name":
                    self.advance()
                else:
                    raise self.unexpected('expected the name of a field; write ["…"] for a name with other letters')
                word = str(name.value)
                if self.is_sign("("):
                    tree = Call(name.at, word, (tree, *self.arguments()), is_method=True)
                else:
                    tree = Member(name.at, tree, word)
            elif token.value == "[":
                tree = self.subscript(tree)
            elif token.value == "(":
                raise ExpressionError(
                    "only functions of the language can be called",
                    hint="a field holds a value, not a function",
                    offset=token.at,
                )
            else:
                break
        return tree

    def subscript(self, base: Syntax) -> Syntax:
        at = self.advance().at
        start = None if self.is_sign(":") else self.expression()
        if self.is_sign(":"):
            self.advance()
            end = None if self.is_sign("]") else self.expression()
            self.expect("]", "the bracket is never closed")
            return Slice(at, base, start, end)
        self.expect("]", "the bracket is never closed")
        assert start is not None
        return Index(at, base, start)

    def arguments(self) -> tuple[Syntax, ...]:
        self.advance()
        found: list[Syntax] = []
        while not self.is_sign(")"):
            found.append(self.lambda_of() if self.is_lambda() else self.expression())
            if not self.is_sign(","):
                break
            self.advance()
        self.expect(")", "the bracket is never closed")
        return tuple(found)

    def list_of(self, at: int) -> Syntax:
        found: list[Syntax] = []
        while not self.is_sign("]"):
            found.append(self.spread() if self.is_sign("...") else self.expression())
            if not self.is_sign(","):
                break
            self.advance()
        self.expect("]", "the list is never closed")
        return ListOf(at, tuple(found))

    def object_of(self, at: int) -> Syntax:
        fields: list[tuple[Syntax | None, Syntax]] = []
        while not self.is_sign("}"):
            if self.is_sign("..."):
                fields.append((None, self.spread()))
            else:
                key = self.key()
                if isinstance(key, Name):
                    fields.append((Literal(key.at, key.name), key))
                else:
                    self.expect(":", "a field needs a value: {name: value}")
                    fields.append((key, self.expression()))
            if not self.is_sign(","):
                break
            self.advance()
        self.expect("}", "the object is never closed")
        return ObjectOf(at, tuple(fields))

    def key(self) -> Syntax:
        """Read the key of a field; a Name means the short form `{total}`."""
        if self.at_end():
            raise self.unexpected("expected the name of a field")
        token = self.advance()
        if token.kind == "name":
            if token.value not in RESERVED and (self.is_sign(",") or self.is_sign("}")):
                return Name(token.at, str(token.value))
            return Literal(token.at, token.value)
        if token.kind == "text":
            return Literal(token.at, token.value)
        if token.kind == "number" and isinstance(token.value, int):
            return Literal(token.at, str(token.value))
        if token.value == "[":
            tree = self.expression()
            self.expect("]", "the bracket is never closed")
            return tree
        self.place -= 1
        raise self.unexpected("expected the name of a field")

    def spread(self) -> Syntax:
        at = self.advance().at
        return Spread(at, self.expression())

    def is_lambda(self) -> bool:
        """Look ahead for `name =>` or `(a, b) =>`."""
        if self.token.kind == "name":
            return self.peek().value == "=>" and self.peek().kind == "sign"
        if not self.is_sign("("):
            return False
        place = self.place + 1
        while self.tokens[place].kind == "name" or (self.tokens[place].kind == "sign" and self.tokens[place].value == ","):
            place += 1
        closing, arrow = self.tokens[place], self.tokens[min(place + 1, len(self.tokens) - 1)]
        return (closing.kind, closing.value, arrow.kind, arrow.value) == ("sign", ")", "sign", "=>")

    def lambda_of(self) -> Syntax:
        names: list[str] = []
        first = self.token
        while not self.is_sign("=>"):
            token = self.advance()
            if token.kind == "name":
                if token.value in RESERVED:
                    raise ExpressionError(f"“{token.value}” cannot be a name", offset=token.at)
                if token.value in names:
                    raise ExpressionError(f"the name “{token.value}” stands here twice", offset=token.at)
                names.append(str(token.value))
                if self.token.kind == "name":
                    raise self.unexpected("expected “,” or “)”")
        self.advance()
        return Lambda(first.at, tuple(names), self.expression())

    def at_end(self) -> bool:
        return self.token.kind == "end"

    def is_sign(self, sign: str) -> bool:
        token = self.token
        return token.kind == "sign" and token.value == sign

    def peek(self) -> Token:
        return self.tokens[min(self.place + 1, len(self.tokens) - 1)]

    def advance(self) -> Token:
        token = self.tokens[self.place]
        if token.kind != "end":
            self.place += 1
        return token

    def expect(self, sign: str, why: str) -> None:
        if not self.is_sign(sign):
            raise self.unexpected(f"expected “{sign}”", hint=why)
        self.advance()

    def unexpected(self, wanted: str, hint: str | None = None) -> ExpressionError:
        token = self.token
        if token.kind == "end":
            return ExpressionError(f"the expression ends too early: {wanted}", hint=hint, offset=token.at)
        if token.kind == "text":
            found = "a text"
        elif token.kind == "number":
            found = "a number"
        else:
            found = f"“{token.value}”"
            word = str(token.value)
            if token.kind == "name":
                if word in _STATEMENTS:
                    hint = "an expression is one value; there are no statements"
                hint = hint or did_you_mean(word, RESERVED)
            elif word == "=>":
                hint = "a function stands inside the call of another: items.map(i => i.total)"
        return ExpressionError(f"{wanted}, found {found}", hint=hint, offset=token.at)


def _check_depth(tree: Syntax) -> None:
    """Refuse trees so deep that walking them could overflow the stack; walks without recursion."""
    from .syntax import parts_of

    level: list[Syntax] = [tree]
    for _ in range(MAX_DEPTH):
        level = [part for node in level for part in parts_of(node)]
        if not level:
            return
    raise ExpressionError(
        f"the expression has a chain of more than {MAX_DEPTH} parts",
        hint="split it, or use a list with join or sum",
        offset=level[0].at,
    )
