"""People's code: made into a function, called, and explained where it fails."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from types import CodeType, TracebackType
from typing import Any, Final

from engine.code.frames import Trouble

FILE: Final = "<code>"
_LONGEST: Final = 1_000
_HINTS: Final = {
    "KeyError": "Use .get(…) where a field may be missing.",
    "MemoryError": "Work on fewer items at a time, or give it more under “Memory”.",
    "EOFError": "Nobody is there to answer input(): values come with the items.",
    "RecursionError": "A function calls itself without end.",
    "PermissionError": "The code step works in a cage: no other programs, files in its own temp folder only, "
    "the network only where it is granted.",
    "ModuleNotFoundError": "The standard library is there; other packages are named under “Packages”.",
}


Main = Callable[..., Any]


class OutOfTime(BaseException):
    """Raised inside the code when its time is up; no `except Exception` catches it."""


class Unusable(Exception):
    """Code that cannot be called as it is; `trouble` says why."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.message)
        self.trouble = trouble


def compile_code(source: str, per: str) -> CodeType:
    """
    Return code that defines `main`; raises `Unusable`.

    Source without a `main` of its own is the body of one: it sees `item` and `index`, or `items`, and ends with a `return`;
    without any, it hands on what it was given, as it was changed.
    """
    try:
        tree = ast.parse(source, FILE)
        main = next((node for node in tree.body if getattr(node, "name", None) == "main"), None)
        if isinstance(main, ast.AsyncFunctionDef):
            raise _refused(source, main.lineno, "“main” cannot be async.", "Write “def main”; asyncio.run(…) works inside.")
        if main is None:
            tree = ast.Module([_as_function(tree.body, per)], [])
        return compile(tree, FILE, "exec", dont_inherit=True)
    except SyntaxError as error:
        line, column = error.lineno or 0, error.offset or 0
        text = line_of(source, line)
        trouble = Trouble(
            message=f"{error.msg}.", kind=type(error).__name__, line=line, column=column, source=text,
            caret=" " * max(0, column - 1) + "^" if column else "",
        )  # fmt: skip
        raise Unusable(trouble) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise Unusable(Trouble(message=f"This cannot be read as Python: {error}.", kind=type(error).__name__)) from None


def find_main(namespace: dict[str, Any], source: str, per: str) -> Main:
    """Return the function to call, with one parameter, or for items one at a time also with two (`item`, `index`)."""
    main: Main = namespace.get("main")  # type: ignore[assignment]
    if not callable(main):
        raise _refused(source, 0, "“main” is no function.", "Write “def main(item):” or “def main(items):”.")
    try:
        signature = inspect.signature(main)
        signature.bind(None)
    except ValueError:
        return main
    except TypeError:
        if per == "item":
            try:
                signature.bind(None, 0)
                return main
            except TypeError:
                pass
        wanted = "item, or item and index" if per == "item" else "items"
        line = getattr(getattr(main, "__code__", None), "co_firstlineno", 0)
        raise _refused(source, line, f"“main” has to take {wanted}.", f"Write “def main({wanted.split(',')[0]}):”.") from None
    return main


def takes_index(main: Callable[..., Any]) -> bool:
    """Return whether `main` wants the number of the item too."""
    try:
        inspect.signature(main).bind(None)
    except TypeError:
        return True
    except ValueError:
        return False
    return False


def explain(error: BaseException, source: str) -> Trouble:
    """Return what went wrong and the line of the code it went wrong at; nothing of what lies around the code is shown."""
    kind = type(error).__name__
    try:
        text = str(error)[:_LONGEST]
    except BaseException:
        text = ""
    if isinstance(error, SystemExit):
        text = "the code ended itself; use “return” instead"
    trouble = Trouble(message=f"{kind}: {text}" if text else kind, kind=kind, hint=_hint(error))
    own = _own_frames(error.__traceback__)
    if own:
        code, instruction, line = own[-1]
        trouble.line, trouble.source = line, line_of(source, line)
        trouble.column, trouble.caret = _caret(code, instruction, line, trouble.source)
        trouble.trail = [f"line {line} in {code.co_name}" for code, _, line in own[-6:-1]]
    return trouble


def line_of(source: str, line: int) -> str:
    """Return one line of the source, counted from 1; "" where there is none."""
    lines = source.splitlines()
    return lines[line - 1][:_LONGEST] if 0 < line <= len(lines) else ""


def _hint(error: BaseException) -> str:
    for kind in type(error).__mro__:
        if kind.__name__ in _HINTS:
            return _HINTS[kind.__name__]
    if isinstance(error, OSError) and error.errno in (1, 13):
        return _HINTS["PermissionError"]
    return ""


def _own_frames(traceback: TracebackType | None) -> list[tuple[CodeType, int, int]]:
    found = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename == FILE:
            found.append((code, traceback.tb_lasti, traceback.tb_lineno))
        traceback = traceback.tb_next
    return found


def _caret(code: CodeType, instruction: int, line: int, text: str) -> tuple[int, str]:
    """Return the column and the line of carets below the part that failed; columns come as bytes and are wanted as letters."""
    for number, (first, last, start, end) in enumerate(code.co_positions()):
        if number != instruction // 2:
            continue
        if first != line or start is None or end is None:
            break
        data = text.encode()
        before = data[:start].decode(errors="replace")
        part = data[start : end if last == first else len(data)].decode(errors="replace")
        return len(before) + 1, " " * len(before) + "^" * max(1, len(part))
    return 0, ""


def _as_function(body: list[ast.stmt], per: str) -> ast.FunctionDef:
    names = "item, index" if per == "item" else "items"
    (function,) = ast.parse(f"def main({names}): return {names.partition(',')[0]}", FILE).body
    assert isinstance(function, ast.FunctionDef)
    if any(isinstance(node, ast.Return) for statement in body for node in _own_nodes(statement)):
        function.body = body
    else:
        function.body = [*body, *function.body]
    return function


def _own_nodes(node: ast.AST) -> Any:
    """Yield a statement and what is inside of it, functions and classes left out."""
    yield node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        return
    for child in ast.iter_child_nodes(node):
        yield from _own_nodes(child)


def _refused(source: str, line: int, message: str, hint: str) -> Unusable:
    return Unusable(Trouble(message=message, kind="SyntaxError", hint=hint, line=line, source=line_of(source, line)))
