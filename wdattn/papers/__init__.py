"""The four papers, looked up by key on demand, and the call that re-measures them."""

from wdattn.papers.lookup import KEYS, lookup
from wdattn.papers.report import judged, write_report
from wdattn.papers.reproduce import check, plan, reproduce

__all__ = ["KEYS", "check", "judged", "lookup", "plan", "reproduce", "write_report"]
