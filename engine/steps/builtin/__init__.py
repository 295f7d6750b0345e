"""The steps that come with Treadle: flow, data, files, and the forms of its own triggers."""

from __future__ import annotations

from engine.steps.builtin.call import CALL, called
from engine.steps.builtin.code import python
from engine.steps.builtin.files import FILES
from engine.steps.builtin.flow import FLOW
from engine.steps.builtin.format import format_
from engine.steps.builtin.frames import FRAMES
from engine.steps.builtin.join import JOIN
from engine.steps.builtin.parse import parse
from engine.steps.builtin.people import PEOPLE
from engine.steps.builtin.select import SELECT
from engine.steps.builtin.shape import SHAPE
from engine.steps.builtin.summarize import summarize
from engine.steps.builtin.triggers import TRIGGERS
from engine.steps.builtin.wait import WAIT
from engine.steps.spec import StepSpec


def builtin_steps() -> list[StepSpec]:
    """Return the steps of Treadle itself, in the order a palette shows them."""
    return [
        *TRIGGERS,
        called,
        *FLOW,
        *CALL,
        *FRAMES,
        *WAIT,
        *PEOPLE,
        *JOIN,
        *SHAPE,
        *SELECT,
        summarize,
        parse,
        format_,
        *FILES,
        python,
    ]
