"""People: roles and Slack users are stored once, and nobody takes somebody else's place."""

from __future__ import annotations

from datetime import datetime

import pytest

from tools.model.access import Principal, Role
from tools.model.errors import InputError, NotFoundError
from tools.store import people
from tools.store.database import Database

pytestmark = pytest.mark.stores
T = "default"


def test_a_person_is_added_changed_and_found(database: Database, now: datetime) -> None:
    """The e-mail in lower case is the id; what is not said again stays as it was."""
    with database.begin() as tx:
        added = people.save(
            tx, T, " Ana@Lumen.example", Role.VIEWER, name="Ana", slack_team="T1", slack_user="U1", now=now
        )
        changed = people.save(tx, T, "ana@lumen.example", Role.APPROVER, now=now)
    assert (added.id, added.role) == ("ana@lumen.example", Role.VIEWER)
    assert (changed.name, changed.slack_user, changed.role) == ("Ana", "U1", Role.APPROVER)
    with database.read() as tx:
        found = people.by_slack(tx, T, "T1", "U1")
        assert found == people.by_email(tx, T, "ANA@lumen.example")
        assert found == Principal("ana@lumen.example", T, "Ana", Role.APPROVER)
        assert people.by_slack(tx, T, "T2", "U1") is None
        assert people.by_slack(tx, T, "", "") is None
        assert people.by_email(tx, "other", "ana@lumen.example") is None


def test_somebody_who_left_is_listed_but_not_found(database: Database, now: datetime) -> None:
    """An inactive person may do nothing."""
    with database.begin() as tx:
        people.save(tx, T, "bo@lumen.example", Role.ADMIN, now=now)
        people.save(tx, T, "bo@lumen.example", Role.ADMIN, active=False, now=now)
    with database.read() as tx:
        assert people.by_email(tx, T, "bo@lumen.example") is None
        assert [(p.name, p.active) for p in people.listing(tx, T)] == [("bo", False)]


def test_a_slack_user_is_one_person(database: Database, now: datetime) -> None:
    """Binding a user that is somebody else already is refused, and the transaction goes on."""
    with database.begin() as tx:
        people.save(tx, T, "ana@lumen.example", Role.VIEWER, now=now)
        people.save(tx, T, "bo@lumen.example", Role.VIEWER, now=now)
        assert people.bind_slack(tx, T, "ana@lumen.example", "T1", "U1").slack_team == "T1"
        with pytest.raises(InputError, match="somebody else"):
            people.bind_slack(tx, T, "bo@lumen.example", "T1", "U1")
        with pytest.raises(InputError, match="somebody else"):
            people.save(tx, T, "cy@lumen.example", Role.VIEWER, slack_team="T1", slack_user="U1", now=now)
    with database.read() as tx:
        assert [p.slack_user for p in people.listing(tx, T)] == ["U1", ""]


def test_what_is_no_address_and_who_is_nobody(database: Database, now: datetime) -> None:
    """Told with what to write."""
    with database.begin() as tx:
        with pytest.raises(InputError, match="not an e-mail address"):
            people.save(tx, T, "ana", Role.VIEWER, now=now)
        with pytest.raises(NotFoundError, match="Nobody here"):
            people.bind_slack(tx, T, "none@lumen.example", "T1", "U1")
