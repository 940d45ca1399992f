"""Arrays in, matplotlib `Figure` out: the papers' figures and the ledger, in one style.

Nothing here trains, loads a backend, keeps global state or writes a file; a caller that wants a
file calls `figure.savefig` (or `png` for the bytes).
"""

from wdattn.plots.curves import curve_panels, curves
from wdattn.plots.histograms import histogram
from wdattn.plots.ledger import ledger
from wdattn.plots.overlay import backend_overlay, largest_distance
from wdattn.plots.quantiles import quantiles
from wdattn.plots.ratios import ratios
from wdattn.plots.scatter import scatter_panels
from wdattn.plots.spectra import spectra
from wdattn.plots.style import caption, png, shrunk

__all__ = [
    "backend_overlay",
    "caption",
    "curve_panels",
    "curves",
    "histogram",
    "largest_distance",
    "ledger",
    "png",
    "quantiles",
    "ratios",
    "scatter_panels",
    "shrunk",
    "spectra",
]
