"""Arrays in, matplotlib `Figure` out: the papers' figures and the ledger, in one style.

Nothing here trains, loads a backend, keeps global state or writes a file; a caller that wants a
file calls `figure.savefig` (or `png` for the bytes).
"""

from wdattn.plots.curves import backend_overlay, curves, largest_distance
from wdattn.plots.histograms import histogram
from wdattn.plots.ledger import ledger
from wdattn.plots.ratios import ratios
from wdattn.plots.scatter import scatter
from wdattn.plots.style import caption, png

__all__ = [
    "backend_overlay",
    "caption",
    "curves",
    "histogram",
    "largest_distance",
    "ledger",
    "png",
    "ratios",
    "scatter",
]
