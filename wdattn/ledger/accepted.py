"""Which records count: those of the builds that a call made or accepted, whatever their dates."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from wdattn.reproduction.design.record import Record
from wdattn.reproduction.design.references import Find
from wdattn.reproduction.design.settings import Settings


class Answers:
    """A `find` that remembers which records it answered with.

    Args:
        find: settings to record, None where there is none.
    """

    def __init__(self, find: Find):
        self._find = find
        self._records: dict[Settings, Record] = {}

    def __call__(self, settings: Settings) -> Record | None:
        record = self._find(settings)
        if record is not None:
            self._records[settings] = record
        return record

    def builds(self) -> tuple[str, ...]:
        """The builds of the code that made the records, each once."""
        return tuple(sorted({record.manifest["build"] for record in self._records.values()}))

    def versions(self) -> tuple[Mapping[str, str], ...]:
        """What the records were made with, each distinct set once."""
        return tuple(_distinct(record.manifest["versions"] for record in self._records.values()))


class Accepted:
    """The records of one backend, of which a run may have several: one of each build of the code.

    Args:
        records: of any backends and builds.
        backend: whose records count.
    """

    def __init__(self, records: Iterable[Record], backend: str):
        self._records: dict[Settings, dict[str, Record]] = {}
        for record in records:
            if record.manifest["backend"] == backend:
                self._records.setdefault(record.settings, {})[record.manifest["build"]] = record

    def of(self, builds: Sequence[str], or_its_only_one: bool = False) -> Find:
        """Settings to the record of the first of these builds that the run has one of, or None.

        Args:
            builds: whose records count.
            or_its_only_one: whether a run that has a single record, of another build, is taken too.
        """

        def find(settings: Settings) -> Record | None:
            made = self._records.get(settings, {})
            others = tuple(made) if or_its_only_one and len(made) == 1 else ()
            return next((made[build] for build in (*builds, *others) if build in made), None)

        return find


def _distinct(mappings: Iterable[Mapping[str, str]]) -> Iterator[Mapping[str, str]]:
    seen: list[Mapping[str, str]] = []
    for one in mappings:
        if one not in seen:
            seen.append(one)
            yield one
