import base64
import re
from html.parser import HTMLParser
from math import inf, log, nan

import pytest

from wdattn.ledger import report
from wdattn.ledger.strip import strip
from wdattn.plots.words import SIGNS

NASTY = """<script>alert("x")</script> & 'so on'"""
PAPERS = [{"key": "toy2024", "title": "A toy & its <box>", "citation": "Someone (2024)"}]
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
    own = {"key": "toy2024", "claim": "C1", "also": (), "title": "Gap figure",
           "caption": "Look here.", "png": b"\x89PNG made up", "width": 720,
           "backend": "jax"}  # fmt: skip
    return {**own, **changes}


def page(rows, figures=()):
    return Page(report.html(PAPERS, rows, figures))


def test_the_page_is_well_formed_and_complete(row, nulls):
    found = page([row(), row(backend="torch"), nulls | {"claim": "C2"}], [picture()])
    for words in ("One thing grows with another.", "Figure 7", "About 5 times.", "×4.00",
                  "[3.00, 5.00]", "The whole interval lies inside what counts (above ×2).",
                  "half of the paper's", "A smaller batch.", "learning_rate 0.02 of 5",
                  "keras 3.15.1",
                  "The factor is 4 over 3 seeds.", "laptop, jax, seeds 0–2", "Look here.",
                  "it is not reproduced, as it should be: contradicted (×1.01", "Someone (2024)",
                  "Only early in training.", "widths: 1.2 [1.1, 1.3]",
                  "×3.50, ×4.50", "no mean over seeds"):  # fmt: skip
        assert words in found.text


@pytest.mark.parametrize("verdict", SIGNS)
def test_the_page_tells_a_verdict_by_sign_and_word_and_counts_it(verdict, row):
    text = report.html(PAPERS, [row(verdict=verdict), row(claim="C2", verdict=verdict)], [])
    kind = verdict.replace(" ", "-")
    sign = f'<span class="verdict {kind}">{SIGNS[verdict]} <span class="word">{verdict}</span>'
    assert f'<th scope="row">{sign}</span></th><td class="number">2</td>' in text
    assert f'<section class="run {kind}">' in text


def test_the_page_asks_for_nothing_and_runs_nothing(row):
    text = report.html(PAPERS, [row()], [picture()])
    found = Page(text)
    assert not {"script", "link", "iframe", "object"} & set(found.tags)
    for name, value in found.attributes:
        assert not name.startswith("on")
        if name in ("src", "href"):
            assert value.startswith(("data:image/png;base64,", "#"))
    assert not re.search(r"url\(|@import|https?:", text)
    assert "default-src 'none'" in text


def test_everything_is_escaped(part, row):
    keys = ("title", "source", "backend", "scale", "why", "expects", "threshold_source",
            "deviations", "claim")  # fmt: skip
    rows = [row(**dict.fromkeys(keys, NASTY), choices=[NASTY], versions={NASTY: NASTY})]
    rows[0]["parts"] = [part(label=NASTY), part(label=NASTY, unit=NASTY)]
    pictures = [picture(claim=None, title=NASTY, caption=NASTY, backend=NASTY)] * 2
    text = report.html([PAPERS[0] | {"title": NASTY, "citation": NASTY}], rows, pictures)
    assert NASTY not in text and "<script" not in text and 'alert("x' not in text
    assert NASTY in Page(text).text


def test_links_lead_to_the_claims(row):
    found = page([row(), row(claim="C2")])
    ids = [value for name, value in found.attributes if name == "id"]
    links = [value for name, value in found.attributes if name == "href"]
    assert ids == ["toy2024-C1", "toy2024-C2"] and links == [f"#{one}" for one in ids]


def test_figures_are_inside_with_a_description_and_other_backends_folded_away(row):
    pictures = [picture(), picture(backend="torch"), picture(title="Other", claim=None)]
    text = report.html(PAPERS, [row()], pictures)
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
    text = report.html(PAPERS, [row(), row(claim="C2")], [picture(also=("C2",))])
    assert '<figure id="toy2024-figure-1">' in text
    link = 'Also shown in: <a href="#toy2024-figure-1">Gap figure</a>.'
    assert text.count(link) == 1 and text.index('id="toy2024-C2"') < text.index(link)


def test_a_claim_whose_runs_differ_says_which_and_how(row, part):
    near = part(effect=log(2), interval=[log(1.5), log(2.7)], verdict="inconclusive")
    rows = [row(), row(backend="torch", verdict="inconclusive", parts=[near]), row(claim="C2")]
    text = page(rows).text
    said = "reproduced on jax (×4.00 [3.00, 5.00]), inconclusive on torch (×2.00 [1.50, 2.70])."
    assert text.count(said) == 2  # below the table and at the claim
    assert "The runs differ" not in page([row(), row(backend="torch")]).text


def test_the_reason_is_told_where_the_interval_does_not_explain_the_verdict(row, bare):
    def told(one):
        text = page([one]).text
        return one["why"] in text.replace("Each seed", "|").split("|")[0]

    assert told(row(verdict="inconclusive"))  # two seeds only: the whole interval lies inside
    assert told(bare) and not told(row())


def test_choices_that_runs_share_are_said_once_and_others_with_their_run(row):
    rows = [row(choices=["a = 1", "b = 2"]), row(backend="torch", choices=["a = 1", "b = 3"])]
    text = report.html(PAPERS, rows, [])
    assert "<summary>Chosen by search (3)</summary>" in text
    for said in ("<li>a = 1</li>", "<li>b = 2 (jax)</li>", "<li>b = 3 (torch)</li>"):
        assert text.count(said) == 1


def test_a_control_that_is_reproduced_is_an_alarm_at_the_top_and_at_the_claim(row):
    found = page([row(control="reproduced")])
    assert "! control" in found.text and "The verdict above means nothing." in found.text


def test_rows_with_only_the_required_fields_are_enough(bare):
    assert "not judged" in page([bare]).text


def test_papers_stand_in_the_order_given(row):
    papers = [{"key": key, "title": key, "citation": ""} for key in ("second", "first")]
    text = report.html(papers, [row(paper="first"), row(paper="second")], [])
    assert text.index('id="second-C1"') < text.index('id="first-C1"')


@pytest.mark.parametrize("name", ["rows", "figures"])
def test_a_row_or_figure_of_an_unknown_paper_is_refused(name, row):
    given = {"rows": [row()], "figures": [picture()]}
    given[name] = [one | {"paper": "other", "key": "other"} for one in given[name]]
    with pytest.raises(ValueError, match=rf"`{name}` has papers \['other'\]"):
        report.html(PAPERS, given["rows"], given["figures"])


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
    rows = [row(), row(backend="torch", parts=[far])]
    drawn = re.findall(r'class="region" x="([\d.]+)"', report.html(PAPERS, rows, []))
    assert len(drawn) == 2 and len(set(drawn)) == 1


@pytest.mark.parametrize("effect", [None, nan])
def test_nothing_is_drawn_without_an_effect(effect, part):
    assert strip(part(effect=effect, interval=None)) == ""


def test_a_drawing_of_equal_numbers_is_no_error(part):
    assert "<svg" in strip(part(effect=0.0, interval=[0.0, 0.0], low=None, high=None))
