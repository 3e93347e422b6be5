"""Hostile inputs: files, rows, folders and manifests that are no usable bill, each with what must be said of it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.collection.bills import ROW, bill

HEADER = ",".join(ROW)
LINE = ",".join('"' + v.replace('"', '""') + '"' for v in ROW.values())
TEXT = f"{HEADER}\n{LINE}\n"
Build = Callable[[Path], bytes]


@dataclass(frozen=True, slots=True)
class Hostile:
    """A file `name` of these bytes (or made by `content`), and words of the sentence that refuses it."""

    name: str
    content: bytes | Build
    sentence: str

    def put(self, folder: Path) -> Path:
        path = folder / self.name
        path.write_bytes(self.content(folder.parent) if callable(self.content) else self.content)
        return path


def parquet(folder: Path, change: str = "*", *, where: str = "true", key: str = "") -> bytes:
    """A parquet file of one ordinary row; `change` is DuckDB's select list over its csv columns, `key` encrypts it."""
    import duckdb

    source = bill(folder / "parquet-source.csv", {})
    path = folder / "made.parquet"
    with duckdb.connect() as db:
        if key:
            db.execute(f"SET force_mbedtls_unsafe = 'true'; PRAGMA add_parquet_key('key', '{key}')")
        options = "FORMAT parquet" + (", ENCRYPTION_CONFIG {footer_key: 'key'}" if key else "")
        rows = f"SELECT {change} FROM read_csv('{source}', all_varchar = true) WHERE {where}"
        db.execute(f"COPY ({rows}) TO '{path}' ({options})")
    return path.read_bytes()


def _made(change: str = "*", **options: str) -> Build:
    return lambda folder: parquet(folder, change, **options)


def _cut(start: int | None, end: int | None) -> Build:
    return lambda folder: parquet(folder)[start:end]


def _overwritten(at: int, put: bytes) -> Build:
    """A parquet file in which some bytes are others; `at` below 0 counts from the end."""

    def build(folder: Path) -> bytes:
        whole = bytearray(parquet(folder))
        place = at if at >= 0 else len(whole) + at
        whole[place : place + len(put)] = put
        return bytes(whole)

    return build


def _late_bomb(_: Path) -> bytes:
    """A gzip file that begins as an ordinary bill and then unpacks a thousandfold."""
    noise = random.Random(7)
    rows = "".join(LINE.replace("bucket-1", f"{noise.getrandbits(400):x}") + "\n" for _ in range(4_300))
    return gzip.compress((HEADER + "\n" + rows).encode(), 1) + gzip.compress(b"\n" * 150_000_000, 6)


def _wrong_sum(_: Path) -> bytes:
    packed = bytearray(gzip.compress((TEXT + f"{LINE}\n" * 100).encode()))
    packed[-8] ^= 0xFF
    return bytes(packed)


def _flipped(_: Path) -> bytes:
    packed = bytearray(
        gzip.compress((TEXT + "".join(LINE.replace("1.5", str(n)) + "\n" for n in range(3000))).encode())
    )
    packed[len(packed) // 2] ^= 0xFF
    return bytes(packed)


def _wide(_: Path) -> bytes:
    extra = ",".join(f"x_{n}" for n in range(10_000))
    return f"{HEADER},{extra}\n{LINE},{','.join('1' * 10_000)}\n".encode()


FILES = (
    # nothing there
    Hostile("empty.csv", b"", "is empty"),
    Hostile("empty.csv.gz", b"", "is empty"),
    Hostile("empty.parquet", b"", "is empty"),
    Hostile("header.csv", f"{HEADER}\n".encode(), "no rows"),
    Hostile("header-only-unended.csv", HEADER.encode(), "no rows"),
    Hostile("blank.csv", b"\n\n\r\n \n", "no rows"),
    Hostile("mark.csv", b"\xef\xbb\xbf", "no rows"),
    Hostile("header.csv.gz", gzip.compress(f"{HEADER}\n".encode()), "no rows"),
    Hostile("no-rows.parquet", _made(where="false"), "no rows"),
    # other things than a bill
    Hostile("other.csv", b"day,cost\n2026-01-01,5\n", "not a FOCUS file"),
    Hostile("page.csv", b"<!DOCTYPE html>\n<html><body>Sign in</body></html>\n", "is a web page"),
    Hostile("refusal.csv", b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>\n', "is an XML document"),
    Hostile("rows.csv", b'[{"BilledCost": 5}]\n[{"BilledCost": 5}]\n', "is a JSON document"),
    Hostile("sheet.csv", b"PK\x03\x04....", "zip archive or a spreadsheet"),
    Hostile("old-sheet.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "spreadsheet"),
    Hostile("paper.csv", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "is a PDF document"),
    Hostile("base.csv", b"SQLite format 3\0" + bytes(100), "is a SQLite database"),
    Hostile("packed.csv", lzma.compress(TEXT.encode()), "packed with xz"),
    Hostile("packed.bz2.csv", bz2.compress(TEXT.encode()), "packed with bzip2"),
    Hostile("packed.zst.csv", b"\x28\xb5\x2f\xfd" + bytes(30), "packed with zstd"),
    Hostile("twice.csv.gz", gzip.compress(gzip.compress(TEXT.encode())), "packed twice"),
    Hostile("columns.orc.csv", b"ORC" + bytes(60), "is an ORC file"),
    Hostile("records.avro.csv", b"Obj\x01" + bytes(60), "is an Avro file"),
    Hostile("arrow.csv", b"ARROW1\0\0" + bytes(60), "is an Arrow file"),
    # encodings
    Hostile("utf16.csv", TEXT.encode("utf-16"), "not UTF-8"),
    Hostile("utf16-unmarked.csv", TEXT.encode("utf-16-le"), "not UTF-8"),
    Hostile("utf32.csv", TEXT.encode("utf-32"), "not UTF-8"),
    Hostile("utf16.csv.gz", gzip.compress(TEXT.encode("utf-16")), "not UTF-8"),
    Hostile("binary.csv", b"\x00\x01\xfe" * 3000, "not UTF-8"),
    Hostile("latin.csv", HEADER.replace("SkuId", "W\xe4hrung").encode("latin-1") + b"\n1\n", "not UTF-8"),
    Hostile("ebcdic.csv", TEXT.encode("cp037"), "not UTF-8|no rows"),
    Hostile("latin-rows.csv", TEXT.replace("shop", "caf\xe9").encode("latin-1"), "not UTF-8"),
    # columns
    Hostile("semicolons.csv", TEXT.replace(",", ";").encode(), "separates its columns by semicolons"),
    Hostile("tabs.csv", TEXT.replace(",", "\t").encode(), "separates its columns by tabs"),
    Hostile("bars.csv", TEXT.replace(",", "|").encode(), "separates its columns by bars"),
    Hostile("half.csv", TEXT.replace("EffectiveCost", "Effective").encode(), "no column EffectiveCost"),
    Hostile("doubled.csv", f"{HEADER},BilledCost\n{LINE},5\n".encode(), "column BilledCost more than once"),
    Hostile("doubled-case.csv", f"{HEADER},billedcost\n{LINE},5\n".encode(), "column BilledCost more than once"),
    Hostile("wide.csv", _wide, r"10,0\d\d columns"),
    Hostile("long-name.csv", f"{HEADER},{'n' * 5000}\n{LINE},1\n".encode(), "name of 5,000 characters"),
    Hostile("long-header.csv", b"x" * 2_000_000, "not a header"),
    Hostile(
        "odd-header.csv", b'"BilledCost,EffectiveCost\n' + LINE.encode() + b"\n", "header of odd-header.csv|not a FOCUS"
    ),
    Hostile("dates.csv", TEXT.replace(ROW["BillingPeriodStart"], "10/12/26").encode(), "can be read in two ways"),
    # quotes and sizes
    Hostile("quote.csv", f'{TEXT}"1.5,2\n{LINE}\n{LINE}\n'.encode(), "a quote that is never closed"),
    Hostile("field.csv", TEXT.encode() + b"x" * 50_000_000 + b"," + LINE.encode(), "longer than 2 MB"),
    # packed files
    Hostile("cut.csv.gz", gzip.compress((TEXT + f"{LINE}\n" * 3000).encode())[:-30], "cannot be unpacked"),
    Hostile("cut-early.csv.gz", gzip.compress(TEXT.encode())[:12], "cannot be unpacked"),
    Hostile("fake.csv.gz", b"\x1f\x8b" + b"no gzip at all" * 9, "cannot be unpacked"),
    Hostile("sum.csv.gz", _wrong_sum, "cannot be unpacked"),
    Hostile("flipped.csv.gz", _flipped, "cannot be unpacked"),
    Hostile("trailing.csv.gz", gzip.compress(TEXT.encode()) + b"rubbish after the end" * 9, "cannot be unpacked"),
    Hostile("bomb.csv.gz", gzip.compress(TEXT.encode() + b"\n" * 30_000_000), "more than 300 times its size"),
    Hostile("late-bomb.csv.gz", _late_bomb, "more than 300 times its size"),
    # parquet
    Hostile("cut.parquet", _cut(None, -20), "damaged or cut-off parquet"),
    Hostile("cut-half.parquet", lambda folder: (b := parquet(folder))[: len(b) // 2], "damaged or cut-off parquet"),
    Hostile("cut-magic.parquet", b"PAR1", "damaged or cut-off parquet"),
    Hostile("cut-front.parquet", _cut(4, None), "not UTF-8|not a FOCUS|damaged"),
    Hostile("footer.parquet", _overwritten(-8, b"\xff\xff\xff\x7f"), "damaged or cut-off parquet"),
    Hostile("schema.parquet", _overwritten(-200, bytes(120)), "damaged or cut-off parquet"),
    Hostile("pages.parquet", _overwritten(4, b"\xff" * 60), "damaged or cut-off parquet"),
    Hostile("secret.parquet", _made(key="0123456789112345"), "encrypted"),
    Hostile("secret-footer.parquet", b"PARE" + bytes(40) + b"PARE", "encrypted"),
    Hostile("ids.parquet", _made("* REPLACE (1.2e11::DOUBLE AS BillingAccountId)"), "floating-point numbers"),
    Hostile("sub-ids.parquet", _made("* REPLACE (1.2e11::FLOAT AS SubAccountId)"), "floating-point numbers"),
    Hostile("nested.parquet", _made("* REPLACE ({'amount': 1.5} AS BilledCost)"), "BilledCost .* nested"),
    Hostile("listed.parquet", _made("* REPLACE (['AWS'] AS ProviderName)"), "ProviderName .* nested"),
    Hostile("flag.parquet", _made("* REPLACE (true AS BilledCost)"), "BilledCost"),
    Hostile("few.parquet", _made("* EXCLUDE (ChargeCategory)"), "no column ChargeCategory"),
)

# What differs from an ordinary row, the column that is blamed, words of the reason.
ROWS: tuple[tuple[dict[str, str], str, str], ...] = (
    ({"BilledCost": ""}, "BilledCost", "missing"),
    ({"BilledCost": "NULL"}, "BilledCost", "missing"),
    ({"BilledCost": "NaN"}, "BilledCost", "not an amount"),
    ({"BilledCost": "-inf"}, "BilledCost", "not an amount"),
    ({"BilledCost": "Infinity"}, "BilledCost", "not an amount"),
    ({"BilledCost": "=1+1"}, "BilledCost", "not an amount"),
    ({"BilledCost": "1_000"}, "BilledCost", "not an amount"),
    ({"BilledCost": "1.234,56"}, "BilledCost", "not an amount"),
    ({"BilledCost": "1 234,56"}, "BilledCost", "not an amount"),
    ({"BilledCost": "1,5"}, "BilledCost", "not an amount"),
    ({"BilledCost": "(12.50)"}, "BilledCost", "not an amount"),
    ({"BilledCost": "12.50 USD"}, "BilledCost", "not an amount"),
    ({"BilledCost": "0x1F"}, "BilledCost", "not an amount"),
    ({"BilledCost": "1e15"}, "BilledCost", "not an amount"),
    ({"BilledCost": "9" * 400}, "BilledCost", "not an amount"),
    ({"BilledCost": "\u0661\u0662"}, "BilledCost", "not an amount"),
    ({"EffectiveCost": "twelve"}, "EffectiveCost", "not an amount"),
    ({"EffectiveCost": "inf"}, "EffectiveCost", "not an amount"),
    ({"ListCost": "n/a"}, "ListCost", "not an amount"),
    ({"ListCost": "nan"}, "ListCost", "not an amount"),
    ({"ContractedCost": "$$5"}, "ContractedCost", "not an amount"),
    ({"ChargePeriodStart": "2026-02-31T00:00:00Z"}, "ChargePeriodStart", "not a time"),
    ({"ChargePeriodStart": "2026-10-02T25:00:00Z"}, "ChargePeriodStart", "not a time"),
    ({"ChargePeriodStart": "9999-01-01", "ChargePeriodEnd": ""}, "ChargePeriodStart", "not a time"),
    ({"ChargePeriodStart": "0001-01-01"}, "ChargePeriodStart", "not a time"),
    ({"ChargePeriodStart": "1970-01-01T00:00:00Z"}, "ChargePeriodStart", "not a time"),
    ({"ChargePeriodStart": "infinity"}, "ChargePeriodStart", "not a time"),
    ({"ChargePeriodStart": "yesterday"}, "ChargePeriodStart", "not a time"),
    ({"ChargePeriodStart": "46297"}, "ChargePeriodStart", "not a time"),
    ({"ChargePeriodStart": "1790812800"}, "ChargePeriodStart", "not a time"),
    ({"ChargePeriodStart": "2026-10-02T05:00:00+99:00"}, "ChargePeriodStart", "not a time"),
    ({"ChargePeriodEnd": "2026-10-01T00:00:00Z"}, "ChargePeriodEnd", "after the charge period's start"),
    ({"ChargePeriodEnd": "later"}, "ChargePeriodEnd", "after the charge period's start"),
    ({"BillingPeriodStart": "October"}, "BillingPeriodStart", "not a time"),
    ({"BillingPeriodEnd": "2026-09-01T00:00:00Z"}, "BillingPeriodEnd", "after the billing period's start"),
    ({"BillingPeriodEnd": "2026-10-01T00:00:00Z"}, "BillingPeriodEnd", "after the billing period's start"),
    ({"ChargeCategory": "Refund"}, "ChargeCategory", "not one of Usage"),
    ({"ChargeCategory": ""}, "ChargeCategory", "missing"),
    ({"BillingCurrency": "$"}, "BillingCurrency", "currency code"),
    ({"BillingCurrency": ""}, "BillingCurrency", "missing"),
    ({"BillingCurrency": "U$D"}, "BillingCurrency", "currency code"),
    ({"BillingAccountId": ""}, "BillingAccountId", "missing"),
    ({"BillingAccountId": "1.23457E+11"}, "BillingAccountId", "not an account id"),
    ({"BillingAccountId": "123456789012.0"}, "BillingAccountId", "not an account id"),
    ({"BillingAccountId": "x" * 501}, "BillingAccountId", "not an account id"),
    ({"BillingAccountId": "1234\x0056789012"}, "BillingAccountId", "cannot be seen"),
    ({"BillingAccountId": "123456789012\x1b[2J"}, "BillingAccountId", "cannot be seen"),
    ({"SubAccountId": "1.2E+11"}, "SubAccountId", "not an account id"),
    ({"SubAccountId": "0123\t45678901"}, "SubAccountId", "cannot be seen"),
    ({"ProviderName": "null"}, "ProviderName", "missing"),
    ({"ProviderName": "p" * 200}, "ProviderName", "cannot be used"),
    ({"ProviderName": "AWS\x07"}, "ProviderName", "cannot be seen"),
    ({"ConsumedQuantity": "-3"}, "ConsumedQuantity", "less than nothing"),
)


# Each makes a place and gives what is typed, and words of the sentence.
def missing(folder: Path) -> tuple[str, str]:
    return str(folder / "none.csv"), "There is no file or folder .*none.csv"


def pattern_without_match(folder: Path) -> tuple[str, str]:
    return str(folder / "*.parquet"), "There is no file or folder"


def empty_folder(folder: Path) -> tuple[str, str]:
    return str(folder), r"holds no \.csv"


def loop_of_folders(folder: Path) -> tuple[str, str]:
    (folder / "a").mkdir()
    (folder / "a" / "back").symlink_to(folder)
    return str(folder), r"holds no \.csv"


def link_to_itself(folder: Path) -> tuple[str, str]:
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    return str(folder / "loop.csv"), "loop.csv cannot be read"


def link_to_nothing(folder: Path) -> tuple[str, str]:
    (folder / "gone.csv").symlink_to(folder / "nowhere.csv")
    return str(folder), "gone.csv cannot be read"


def links_in_a_ring(folder: Path) -> tuple[str, str]:
    (folder / "a.csv").symlink_to(folder / "b.csv")
    (folder / "b.csv").symlink_to(folder / "a.csv")
    return str(folder), "a.csv cannot be read"


def pipe(folder: Path) -> tuple[str, str]:
    os.mkfifo(folder / "pipe.csv")
    return str(folder), "pipe.csv is no ordinary file"


def device(folder: Path) -> tuple[str, str]:
    (folder / "zero.csv").symlink_to("/dev/zero")
    return str(folder / "zero.csv"), "zero.csv is no ordinary file"


def endless_folders(folder: Path) -> tuple[str, str]:
    deep = folder
    for _ in range(60):
        deep /= "d"
        deep.mkdir()
    bill(deep / "a.csv", {})
    return str(folder), "more than 40 deep"


def name_too_long(folder: Path) -> tuple[str, str]:
    return str(folder / ("n" * 5000 + ".csv")), r"There is no file or folder .* \.\.\."


def nobodys_home(folder: Path) -> tuple[str, str]:
    return "~nobody-has-this-name/a.csv", "There is no file or folder"


def unreadable_name(folder: Path) -> tuple[str, str]:
    path = os.fsencode(folder) + b"/caf\xe9\n\x1b[2J.csv"
    with open(path, "wb"):
        pass
    return os.fsdecode(path), "caf\ufffd.* is empty"


def folder_named_like_a_file(folder: Path) -> tuple[str, str]:
    (folder / "costs.csv").mkdir()
    return str(folder / "costs.csv"), r"costs.csv holds no \.csv"


def web_address(folder: Path) -> tuple[str, str]:
    return "https://example.com/costs.csv", "the web"


def file_address(folder: Path) -> tuple[str, str]:
    return f"file://{folder}/a.csv", "file is no source"


def bucket_without_name(folder: Path) -> tuple[str, str]:
    return "s3://", "names no bucket"


def google_bucket_without_name(folder: Path) -> tuple[str, str]:
    return "gs://", "names no bucket"


def container_without_account(folder: Path) -> tuple[str, str]:
    return "az://", "names no .*container"


def same_file_twice(folder: Path) -> tuple[str, str]:
    bill(folder / "a.csv", {"BilledCost": "7"})
    (folder / "b.csv").write_bytes((folder / "a.csv").read_bytes())
    return str(folder), "b.csv holds exactly the rows of a.csv"


def two_snapshots(folder: Path) -> tuple[str, str]:
    rows = [{"ResourceId": f"r{n}", "BilledCost": "9"} for n in range(30)]
    bill(folder / "monday.csv", *rows)
    bill(folder / "tuesday.csv", *rows, {"ResourceId": "new"})
    return str(folder), "have 30 rows in common"


PLACES = (
    missing,
    pattern_without_match,
    empty_folder,
    loop_of_folders,
    link_to_itself,
    link_to_nothing,
    links_in_a_ring,
    pipe,
    device,
    endless_folders,
    name_too_long,
    nobodys_home,
    unreadable_name,
    folder_named_like_a_file,
    web_address,
    file_address,
    bucket_without_name,
    google_bucket_without_name,
    container_without_account,
    same_file_twice,
    two_snapshots,
)

_HERE = "s3://bucket/exports/data/costs-1.csv"
# What a manifest beside data/costs-1.csv and data/extra.csv says, and words of the sentence.
MANIFESTS: tuple[tuple[object, str], ...] = (
    (b"not json", "no JSON object"),
    (b"[" * 100_000, "no JSON object"),
    ([_HERE], "no JSON object"),
    ({}, "form that is not known"),
    ({"nodes": {"model.costs": {}}, "metadata": {"dbt_version": "1.9"}}, "form that is not known"),
    ({"dataFiles": _HERE}, "form that is not known"),
    ({"dataFiles": [1]}, "form that is not known"),
    ({"dataFiles": []}, "lists no files"),
    (
        {"dataFiles": [_HERE, "s3://bucket/exports/data/costs-2.csv"]},
        r"not there, the first is exports/data/costs-2\.csv",
    ),
    ({"dataFiles": [_HERE, _HERE]}, "more than once"),
    ({"dataFiles": ["s3://bucket/exports/../../etc/passwd"]}, "outside of the export"),
    ({"dataFiles": ["s3://bucket/exports/%2e%2e/secret.csv"]}, "outside of the export"),
    ({"dataFiles": ["/etc/passwd"]}, "outside of the export"),
    ({"dataFiles": ["C:\\\\costs.csv"]}, "outside of the export"),
    ({"dataFiles": ["https://example.com/costs.csv"]}, "outside of the export"),
    ({"dataFiles": ["file:///etc/passwd"]}, "outside of the export"),
    ({"dataFiles": ["s3://bucket/exports/data/costs-1.csv\x00"]}, "outside of the export"),
    ({"exportConfig": {"type": "ActualCost"}, "blobs": [{"blobName": "data/costs-1.csv"}]}, "of type ActualCost"),
    ({"blobs": [{"blobName": "data/costs-1.csv", "byteCount": 5}]}, "and not 5 as its manifest says"),
    ({"blobs": [{"name": "data/costs-1.csv"}]}, "form that is not known"),
)
