"""Moments and durations as people say them."""

from __future__ import annotations

from datetime import datetime, timedelta

from . import words


def ago(moment: datetime | None, now: datetime) -> str:
    """Return how long ago it was: `just now`, `5 min ago`, `yesterday`, then the date."""
    if moment is None:
        return words.NEVER
    seconds = (now - moment).total_seconds()
    if seconds < 0:
        return full(moment)
    if seconds < 45:
        return words.JUST_NOW
    if seconds < 3600:
        return words.minutes_ago(max(1, round(seconds / 60)))
    if seconds < 86_400:
        return words.hours_ago(max(1, round(seconds / 3600)))
    if seconds < 7 * 86_400:
        return words.days_ago(max(1, round(seconds / 86_400)))
    return moment.astimezone().strftime("%-d %b %Y" if moment.year != now.year else "%-d %b")


def full(moment: datetime | None) -> str:
    """Return the moment to the second, in the time zone of this machine."""
    return "" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def clock(moment: datetime | None) -> str:
    """Return the time of day to the millisecond."""
    return "" if moment is None else moment.astimezone().strftime("%H:%M:%S.%f")[:-3]


def span(milliseconds: float | None) -> str:
    """Return a duration in at most three digits: `<1 ms`, `0.4 ms`, `12 ms`, `1.4 s`, `3 min 20 s`, `2 h 5 min`."""
    if milliseconds is None:
        return ""
    if milliseconds < 0.1:
        return "<1 ms"
    if milliseconds < 10:
        return f"{milliseconds:.1f} ms"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def between(start: datetime | None, end: datetime | None) -> float | None:
    """Return the milliseconds from one moment to another, None when one of them is missing."""
    return None if start is None or end is None else (end - start) / timedelta(milliseconds=1)


def size(count: int) -> str:
    """Return a number of bytes in words: `312 B`, `4.1 KB`, `20 MB`."""
    value, unit = float(count), "B"
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
