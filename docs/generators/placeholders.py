"""A Markdown extension: `{{name}}` on a page becomes what was measured; see `facts`.

It is listed in mkdocs.yml. A name that is not known stops the build.
"""

import functools
import re

from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor

from docs.generators import facts

PLACE = re.compile(r"\{\{([\w.]+)\}\}")
AFTER_SNIPPETS = 31  # pymdownx.snippets has 32; fenced code has 25


class Placeholders(Preprocessor):
    """Fills in the names, line by line."""

    def run(self, lines):
        return "\n".join(PLACE.sub(_fact, line) for line in lines).split("\n")


class PlaceholdersExtension(Extension):
    """What Python-Markdown loads."""

    def extendMarkdown(self, md):
        md.preprocessors.register(Placeholders(md), "placeholders", AFTER_SNIPPETS)


def makeExtension(**settings):
    """The name under which Python-Markdown looks for an extension.

    Args:
        **settings: none are known.
    """
    return PlaceholdersExtension(**settings)


def _fact(place):
    known = _facts()
    if place[1] not in known:
        raise ValueError(f"{place[0]} must be one of {', '.join(sorted(known))}")
    return known[place[1]]


_facts = functools.lru_cache(facts.facts)
