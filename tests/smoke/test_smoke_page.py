"""The HTML report: nothing runs in it, nothing is fetched by it, everybody can read it."""

from __future__ import annotations

import itertools
import re
import struct
import threading
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from coursectl import process
from coursectl.model.suite import SuiteReport
from coursectl.ui import reports
from coursectl.ui.report_style import CSS, DARK, LIGHT
from smoke.report_kit import CHROMIUM, FLAGS, NO_CHROMIUM, code, notebook, sample, shown, text

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "source", "wbr"})
Browser = Callable[..., str]


class Page(HTMLParser):
    """A page as a list of its elements, each with its attributes, ancestors and text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None], tuple[str, ...]]] = []
        self.texts: dict[int, str] = {}
        self._open: list[tuple[str, int]] = []
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), tuple(t for t, _ in self._open)))
        if tag not in VOID:
            self._open.append((tag, len(self.elements) - 1))

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self._open.pop()
        assert opened == tag, f"<{opened}> is closed by </{tag}>"

    def handle_data(self, data: str) -> None:
        for _, number in self._open:
            self.texts[number] = self.texts.get(number, "") + data

    def of(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        """The elements called `tag` with their attributes and their text."""
        found = [(n, a) for n, (t, a, _) in enumerate(self.elements) if t == tag]
        return [(attributes, self.texts.get(n, "").strip()) for n, attributes in found]


@pytest.fixture
def report(tmp_path: Path) -> SuiteReport:
    return sample(tmp_path / "executed")


@pytest.fixture
def written(report: SuiteReport, tmp_path: Path) -> Path:
    [path] = reports.write(report, junit=None, html=tmp_path / "html")
    return path


@pytest.fixture
def page(written: Path) -> Page:
    return Page(written.read_text(encoding="utf-8"))


class TestSafety:
    def test_there_is_no_script_and_no_handler_in_the_page(self, page: Page) -> None:
        assert not page.of("script")
        for tag, attributes, _ in page.elements:
            assert not [a for a in attributes if a.startswith("on")], tag

    def test_no_attribute_names_an_address(self, page: Page) -> None:
        for _tag, attributes, _ in page.elements:
            for name in ("src", "href", "action", "data", "poster", "srcset"):
                assert (attributes.get(name) or "#").startswith(("#", "data:image/"))
        assert "url(" not in CSS
        assert "@import" not in CSS

    def test_a_policy_forbids_what_a_notebook_brings_in(self, page: Page) -> None:
        [policy] = [a["content"] for a, _ in page.of("meta") if a.get("http-equiv")]
        assert policy is not None
        assert policy.startswith("default-src 'none'; img-src data:")

    def test_html_of_a_notebook_is_in_a_frame_without_rights(self, page: Page) -> None:
        frames = page.of("iframe")
        assert frames
        for attributes, _ in frames:
            assert attributes["sandbox"] in (None, "")
            assert "default-src 'none'" in (attributes["srcdoc"] or "")

    def test_names_and_texts_are_text(self, page: Page) -> None:
        assert not page.of("b") or all(text == "Warning" for _, text in page.of("b"))
        assert any("<b>off</b>" in text for _, text in page.of("th"))

    def test_a_picture_that_is_none_is_left_out(self, report: SuiteReport, tmp_path: Path) -> None:
        from dataclasses import replace

        path = notebook(tmp_path / "p.ipynb", code("p", shown(image_png='"><script>x</script>')))
        one = replace(report.cases[0], executed=str(path))
        [file] = reports.write(replace(report, cases=(one,)), junit=None, html=tmp_path / "h")
        assert "a picture that cannot be read is left out" in file.read_text(encoding="utf-8")
        assert not Page(file.read_text(encoding="utf-8")).of("script")

    def test_huge_outputs_are_cut(self, report: SuiteReport, tmp_path: Path) -> None:
        from dataclasses import replace

        cells = [code("p", shown(text_plain="x" * 10_000_000), shown(text_html="<p>" + "y" * 10_000_000))]
        path = notebook(tmp_path / "p.ipynb", *cells, text("z"))
        one = replace(report.cases[0], executed=str(path))
        [file] = reports.write(replace(report, cases=(one,)), junit=None, html=tmp_path / "h")
        assert file.stat().st_size < 200_000
        assert "characters left out" in file.read_text(encoding="utf-8")

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": 3}', '{"cells": [1]}'])
    def test_a_broken_executed_notebook_spoils_nothing(
        self, report: SuiteReport, tmp_path: Path, content: str
    ) -> None:
        Path(report.cases[0].executed or "").write_text(content)
        [file] = reports.write(report, junit=tmp_path / "j.xml", html=tmp_path / "h")[1:]
        assert "week1/good.ipynb" in file.read_text(encoding="utf-8")


class TestReading:
    """What WCAG 2.1 AA asks of such a page; axe-core, run by hand, finds nothing either."""

    def test_language_title_and_one_main_heading(self, page: Page) -> None:
        assert page.of("html")[0][0]["lang"] == "en"
        assert "phys101" in page.of("title")[0][1]
        assert len(page.of("h1")) == 1

    def test_landmarks_hold_everything(self, page: Page) -> None:
        tags = [t for t, _, above in page.elements if above and above[-1] == "body"]
        assert set(tags) == {"a", "header", "nav", "main", "footer"}
        assert tags.count("main") == 1

    def test_headings_descend_by_one(self, page: Page) -> None:
        levels = [int(t[1]) for t, _, _ in page.elements if re.fullmatch("h[1-6]", t)]
        assert levels[0] == 1
        for before, after in itertools.pairwise(levels):
            assert after <= before + 1

    def test_tables_have_captions_and_headers_for_columns_and_rows(self, page: Page) -> None:
        assert len(page.of("table")) == len(page.of("caption")) == 3
        assert {a.get("scope") for a, _ in page.of("th")} == {"col", "row"}
        assert all(text for _, text in page.of("th"))

    def test_links_lead_to_places_of_the_page(self, page: Page) -> None:
        ids = [a["id"] for _, a, _ in page.elements if "id" in a]
        assert len(ids) == len(set(ids))
        for attributes, words in page.of("a"):
            assert (attributes["href"] or "")[1:] in ids
            assert words

    def test_pictures_and_frames_are_named(self, page: Page) -> None:
        assert all("good.ipynb, cell 2" in (a.get("alt") or "") for a, _ in page.of("img"))
        names = [a["title"] for a, _ in page.of("iframe")]
        assert all(names)
        assert len(names) == len(set(names))

    def test_what_scrolls_can_be_reached_by_keyboard(self, page: Page) -> None:
        wide = [a for t, a, _ in page.elements if t == "div" and a.get("class") == "wide"]
        assert len(wide) == len(page.of("table"))
        assert all(a["tabindex"] == "0" and a["role"] == "region" and a["aria-label"] for a in wide)

    def test_no_meaning_is_in_colour_alone(self, page: Page) -> None:
        badges = [text for a, text in page.of("span") if (a.get("class") or "").startswith("badge")]
        assert badges
        assert all(re.search("[a-z]{2}", text) for text in badges)

    @pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
    @pytest.mark.parametrize("name", ["text", "quiet", "link", "ok", "warn", "bad"])
    @pytest.mark.parametrize("ground", ["ground", "raised"])
    def test_contrast(self, colours: dict[str, str], name: str, ground: str) -> None:
        assert contrast(colours[name], colours[ground]) >= 4.5

    def test_both_looks_have_every_colour(self) -> None:
        assert LIGHT.keys() == DARK.keys()
        used = set(re.findall(r"var\(--([a-z]+)\)", CSS))
        assert used <= LIGHT.keys()


def contrast(one: str, other: str) -> float:
    """WCAG 2.1's contrast ratio of two colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    """``browser(address, *flags)``: what a real browser says of a page."""

    def open_(address: str, *flags: str) -> str:
        assert CHROMIUM is not None
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        ended = process.run((CHROMIUM, *FLAGS, profile, *flags, address), timeout=90)
        assert ended.ok, ended.stderr[-2000:]
        return ended.stdout

    return open_


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """An address on this machine, and the paths that were asked of it."""
    paths: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", paths
    server.shutdown()
    server.server_close()
    thread.join()


@needs_chromium
class TestBrowser:
    def test_it_shows_the_report_and_runs_nothing(self, written: Path, browser: Browser) -> None:
        dom = browser(written.as_uri(), "--dump-dom")
        assert "<title>Not passed: 1 ok, 2 failed" in dom
        assert "taken" not in re.search("<title>(.*?)</title>", dom, re.DOTALL)[1]  # type: ignore[index]
        assert 'href="#n2c2"' in dom

    def test_a_browser_asks_no_address(
        self, report: SuiteReport, tmp_path: Path, browser: Browser, asked: tuple[str, list[str]]
    ) -> None:
        from dataclasses import replace

        address, paths = asked
        hostile = (
            f'<img src="{address}/img"><link rel=stylesheet href="{address}/css"><script src="{address}/js">'
            f'</script><iframe src="{address}/frame"></iframe><style>body{{background:url({address}/bg)}}'
            f'@import url({address}/import);</style><meta http-equiv=refresh content="0;url={address}/go">'
        )
        cells = [code("p", shown(text_html=hostile), shown(**{"image_svg+xml": f"<svg>{hostile}</svg>"}))]
        path = notebook(tmp_path / "p.ipynb", *cells, text(f"![x]({address}/markdown)\n{hostile}"))
        cases = (replace(report.cases[1], executed=str(path)),)  # a failed one: it is unfolded
        [file] = reports.write(replace(report, cases=cases), junit=None, html=tmp_path / "h")
        dom = browser(file.as_uri(), "--dump-dom", "--virtual-time-budget=3000")
        assert "iframe" in dom
        assert paths == []
        open_page = re.sub("default-src (&#x27;|')none(&#x27;|');", "", file.read_text(encoding="utf-8"))
        file.write_text(open_page, encoding="utf-8")
        browser(file.as_uri(), "--dump-dom", "--virtual-time-budget=3000")
        assert paths  # without the policy the same page does ask

    @pytest.mark.parametrize(
        "flags", [(), ("--blink-settings=preferredColorScheme=0",)], ids=["light", "dark"]
    )
    def test_it_is_seen_in_light_and_dark(
        self, written: Path, tmp_path: Path, browser: Browser, flags: tuple[str, ...]
    ) -> None:
        picture = tmp_path / "page.png"
        browser(written.as_uri(), f"--screenshot={picture}", "--window-size=600,400", *flags)
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert struct.unpack(">II", picture.read_bytes()[16:24]) == (600, 400)
        assert picture.stat().st_size > 10_000  # an empty page of one colour is a fifth of that
