"""Ahn et al. (2024): a linear transformer shows the optimisation oddities of real transformers."""

from wdattn.papers.ahn2024.claims import CLAIMS
from wdattn.papers.ahn2024.experiments import LARGE, LARGE_NOISE
from wdattn.papers.ahn2024.figures import FIGURES
from wdattn.reproduction.design.paper import Paper

PAPER = Paper(
    key="ahn2024",
    title="Linear attention is (maybe) all you need (to understand Transformer optimization)",
    citation="K. Ahn, X. Cheng, M. Song, C. Yun, A. Jadbabaie, S. Sra, ICLR 2024, arXiv 2310.01082",
    claims=CLAIMS,
    headline=("C1", "C5", "C6", "C10", "C11"),
    package="wdattn.papers.ahn2024",
    figures=FIGURES,
    studies=(LARGE, LARGE_NOISE),
)

__all__ = ["PAPER"]
