"""The four papers, looked up by key on demand, and the calls that re-measure and report them."""

from wdattn.papers.lookup import KEYS, lookup
from wdattn.papers.reproduce import check, judged, plan, reproduce, write_report

__all__ = ["KEYS", "check", "judged", "lookup", "plan", "reproduce", "write_report"]
