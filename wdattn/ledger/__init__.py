"""What a reader sees of judged claims: rows, words, tables, pages and figures."""

from wdattn.ledger.ledger import Ledger

__all__ = ["Ledger"]
