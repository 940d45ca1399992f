import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from math import inf, log

import pytest

from tests.ledger_rows import made_choice
from wdattn.ledger.page import html
from wdattn.ledger.page_figures import PageFigure
from wdattn.ledger.strip import strip
from wdattn.plots.words import SIGNS
from wdattn.reproduction import Beside, Paper

NASTY = """<script>alert("x")</script> & 'so on'"""


def toy(key="toy2024", title="A toy & its <box>", citation="Someone (2024)"):
    return Paper(key, title, citation, (), (), "toys")


PAPERS = [toy()]
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Checks nesting, and collects text, attributes and ids."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text, self.attributes = [], [], "", []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


def picture(**changes):
    own = {"paper": "toy2024", "claim": "C1", "also": (), "title": "Gap figure",
           "caption": "Look here.", "png": b"\x89PNG made up", "width": 720,
           "backend": "jax"}  # fmt: skip
    return PageFigure(**own | changes)


def page(rows, figures=()):
    return Page(html(PAPERS, rows, figures))


def test_the_page_is_well_formed_and_complete(row, nulls):
    found = page([row(), row(backend="torch"), nulls], [picture()])
    for words in ("One thing grows with another.", "Figure 7", "About 5 times.", "×4.00",
                  "[3.00, 5.00]", "The whole interval lies inside what counts (above ×2).",
                  "half of the paper's", "A smaller batch.",
                  "n 5: learning_rate = 0.02 of (0.01, 0.02, 0.05)",
                  "python 3.11.7",
                  "The factor is 4 over 3 seeds.", "laptop, jax, seeds 0–2", "Look here.",
                  "it is not reproduced, as it should be: contradicted (×1.01", "Someone (2024)",
                  "Only early in training.", "widths: 1.20 [1.10, 1.30]",
                  "×3.50, ×4.50", "no mean over seeds"):  # fmt: skip
        assert words in found.text


@pytest.mark.parametrize("verdict", SIGNS)
def test_the_page_tells_a_verdict_by_sign_and_word_and_counts_it(verdict, row):
    text = html(PAPERS, [row(verdict=verdict), row(claim="C2", verdict=verdict)], [])
    kind = verdict.replace(" ", "-")
    sign = f'<span class="verdict {kind}">{SIGNS[verdict]} <span class="word">{verdict}</span>'
    assert f'<th scope="row">{sign}</span></th><td class="number">2</td>' in text
    assert f'<section class="run {kind}">' in text


def test_the_page_asks_for_nothing_and_runs_nothing(row):
    text = html(PAPERS, [row()], [picture()])
    found = Page(text)
    assert not {"script", "link", "iframe", "object"} & set(found.tags)
    for name, value in found.attributes:
        assert not name.startswith("on")
        if name in ("src", "href"):
            assert value.startswith(("data:image/png;base64,", "#"))
    assert not re.search(r"url\(|@import|https?:", text)
    assert "default-src 'none'" in text


def test_everything_is_escaped(part, row):
    texts = ("title", "source", "why", "expects", "threshold_source", "deviations", "remark")
    parts = (part(label=NASTY), part(label=NASTY, unit=NASTY))
    choice = made_choice(setting=NASTY, value=NASTY, grid=(NASTY,), arm={NASTY: NASTY})
    rows = [row(**dict.fromkeys(texts, NASTY), parts=parts, choices=(choice,),
                beside=(Beside(NASTY, NASTY, (), None, None),),
                versions=({NASTY: NASTY, "backend": NASTY},))]  # fmt: skip
    pictures = [picture(claim="", title=NASTY, caption=NASTY, backend=NASTY)] * 2
    text = html([toy(title=NASTY, citation=NASTY)], rows, pictures)
    assert NASTY not in text and "<script" not in text and 'alert("x' not in text
    assert NASTY in Page(text).text


def test_links_lead_to_the_claims(row):
    found = page([row(), row(claim="C2")])
    ids = [value for name, value in found.attributes if name == "id"]
    links = [value for name, value in found.attributes if name == "href"]
    assert ids == ["toy2024-C1", "toy2024-C2"] and links == [f"#{one}" for one in ids]


def test_figures_are_inside_with_a_description_and_other_backends_folded_away(row):
    pictures = [picture(), picture(backend="torch"), picture(title="Other", claim="")]
    text = html(PAPERS, [row()], pictures)
    found = Page(text)
    sources = [value for name, value in found.attributes if name == "src"]
    assert base64.b64decode(sources[0].split(",")[1]) == b"\x89PNG made up"
    described = [value for name, value in found.attributes if name == "alt"]
    assert described == ["Gap figure (jax). Look here.", "Gap figure (torch). Look here.",
                         "Other (jax). Look here."]  # fmt: skip
    assert "The paper as a whole" in found.text
    folded = text.index("The same figure: torch")
    assert text.index("Gap figure (jax)") < folded < text.index("Gap figure (torch)")


def test_a_claim_leads_to_the_figures_that_show_it_too(row):
    text = html(PAPERS, [row(), row(claim="C2")], [picture(also=("C2",))])
    assert '<figure id="toy2024-figure-1">' in text
    link = 'Also shown in: <a href="#toy2024-figure-1">Gap figure</a>.'
    assert text.count(link) == 1 and text.index('id="toy2024-C2"') < text.index(link)


def test_a_claim_whose_runs_differ_says_which_and_how(row, part):
    near = part(effect=log(2), interval=[log(1.5), log(2.7)], verdict="inconclusive")
    rows = [row(), row(backend="torch", verdict="inconclusive", parts=(near,)), row(claim="C2")]
    text = page(rows).text
    said = "reproduced on jax (×4.00 [3.00, 5.00]), inconclusive on torch (×2.00 [1.50, 2.70])."
    assert text.count(said) == 2  # below the table and at the claim
    assert "The runs differ" not in page([row(), row(backend="torch")]).text


def test_the_reason_is_told_where_the_interval_does_not_explain_the_verdict(row, bare):
    def told(one):
        text = page([one]).text
        return one.why in text.replace("Each seed", "|").split("|")[0]

    assert told(row(verdict="inconclusive"))  # two seeds only: the whole interval lies inside
    assert told(bare) and not told(row())


def test_choices_that_runs_share_are_said_once_and_others_with_their_run(row):
    a, b, c = (made_choice(setting=name, value=value, grid=(0, 9), arm={})
               for name, value in (("a", 1), ("b", 2), ("b", 3)))  # fmt: skip
    rows = [row(choices=(a, b)), row(backend="torch", choices=(a, c))]
    text = html(PAPERS, rows, [])
    assert "<summary>Chosen by search (3)</summary>" in text
    for said in ("<li>a = 1 of (0, 9)</li>", "<li>b = 2 of (0, 9) (jax)</li>",
                 "<li>b = 3 of (0, 9) (torch)</li>"):  # fmt: skip
        assert text.count(said) == 1


def test_a_control_that_is_reproduced_is_an_alarm_at_the_top_and_at_the_claim(row):
    found = page([row(control="reproduced")])
    assert "! control" in found.text and "The verdict above means nothing." in found.text


def test_a_row_of_which_nothing_was_measured_is_enough(bare):
    assert "not judged" in page([bare]).text


def test_papers_stand_in_the_order_given(row):
    papers = [toy(key) for key in ("second", "first")]
    text = html(papers, [row(paper="first"), row(paper="second")], [])
    assert text.index('id="second-C1"') < text.index('id="first-C1"')


@pytest.mark.parametrize("name", ["rows", "figures"])
def test_a_row_or_figure_of_an_unknown_paper_is_refused(name, row):
    given = {"rows": [row()], "figures": [picture()]}
    given[name] = [replace(one, paper="other") for one in given[name]]
    with pytest.raises(ValueError, match=rf"`{name}` has papers \['other'\]"):
        html(PAPERS, given["rows"], given["figures"])


# The small drawing


def test_the_drawing_holds_everything_inside_its_frame(part):
    wide = part(effect=-3.0, interval=[-4.0, 9.0], low=-1.0, high=inf)
    text = strip(wide, part(effect=20.0, interval=[10.0, 30.0]))
    numbers = [float(x) for x in re.findall(r'(?:x|x1|x2|cx)="([-\d.]+)"', text)]
    assert min(numbers) >= 0 and max(numbers) <= 300
    assert 'class="control"' in text and 'aria-label="×0.0498 ' in text


def test_drawings_of_one_claim_have_one_scale(row, part):
    far = part(effect=log(40), interval=[log(30), log(50)])
    edges = [re.search(r'class="region" x="([\d.]+)"', text)[1]
             for text in (strip(part(), None, [far]), strip(far, None, [part()]))]  # fmt: skip
    assert edges[0] == edges[1] != re.search(r'class="region" x="([\d.]+)"', strip(part()))[1]
    rows = [row(), row(backend="torch", parts=(far,))]
    drawn = re.findall(r'class="region" x="([\d.]+)"', html(PAPERS, rows, []))
    assert len(drawn) == 2 and len(set(drawn)) == 1


def test_nothing_is_drawn_without_an_effect(part):
    assert strip(part(effect=None, interval=None)) == ""


def test_a_drawing_of_equal_numbers_is_no_error(part):
    assert "<svg" in strip(part(effect=0.0, interval=(0.0, 0.0), low=-inf, high=inf))


def test_a_bound_on_every_value_is_drawn_with_its_worst_value_and_without_an_interval(every, row):
    text = strip(every)
    assert 'class="bar"' not in text and text.count('class="dot"') == 1
    assert 'aria-label="0.97 at worst; counts from 0 to 1"' in text
    # From pixel 12 to 288 the drawing spans the bounds, 0 to 1.
    assert f'cx="{12 + 276 * 0.97:.1f}"' in text
    assert 'x="12.0" y="0" width="276.0"' in text
    found = page([row(parts=(every,), control_parts=())]).text
    assert "Every value of every seed lies inside what counts (from 0 to 1)." in found
    assert "the one that lies farthest out is shown" in found and "Student" not in found


def test_only_what_a_claim_is_judged_by_is_explained(every, row):
    assert "Student" in page([row()]).text and "farthest out" not in page([row()]).text
    both = page([row(), row(claim="C2", parts=(every,))]).text
    assert "Student" in both and "farthest out" in both


def test_the_control_is_drawn_at_its_own_effect(part):
    """At the claim's it would say that the mechanism makes no difference."""
    text = strip(part(effect=1.0, interval=(1.0, 1.0), low=1.0), part(effect=0.5, interval=None))
    corners = re.search(r'class="control" points="([\d.]+)', text)[1]
    assert float(corners) + 4 == pytest.approx(12 + 276 * 0.5)  # between no effect and the claim's


def test_a_bar_reaches_from_end_to_end_of_the_interval(part):
    text = strip(part(effect=0.5, interval=(0.25, 1.0), low=0.5, high=inf))
    ends = re.search(r'class="bar" x1="([\d.]+)" y1="\d+" x2="([\d.]+)"', text)
    assert [float(end) for end in ends.groups()] == [12 + 276 * 0.25, 12 + 276]


@pytest.mark.parametrize(
    "low, high, left, right",
    [(0.5, inf, 12 + 276 * 0.5, 300), (-inf, 0.5, 0, 12 + 276 * 0.5), (0.25, 0.5, 81, 150)],
)
def test_the_region_that_counts_reaches_the_frame_where_it_is_open(low, high, left, right, part):
    text = strip(part(effect=1.0, interval=None, low=low, high=high))
    x, width = map(
        float, re.search(r'class="region" x="([\d.]+)" y="0" width="([\d.]+)"', text).groups()
    )
    assert (x, x + width) == pytest.approx((left, right))
