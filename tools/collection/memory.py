"""Memory: which files stand loaded as they are, so that they need not be read again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from tools.model.charge import Partition
from tools.providers.focus.files import FocusFile
from tools.store import loads
from tools.store.loads import LedgerLine

# Raised when files are read differently than before: all of them are then read once more.
READING = 1


@dataclass(frozen=True, slots=True)
class Memory:
    """The ledger, and what each of its loads was made of. `provider` and `tag_keys` are those of this reading."""

    standing: tuple[LedgerLine, ...]
    made_of: Mapping[int, frozenset[str]]
    tag_keys: tuple[str, ...]
    provider: str | None

    @classmethod
    def of(cls, tx: Connection, tenant: str, tag_keys: tuple[str, ...], provider: str | None) -> Memory:
        return cls(loads.ledger(tx, tenant), loads.files(tx, tenant), tag_keys, provider)

    def name(self, digest: str) -> str:
        """The name under which a file is remembered: its content, and how it was read."""
        return f"{READING}:{digest}:{(self.provider or '')[:24]}"

    def settled(self, files: Mapping[FocusFile, str], kept: Collection[Partition]) -> frozenset[FocusFile]:
        """Files of which every load stands as they would make it: with all its files given, the same tag keys, and
        cost per resource where that is kept.
        """
        given = {self.name(d) for d in files.values()}
        of_file: dict[str, list[bool]] = {}
        for line in self.standing:
            made_of = self.made_of.get(line.id, frozenset())
            whole = made_of <= given and line.tag_keys == self.tag_keys
            for name in made_of:
                of_file.setdefault(name, []).append(whole and (line.has_detail or line.partition not in kept))
        return frozenset(f for f, d in files.items() if all(of_file.get(self.name(d), (False,))))

    def lines_of(self, settled: Collection[FocusFile], digests: Mapping[FocusFile, str]) -> list[LedgerLine]:
        """What stands loaded from settled files."""
        names = {self.name(digests[f]) for f in settled}
        return [line for line in self.standing if self.made_of.get(line.id, frozenset()) & names]

    def files_of(
        self, touched: Collection[Partition], settled: Collection[FocusFile], digests: Mapping[FocusFile, str]
    ) -> list[FocusFile]:
        """Settled files that hold rows of partitions which other files speak of as well."""
        names = {n for line in self.standing if line.partition in touched for n in self.made_of.get(line.id, ())}
        return [f for f in digests if f in settled and self.name(digests[f]) in names]
