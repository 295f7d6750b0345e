"""
The small language in which fields are computed.

    compile_expression("item.price * item.qty").evaluate({"item": {"price": 2, "qty": 3}})   # 6
    compile_template("Dear {{ item.name }}").render({"item": {"name": "Anna"}})               # "Dear Anna"

A whitelisting interpreter over JSON values, dates, durations and decimals: no attribute of a Python object is ever read, no
text compiled or executed, and every evaluation is bounded in steps, nesting and size (`Budget`).
"""

from .analysis import SCOPE_NAMES
from .budget import Budget
from .errors import ExpressionError, ExpressionProblem, Position
from .expression import Expression, check_expression, compile_expression
from .functions import FUNCTIONS, GROUPS, Function
from .suggest import Suggestion, suggest, suggest_in_template
from .template import Template, check_template, compile_template, has_expressions
from .values import Lazy, check_result, kind_of, to_json_value, truth

__all__ = [
    "FUNCTIONS",
    "GROUPS",
    "SCOPE_NAMES",
    "Budget",
    "Expression",
    "ExpressionError",
    "ExpressionProblem",
    "Function",
    "Lazy",
    "Position",
    "Suggestion",
    "Template",
    "check_expression",
    "check_result",
    "check_template",
    "compile_expression",
    "compile_template",
    "has_expressions",
    "kind_of",
    "suggest",
    "suggest_in_template",
    "to_json_value",
    "truth",
]
