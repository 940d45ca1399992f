"""The toy paper's fixtures."""

from tests.toy_paper import experiment, finder, measures, paper, system, toy  # noqa: F401
