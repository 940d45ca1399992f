"""Papers, found by key, and the calls that re-measure and report them."""

from wdattn.papers.lookup import keys, lookup, scales
from wdattn.papers.new_paper import new_paper
from wdattn.papers.reproduce import check, judged, plan, reproduce, write_report

__all__ = [
    "check",
    "judged",
    "keys",
    "lookup",
    "new_paper",
    "plan",
    "reproduce",
    "scales",
    "write_report",
]
