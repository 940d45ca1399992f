"""What a run's build covers besides code."""

from dataclasses import dataclass, replace

from wdattn import papers
from wdattn.papers.ahn2024.settings import Regression


def test_data_read_from_the_machine_is_part_of_the_build():
    @dataclass(frozen=True, kw_only=True)
    class Read(Regression):
        data: str = ""

        def data_digest(self):
            return self.data

    paper, run = papers.lookup("ahn2024"), Read(steps=1)
    plain = paper.build(run)
    one, other = (paper.build(replace(run, data=data)) for data in ("0" * 64, "1" * 64))
    assert plain == paper.build(replace(run)) and len({plain, one, other}) == 3
