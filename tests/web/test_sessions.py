"""Sessions on a machine where other programs listen as well, and restart as often as they like."""

from datetime import timedelta

import pytest

from app.web.sessions import Sessions, make_launch_token
from engine.clock import ManualClock

KEY = b"k" * 32


@pytest.mark.parametrize(
    "beside",
    ['prefs={"dark":true}; ', "a=b c; ", "seen; ", 'q="open; ', "list[0]=1; ", "é=1; ", "a=;;; ", "=v; ", "n=1; n=2;"],
)
def test_cookies_of_others_lock_nobody_out(beside: str):
    """
    Browsers send the cookies of every program on this machine, whatever its port; odd ones do not hide ours.
    """
    clock = ManualClock()
    sessions = Sessions(KEY, clock)
    value = sessions.redeem(make_launch_token(KEY, clock))
    session = sessions.find(f"{sessions.cookie_name}={value}")
    assert session is not None
    assert session == sessions.find(f"{beside}{sessions.cookie_name}={value}")
    assert session == sessions.find(f"{sessions.cookie_name}={value}; {beside}")


def test_a_cookie_of_the_same_name_does_not_hide_ours():
    """
    Another program on this machine may set our cookie's name for a narrower path, which the browser then sends first.
    """
    clock = ManualClock()
    sessions = Sessions(KEY, clock)
    value = sessions.redeem(make_launch_token(KEY, clock))
    assert sessions.find(f"{sessions.cookie_name}=forged; {sessions.cookie_name}={value}") is not None
    assert sessions.find(f"{sessions.cookie_name}=forged; x{sessions.cookie_name}={value}") is None


def test_a_used_link_stays_used_over_a_quick_restart():
    """
    Which links were used is not remembered beyond the end of the program, so a later life takes none from before its start.
    """
    clock = ManualClock()
    token = make_launch_token(KEY, clock)
    assert Sessions(KEY, clock).redeem(token) is not None
    clock.advance(timedelta(seconds=2))
    assert Sessions(KEY, clock).redeem(token) is None
