"""What a reader sees of judged claims: rows, words, tables, pages and figures.

It knows no paper: `wdattn.papers` looks keys up and hands Paper objects down.
"""

from wdattn.ledger.ledger import Ledger
from wdattn.ledger.outlook import Outlook
from wdattn.ledger.row import Row
from wdattn.ledger.selection import Selection

__all__ = ["Ledger", "Outlook", "Row", "Selection"]
