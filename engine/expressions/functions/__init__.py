"""The functions of the language, one file per group; importing this fills the table `FUNCTIONS`."""

from . import business, dates, durations, encoding, lists, logic, numbers, objects, patterns, shaping, texts
from .aliases import ALIASES
from .spec import FUNCTIONS, GROUPS, Function, Parameter

__all__ = [
    "ALIASES",
    "FUNCTIONS",
    "GROUPS",
    "Function",
    "Parameter",
    "business",
    "dates",
    "durations",
    "encoding",
    "lists",
    "logic",
    "numbers",
    "objects",
    "patterns",
    "shaping",
    "texts",
]
