"""The built site in a browser: it loads without errors and from nowhere else, and can be used."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

DOCS = Path(__file__).parents[2] / "docs"
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
SOURCES = [
    path.relative_to(DOCS)
    for path in sorted(DOCS.glob("**/*.md"))
    if path.relative_to(DOCS).parts[0] != "records"
]


def url(source):
    stem = source.with_suffix("")
    return "" if str(stem) == "index" else f"{stem.parent if stem.name == 'index' else stem}/"


PAGES = [url(source) for source in SOURCES]
EXPLORABLE = "papers/ahn2024/"


class Links(HTMLParser):
    """Addresses and anchors of one page."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.anchors = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        self.addresses += [found[name] for name in ("href", "src") if found.get(name)]


def test_no_link_is_broken(site):
    pages = {p.relative_to(site): Links(p.read_text("utf-8")) for p in site.glob("**/*.html")}
    broken = []
    for path, page in pages.items():
        if path.name == "404.html":
            continue
        here = "/" if path == Path("index.html") else f"/{path.parent.as_posix()}/"
        for address in page.addresses:
            if urlsplit(address).scheme:
                continue
            target = urlsplit(urljoin(here, address))
            file = Path(unquote(target.path).lstrip("/"))
            file = file / "index.html" if (site / file).is_dir() else file
            anchor = unquote(target.fragment)
            if not (site / file).is_file() or (
                anchor and file in pages and anchor not in pages[file].anchors
            ):
                broken.append(f"{path}: {address}")
    assert not broken


def test_every_image_has_a_description(site):
    images = [
        (path.name, tag)
        for path in site.glob("**/*.html")
        for tag in re.findall(r"<img\b[^>]*>", path.read_text("utf-8"))
    ]
    assert images and not [found for found in images if not re.search(r'alt="[^"]{10,}', found[1])]


@pytest.mark.parametrize("path", PAGES)
def test_page_loads_and_fits_a_phone(visit, path):
    page = visit(path, viewport=NARROW)
    assert page.locator("h1").count() == 1
    images = "[...document.images].filter((image) => !image.naturalWidth).map((image) => image.src)"
    page.evaluate("document.querySelectorAll('img').forEach((image) => image.loading = 'eager')")
    page.wait_for_load_state("networkidle")
    assert page.evaluate(images) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    assert page.locator(".katex-error").count() == 0
    assert "{{" not in page.locator("article").inner_text()


def test_tabs_switch(visit):
    page = visit("ledger/", viewport=WIDE)
    for name in ("JAX", "TensorFlow", "PyTorch", "Side by side"):
        page.locator(".tabbed-labels label", has_text=name).click()
        shown = page.locator(".tabbed-block:visible")
        assert shown.count() == 1
        assert shown.locator("tbody tr").count() >= 20  # a claim may be judged on some backends
    first = page.locator(".tabbed-labels input, .tabbed-set > input").first
    first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".tabbed-block:visible").inner_text().count("Measured") == 1


def test_search_finds_adamw(visit):
    page = visit("", viewport=WIDE)
    page.locator("[data-md-component=search-query]").click()
    page.keyboard.type("AdamW")
    page.locator(".md-search-result__item").first.wait_for()
    assert "AdamW" in page.locator(".md-search-result__list").inner_text()


def test_math_renders(visit):
    page = visit("guides/linear-attention/", viewport=WIDE)
    assert page.locator(".arithmatex .katex-html").count() > 5
    assert page.evaluate("document.fonts.check('16px KaTeX_Main')")
    box = page.locator(".katex-display .katex-html").first.bounding_box()
    assert box["height"] > 20
    assert visit("api/optimizers/").locator(".katex-html").count() > 5


def choose(page, control, option):
    return page.locator(".explorable fieldset", has_text=control).get_by_label(option, exact=True)


def test_explorable_by_pointer(visit):
    page = visit(EXPLORABLE, viewport=WIDE)
    summary = page.locator(".explorable .summary")
    assert "Optimizer: Adam;" in summary.inner_text()
    curve = page.locator(".explorable .chosen polyline").first
    before = curve.get_attribute("points"), summary.inner_text()
    page.locator(".explorable label", has_text="SGD with momentum").click()
    assert "Optimizer: SGD with momentum" in summary.inner_text()
    assert curve.get_attribute("points") != before[0]
    page.locator(".explorable label", has_text="on a sphere").click()
    assert "Learning rate: 5" in summary.inner_text()
    chart = page.locator(".explorable svg").first
    chart.hover(position={"x": 150, "y": 60})
    assert re.match(r"step \d+: ", page.locator(".explorable output").first.inner_text())


def test_explorable_by_keyboard(visit):
    page = visit(EXPLORABLE, viewport=WIDE)
    summary = page.locator(".explorable .summary")
    checked = page.locator(".explorable fieldset", has_text="Optimizer").locator("input:checked")
    checked.focus()
    page.keyboard.press("ArrowRight")
    assert "Optimizer: SGD with momentum" in summary.inner_text()
    assert summary.get_attribute("aria-live") == "polite"
    page.locator(".explorable figure").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".explorable output").first.inner_text().startswith("step 0: ")
    page.keyboard.press("ArrowRight")
    assert page.locator(".explorable output").first.inner_text().startswith("step 50: ")


def test_explorable_offers_only_runs_that_exist(visit):
    page = visit(EXPLORABLE, viewport=WIDE)
    data = page.evaluate("fetch('../../data/ahn2024.json').then((answer) => answer.json())")
    names = [control["name"] for control in data["controls"]]
    for option in data["controls"][names.index("data")]["options"]:
        page.locator(".explorable label", has_text=option["label"]).click()
        for field in ("Layers", "Learning rate", "Backend"):
            inputs = page.locator(".explorable fieldset", has_text=field).locator("input:enabled")
            for i in range(inputs.count()):
                inputs.nth(i).check(force=True)
                checked = page.locator(".explorable input:checked")
                chosen = checked.evaluate_all("inputs => inputs.map((input) => input.value)")
                assert chosen in data["runs"]
                assert page.locator(".explorable svg").count() >= 2


def test_explorable_without_scripts_is_a_picture(visit):
    page = visit(EXPLORABLE, viewport=WIDE, java_script_enabled=False)
    picture = page.locator(".explorable img")
    assert picture.is_visible() and "Adam" in picture.get_attribute("alt")


@pytest.mark.parametrize("scheme, name", [("light", "default"), ("dark", "slate")])
def test_colours_follow_the_system(visit, scheme, name):
    page = visit(EXPLORABLE, viewport=WIDE, color_scheme=scheme)
    assert page.locator("body").get_attribute("data-md-color-scheme") == name
    colour = "getComputedStyle(document.querySelector('.explorable svg text')).fill"
    back = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(colour) != page.evaluate(back)
