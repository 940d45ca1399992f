"""The figures and tables of Ahn et al. (2024), drawn from records alone; a file a kind."""

from wdattn.papers.ahn2024.figures import conditions, losses, noise, smoothness

FIGURES = (*losses.FIGURES, *noise.FIGURES, *conditions.FIGURES, *smoothness.FIGURES)

__all__ = ["FIGURES"]
