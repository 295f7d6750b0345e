"""The settings of one Treadle."""

from pathlib import Path

import pytest

from app.config import load_settings
from engine.errors import BadRequest


def test_defaults_need_nothing(tmp_path):
    """
    Without a file and without variables there is a SQLite file in the data folder and a loopback address.
    """
    settings = load_settings(data=tmp_path, environment={})
    assert (f"sqlite:///{tmp_path / 'treadle.db'}", "127.0.0.1", "FULL") == (
        settings.database_url,
        settings.host,
        settings.synchronous,
    )


def test_given_beats_environment_beats_file(tmp_path):
    """
    What is said on the command line wins over the environment, which wins over the file.
    """
    (tmp_path / "treadle.toml").write_text("port = 1\nslots = 2\nmax_body_mb = 3\n")
    settings = load_settings(data=tmp_path, environment={"TREADLE_PORT": "10", "TREADLE_SLOTS": "20"}, port=100)
    assert (100, 20, 3) == (settings.port, settings.slots, settings.max_body_mb)


def test_data_folder_comes_from_the_environment(tmp_path):
    """
    TREADLE_DATA names the folder when nothing else does.
    """
    assert tmp_path / "here" == load_settings(environment={"TREADLE_DATA": str(tmp_path / "here")}).data


def test_every_problem_is_told_at_once(tmp_path):
    """
    Wrong values, unknown names and values out of range stand in one message with the place to mend them.
    """
    (tmp_path / "treadle.toml").write_text(
        'port = "many"\ncolour = "red"\nslots = 0\nsynchronous = "MAYBE"\nlog_level = "LOUD"\n'
    )
    with pytest.raises(BadRequest) as caught:
        load_settings(data=tmp_path, environment={})
    assert all(word in caught.value.message for word in ("port", "colour", "slots", "MAYBE", "LOUD"))
    assert str(tmp_path / "treadle.toml") in (caught.value.hint or "")


def test_a_broken_file_is_named(tmp_path):
    """
    A settings file that is no TOML is an error that names the file, not a start with defaults.
    """
    (tmp_path / "treadle.toml").write_text("port = = 1")
    with pytest.raises(BadRequest, match=r"treadle\.toml cannot be read"):
        load_settings(data=tmp_path, environment={})


@pytest.mark.parametrize("port", [-1, 65536])
def test_ports_have_a_range(tmp_path, port):
    """
    A port outside 0 to 65535 is refused.
    """
    with pytest.raises(BadRequest, match="between 0 and 65535"):
        load_settings(data=Path(tmp_path), environment={}, port=port)
