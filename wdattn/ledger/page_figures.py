"""The figures of a paper in the page: each once at full size, other backends' folded away."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from wdattn.ledger.markup import folded


@dataclass(frozen=True)
class PageFigure:
    """A picture, and what the page says of it.

    Args:
        paper: key of the paper.
        claim: the claim beside which it stands; "" for the paper as a whole.
        title: what it shows. Those of one title are the same figure on other backends.
        caption: what to look at.
        backend: on which the runs were made that it shows; "" if that says nothing.
        png: the picture.
        width: in pixels of the page.
        also: other claims that it shows.
    """

    paper: str
    claim: str
    title: str
    caption: str
    backend: str
    png: bytes
    width: int
    also: tuple[str, ...] = ()


class PaperFigures:
    """The figures of one paper, grouped by title, with a place in the page for each.

    Args:
        key: of the paper.
        figures: of any papers, as `html` takes them.
        claims: ids of the claims that the page shows.
    """

    def __init__(self, key: str, figures: Sequence[PageFigure], claims: Sequence[str]):
        self._claims = claims
        self._titles: dict[str, list[PageFigure]] = {}
        for figure in figures:
            if figure.paper == key:
                self._titles.setdefault(figure.title, []).append(figure)
        self._anchors = {
            title: f"{escape(key)}-figure-{number}" for number, title in enumerate(self._titles, 1)
        }

    def of(self, claim: str) -> str:
        """The figures beside that claim; those of "" belong to the paper as a whole."""
        shown = []
        for title, (first, *others) in self._titles.items():
            # A figure of a claim that was not judged here still belongs to the paper.
            if (first.claim if first.claim in self._claims else "") != claim:
                continue
            shown.append(_figure(first, self._anchors[title]))
            if others:
                names = ", ".join(figure.backend for figure in others)
                pictures = "".join(_figure(figure) for figure in others)
                shown.append(folded(f"The same figure: {escape(names)}", pictures))
        return "\n".join(shown)

    def links(self, claim: str) -> str:
        """Where the figures stand that show this claim too, as a line with links; "" if none."""
        links = [
            f'<a href="#{self._anchors[title]}">{escape(title)}</a>'
            for title, (first, *_) in self._titles.items()
            if claim in first.also
        ]
        return f"<p>Also shown in: {', '.join(links)}.</p>" if links else ""


def _figure(figure: PageFigure, anchor: str = "") -> str:
    where = f" ({figure.backend})" if figure.backend else ""
    name, caption = f"{figure.title}{where}", figure.caption
    source = base64.b64encode(figure.png).decode("ascii")
    place = f' id="{anchor}"' if anchor else ""
    return (
        f'<figure{place}><div class="scroll"><img width="{figure.width}" '
        f'src="data:image/png;base64,{source}" alt="{escape(f"{name}. {caption}")}"></div>'
        f"<figcaption><strong>{escape(name)}.</strong> {escape(caption)}</figcaption></figure>"
    )
