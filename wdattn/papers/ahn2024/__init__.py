"""Ahn et al. (2024): a linear transformer shows the optimisation oddities of real transformers."""

from wdattn.papers.ahn2024.paper import PAPER

__all__ = ["PAPER"]
