"""Data of the interactive figures: a module for each paper that has one."""

import importlib
import pkgutil

from wdattn import papers


def modules():
    """Key and module of each paper with an explorable, in the order of their keys."""
    found = {module.name for module in pkgutil.iter_modules(__path__)}
    for key in sorted(found & set(papers.keys())):
        yield key, importlib.import_module(f"{__name__}.{key}")
