"""Settings are read once, and what cannot be used is told by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.model.errors import SettingsError
from tools.settings import load_settings


def test_a_machine_with_nothing_set_has_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any variable there is an embedded database in the person's data folder."""
    monkeypatch.delenv("OPTIINFRA_HOME", raising=False)
    settings = load_settings(None)
    assert settings.database_url.endswith("/.local/share/optiinfra/optiinfra.db")


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blanks around words do not matter."""
    monkeypatch.setenv("OPTIINFRA_TAG_KEYS", "team, env ,cost-centre")
    assert load_settings(None).tag_keys == ("team", "env", "cost-centre")


def test_a_file_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`.env` gives values; a variable of the process goes first; secrets do not show."""
    file = tmp_path / ".env"
    file.write_text("SLACK_BOT_TOKEN=xoxb-file\nOPTIINFRA_HTTP_PORT=9000\nUNRELATED=1\n")
    monkeypatch.setenv("OPTIINFRA_HTTP_PORT", "9001")
    monkeypatch.delenv("SLACK_BOT_TOKEN", raising=False)
    settings = load_settings(file)
    assert settings.http_port == 9001
    assert settings.slack_bot_token.get_secret_value() == "xoxb-file"
    assert "xoxb-file" not in repr(settings)


def test_an_unusable_value_is_told_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The value itself is not repeated, as it might be a secret."""
    monkeypatch.setenv("OPTIINFRA_DIGEST_HOUR", "teatime")
    with pytest.raises(SettingsError, match="digest_hour") as caught:
        load_settings(None)
    assert "teatime" not in str(caught.value)
