"""FOCUS files are recognised by their columns, and tags are one thing however they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.model.errors import InputError
from tools.providers.focus import columns, files, tags
from tools.providers.focus.reading import provider_name, why

CORE = ["BilledCost", "EffectiveCost", "ChargePeriodStart", "ChargeCategory", "BillingAccountId", "BillingCurrency"]


@pytest.mark.parametrize(
    ("more", "version"),
    [
        (["ProviderName", "BillingPeriodStart"], "1.0"),
        (["ProviderName", "CommitmentDiscountQuantity"], "1.1"),
        (["ProviderName", "SkuMeter", "InvoiceId"], "1.2"),
        (["ProviderName", "ServiceProviderName", "InvoiceId"], "1.3"),
        (["ServiceProviderName", "HostProviderName", "InvoiceDetailId"], "1.4"),
    ],
)
def test_the_version_shows_in_the_columns(more: list[str], version: str) -> None:
    """The newest column that is there tells it."""
    assert columns.recognise("a.csv", CORE + more).version == version


def test_names_are_found_whatever_their_case_and_marks() -> None:
    """A byte-order mark, blanks or another case do not hide a column; vendors' own columns are no news."""
    layout = columns.recognise("a.csv", ["\ufeffbilledcost", " EffectiveCost ", *CORE[2:], "x_Own", "Strange"])
    assert layout.positions["billed"] == (0,)
    assert layout.positions["effective"] == (1,)
    assert layout.unknown == ("Strange",)
    assert [column for column, _ in layout.stand_ins] == ["ServiceProviderName", "BillingPeriodStart"]


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (["a", "b"], "not a FOCUS file"),
        (CORE[:1] + CORE[2:], "no column EffectiveCost"),
        ([*CORE, "billedcost"], "BilledCost more than once"),
        (["BilledCost|EffectiveCost|A|B"], "separates its columns by bars"),
    ],
)
def test_what_is_no_bill_is_told(header: list[str], sentence: str) -> None:
    """The file is named, and so is what is wrong with it."""
    with pytest.raises(InputError, match=sentence):
        columns.recognise("a.csv", header)


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", {}),
        ("NULL", {}),
        ("{}", {}),
        ("[]", {}),
        ('{"a": "1", "b": true, "c": null, "d": 5}', {"a": "1", "b": "true", "c": "", "d": "5"}),
        ('[{"key": "a", "value": "1"}, {"Key": "b", "Value": null}]', {"a": "1", "b": ""}),
        ('[{"a": "1"}, {"b": "2"}]', {"a": "1", "b": "2"}),
        ('["a:1", "b=2", "c"]', {"a": "1", "b": "2", "c": "true"}),
        ('"a": "1","b": "2",', {"a": "1", "b": "2"}),
        ('{"a": {"b": 1}}', {"a": '{"b": 1}'}),
        ("team=web", None),
        ("5", None),
        ("[1, 2]", None),
        ('{"a": ', None),
        ("[" * 100_000, None),
    ],
)
def test_tags_are_read(text: str, pairs: dict[str, str] | None) -> None:
    """Every form that a provider writes; None for what nobody can read."""
    assert tags.read(text) == pairs


def test_a_tag_is_picked_by_any_spelling_of_its_key() -> None:
    """Prefixes, case and separators do not matter; the exact spelling wins, and empty values do not count."""
    pairs = {"user:Cost-Center": "12", "TEAM": "late", "team": "early", "Env": "", "environment": "prod"}
    assert tags.pick(pairs, ("cost_center", "team", "env")) == ("12", "early", "")
    assert tags.pick({"Team": "b", "TEAM": "a"}, ("team",)) == ("a",)


@pytest.mark.parametrize(
    ("given", "name"), [("aws", "AWS"), (" Azure ", "Microsoft"), ("gcp", "Google Cloud"), ("X", "X")]
)
def test_a_provider_has_one_name(given: str, name: str) -> None:
    """What people and versions call it leads to the same data."""
    assert provider_name(given) == name


def test_marks_become_sentences() -> None:
    """Also one that no rule of today makes."""
    assert why("BillingAccountId\x1f") == ("BillingAccountId", "the value is missing")
    assert why("ProviderName\x1f" + "p" * 3) == ("ProviderName", '"ppp" cannot be used')


def test_patterns_may_name_folders(tmp_path: Path) -> None:
    """A pattern that matches a folder reads the folder, a home folder is found, names are sorted."""
    (tmp_path / "2026-10").mkdir()
    for name in ("b.csv", "a.CSV"):
        (tmp_path / "2026-10" / name).write_text("x\n1\n", encoding="utf-8")
    (tmp_path / "2026-10" / "notes.json").write_text("{}", encoding="utf-8")
    assert [f.name for f in files.find([str(tmp_path / "2026-*")])] == ["a.CSV", "b.csv"]


def test_a_header_is_read_as_csv_or_refused(tmp_path: Path) -> None:
    """Quoted names are fine; a header with an open quote is not."""
    path = tmp_path / "a.csv"
    path.write_text('"a,b","c"\n1,2\n', encoding="utf-8")
    assert files.header(files.find([path])[0]) == (["a,b", "c"], "\\n")
    path.write_bytes(b"a,\r\n1,2\r\n")
    assert files.header(files.find([path])[0]) == (["a", ""], "\\r\\n")
