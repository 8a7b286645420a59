"""The site: pictures, links, widgets and npm without Sphinx; then the whole of it, built once."""

import base64
import functools
import hashlib
import http.server
import io
import re
import tarfile
import threading
import urllib.request

import nbformat
import numpy as np
import pytest
from PIL import Image

from tests.site_pages import MODULES
from tools import pages
from tools.site import __main__ as command
from tools.site import build, measure, npm, pictures, serve, texts, widgets
from tools.site.links import Links
from utils.options import ROOT

LESSONS = pages.lessons()
EMBEDDED = re.compile(r"data:image/|base64,")


def image_bytes(kind, size=(40, 20)):
    file = io.BytesIO()
    Image.new("RGB", size, "orange").save(file, kind)
    return file.getvalue()


def encoded(kind, size=(40, 20)):
    return base64.b64encode(image_bytes(kind, size)).decode()


# Pictures


@pytest.fixture
def page():
    """A page with a picture of each way in which a page can hold one."""
    png, gif, jpeg = encoded("PNG", (800, 400)), encoded("GIF"), encoded("JPEG")
    output = functools.partial(nbformat.v4.new_output, "display_data")
    drawing = output({"image/png": png}, metadata={"image/png": {"width": 760}})
    embedded = output({"text/html": f'<img src="data:image/gif;base64,{gif}"/>'})
    panel = output({"text/html": f'<progress></progress><img src="data:image/png;base64,{png}">'})
    sliders = output({"application/vnd.jupyter.widget-view+json": {}, "text/plain": "interactive"})
    table = output({"text/markdown": "|a|\n|-|\n|1|", "text/plain": "..."})
    stream = nbformat.v4.new_output("stream", text="printed\n")
    attached = nbformat.v4.new_markdown_cell("## Results\n\n![a dot](attachment:dot.png)")
    attached["attachments"] = {"dot.png": {"image/png": png}}
    return nbformat.v4.new_notebook(
        cells=[
            attached,
            nbformat.v4.new_code_cell('# What flows.\nImage(ROOT / "x.png")', outputs=[drawing]),
            nbformat.v4.new_code_cell("images.save_gif()", outputs=[embedded, stream]),
            nbformat.v4.new_code_cell("trainer.fit()", outputs=[panel, sliders, table]),
            nbformat.v4.new_code_cell("show()", outputs=[output({"image/jpeg": [jpeg]})]),
        ]
    )


def test_pictures_become_files(page, tmp_path):
    found = pictures.Pictures(tmp_path, "pictures/00_page/", {"Image(ROOT": ["What flows"]})
    pictures.drop_unshown(page)
    found.take_out(page)
    assert found.written == ["01.png", "02.gif", "03.png", "04.jpg"]
    assert (tmp_path / "01.png").read_bytes() == image_bytes("PNG", (800, 400))
    assert (tmp_path / "02.gif").read_bytes() == image_bytes("GIF")
    shown = [output.data["text/html"] for cell in page.cells[1:] for output in cell.outputs[:1]]
    assert all(html.count("<img ") == html.count('loading="lazy"') == 1 for html in shown)
    assert 'src="pictures/00_page/01.png" alt="What flows" width="760" height="380"' in shown[0]
    assert (
        'alt="Animation made by the code above, under “Results”" width="40" height="20"' in shown[1]
    )
    assert "<progress></progress>" in shown[2]
    assert not EMBEDDED.search(nbformat.writes(page).split('"attachments"')[0])


def test_sliders_go_and_tables_and_streams_stay(page):
    pictures.drop_unshown(page)
    kinds = [list(output.get("data", {"stream": 1})) for output in page.cells[3].outputs]
    assert kinds == [["text/html"], ["text/markdown", "text/plain"]]
    assert page.cells[2].outputs[1].text == "printed\n"


def test_attached_and_embedded_pictures_become_files_too(page, tmp_path):
    found = pictures.Pictures(tmp_path, "pictures/")
    assert 'alt="a dot"' in found.attachment(page.cells[0], "dot.png", "a dot")
    assert "02.gif" in found.embedded(f"data:image/gif;base64,{encoded('GIF')}", "a dot")
    with pytest.raises(ValueError, match=r"attachment:square\.png, which is not attached"):
        found.attachment(page.cells[0], "square.png", "")


def test_alternatives_are_text_not_html(tmp_path):
    html = pictures.Pictures(tmp_path, "").add(image_bytes("PNG"), 'D < "½" & more')
    assert 'alt="D &lt; &quot;½&quot; &amp; more"' in html


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_pictures_of_a_lesson_have_words_of_their_own(lesson):
    described = texts.alternatives().get(lesson, {})
    for cell in pages.Page(lesson).code:
        found = [output.get("data", {}) for output in cell.outputs]
        if any(kind.startswith("image/") for data in found for kind in data):
            assert any(text in cell.source for text in described), cell.source


@pytest.mark.parametrize(("width", "start"), [(300, "<img "), (400, '<a class="picture" ')])
def test_what_is_wider_than_a_telephone_can_be_seen_by_itself(width, start):
    assert pictures.tag("a.png", "", image_bytes("PNG"), width).startswith(start)


# Links

KNOWN = "README.md", "notebooks/01_gan.ipynb", "notebooks/02_dcgan.ipynb", texts.SOLUTIONS


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("[a](01_gan.ipynb#idea) [b](#words)", "[a](01_gan.ipynb#idea) [b](#words)"),
        ("[a](https://x.org/b_(c)) <d>", "[a](https://x.org/b_(c)) <d>"),
        ("[the list](../README.md#words)", "[the list](../README.md#words)"),
        ("[all](solutions)", "[all](solutions/index.md)"),
        ("[`file`](../utils/images.py)", "[`file`](../utils/images.py.md)"),
        ("`[a](b)` and\n```\n[a](nowhere)\n```", "`[a](b)` and\n```\n[a](nowhere)\n```"),
        ("[weights](../outputs/pretrained)", "weights"),
        ("![dots](../a.png)", "<a.png: dots>"),
        ("![dots](https://x.org/a.png)", "dots"),
        ("[![Open](https://x.org/a.svg)](https://x.org/b)", "[Open](https://x.org/b)"),
    ],
)
def test_links_hold_on_the_site(text, changed):
    links = Links(KNOWN)
    show = lambda target, alternative: f"<{target[3:]}: {alternative}>"  # noqa: E731
    assert links.change(text, "notebooks/02_dcgan.ipynb", show) == changed
    assert links.shown == ({"utils/images.py"} if "images.py" in text else set())


def test_files_are_shown_by_the_code_host_where_there_is_one():
    links = Links(KNOWN, "https://x.org/gan")
    target = links.target("../utils/images.py", "notebooks/02_dcgan.ipynb")
    assert target == "https://x.org/gan/blob/main/utils/images.py"
    assert links.target("01_gan.ipynb", "notebooks/02_dcgan.ipynb") == "01_gan.ipynb"
    assert not links.shown


def test_links_in_outputs_lead_to_finished_pages():
    html = '<a href="../README.md#words">a</a> <a href="https://x.org/a.md">b</a>'
    changed = '<a href="../README.html#words">a</a> <a href="https://x.org/a.md">b</a>'
    assert Links(KNOWN).change_html(html, "notebooks/02_dcgan.ipynb") == changed


def test_a_link_to_nowhere_is_an_error():
    with pytest.raises(ValueError, match=r"README\.md links to nothing\.md, and there is no such"):
        Links(KNOWN).target("nothing.md", "README.md")


def test_a_file_is_shown_with_its_marks(tmp_path, monkeypatch):
    monkeypatch.setattr(texts, "ROOT", tmp_path)
    (tmp_path / "a.py").write_text('"""```"""\n', encoding="utf-8")
    assert '````python\n"""```"""\n\n````' in texts.shown("a.py")


# What Sphinx reads


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What Sphinx reads, and the files beside its pages."""
    folder = tmp_path_factory.mktemp("site")
    found = texts.Texts(folder / "source", folder / "html")
    found.write()
    return found


def sources(written):
    return {path: path.read_text(encoding="utf-8") for path in sorted(written.written)}


def test_every_page_is_there_without_embedded_pictures(written):
    names = {path.relative_to(written.source).as_posix() for path in written.written}
    folders = "notebooks", "notebooks/solutions"
    assert {f"{folder}/{lesson}.ipynb" for folder in folders for lesson in LESSONS} <= names
    assert {"index.md", "README.md", "CONTRIBUTING.md", "LICENSE.md"} <= names
    assert not [path for path, text in sources(written).items() if EMBEDDED.search(text)]


def test_every_picture_has_a_file_a_size_and_words(written):
    for path, text in sources(written).items():
        folder = written.site / path.relative_to(written.source).parent
        text = text.replace('\\"', '"')
        for tag in re.findall(r"<img\b[^>]*>", text):
            facts = dict(re.findall(r'(\w+)="([^"]*)"', tag))
            assert (folder / facts["src"]).is_file(), (path, tag)
            assert facts["alt"], (path, tag)
            assert facts["loading"] == "lazy", (path, tag)
            size = Image.open(folder / facts["src"]).size
            ratio = int(facts["width"]) / int(facts["height"])
            assert np.isclose(ratio, size[0] / size[1], rtol=0.02), (path, tag)


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_notebook_beside_a_page_is_the_lesson_itself(written, lesson):
    original = (ROOT / "notebooks" / f"{lesson}.ipynb").read_bytes()
    assert (written.site / "notebooks" / f"{lesson}.ipynb").read_bytes() == original
    page = (written.source / "notebooks" / f"{lesson}.ipynb").read_text(encoding="utf-8")
    assert f'<a href=\\"{lesson}.ipynb\\" download>' in page


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_cell_that_fetches_the_project_is_folded(written, lesson):
    page = pages.Page(written.source / "notebooks" / f"{lesson}.ipynb")
    assert page.code[0].metadata["tags"] == ["hide-input"]


def test_the_first_page_is_made_from_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    template = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    made = texts.filled(template, readme)
    table = re.findall(r"^\| \d\d \|.*$", readme, re.MULTILINE)
    assert len(table) == len(LESSONS)
    assert all(row in made for row in table)
    assert "02 · DCGAN <notebooks/02_dcgan>" in made
    assert "<!--" not in made
    with pytest.raises(ValueError, match="no section 'Nothing'"):
        texts.filled("<!-- README: Nothing -->", readme)


def test_what_is_gone_from_the_project_is_gone_from_the_site(tmp_path):
    old = tmp_path / "source" / "notebooks" / "00_old.ipynb"
    old.parent.mkdir(parents=True)
    old.write_text("{}", encoding="utf-8")
    texts.Texts(tmp_path / "source", tmp_path / "html").write()
    assert not old.exists()


@pytest.mark.parametrize("lesson", LESSONS)
def test_alternative_texts_are_those_of_the_pictures(lesson):
    code = pages.Page(lesson).code
    for text, words in texts.alternatives().get(lesson, {}).items():
        (cell,) = [cell for cell in code if text in cell.source]
        assert len(words) == drawn_by(cell), text


def drawn_by(cell):
    """Return how many pictures a cell shows, without that of the panel."""
    data = [output.get("data", {}) for output in cell.outputs]
    pictures_of = [any(kind.startswith("image/") for kind in found) for found in data]
    html = ["".join(found.get("text/html", "")) for found in data]
    return sum(pictures_of) + sum("base64" in x and "<progress" not in x for x in html)


# Widgets


@pytest.mark.parametrize("widget", widgets.TABLE, ids=lambda w: f"{w.lesson}-{w.name}")
def test_the_place_of_a_widget_stands_once_in_its_page(widget):
    notebook = pages.Page(widget.lesson).notebook
    widgets.place(widget, notebook)  # or an error
    if not (ROOT / widget.picture).is_file():
        (cell,) = [cell for cell in notebook.cells if widget.picture in cell.source]
        kinds = [kind for output in cell.outputs for kind in output.get("data", ())]
        assert [kind for kind in kinds if kind.startswith("image/")]
    assert widget.alternative
    assert widget.text.endswith(".")


def test_widgets_hold_a_picture_until_they_start(written):
    for lesson in {widget.lesson for widget in widgets.TABLE}:
        page = pages.Page(written.source / "notebooks" / f"{lesson}.ipynb")
        cells = [text for text in page.texts if "gan-widget" in text]
        wanted = [widget for widget in widgets.TABLE if widget.lesson == lesson]
        assert len(cells) == len(wanted)
        places = [re.search(r'id="([^"]+)"', text)[1] for text in cells]
        assert sorted(places) == sorted(widget.place for widget in wanted)
        assert len(set(places)) == len(places)
        assert all(re.search(r'<img src="[^"]+" alt="[^"]+"', text) for text in cells)
    index = (written.source / "index.md").read_text(encoding="utf-8")
    assert '<a href="notebooks/02_dcgan.html#widget-timemachine-02-dcgan">' in index


def test_every_widget_has_its_module():
    for widget in widgets.TABLE:
        assert (MODULES / f"{widget.name}.js").exists(), widget.name


def test_a_place_that_is_lost_is_an_error():
    lost = widgets.Widget("02_dcgan", "not there", "digit", "", "", "", "")
    with pytest.raises(ValueError, match="'not there' stands in 0 cells of 02_dcgan"):
        widgets.place(lost, pages.Page("02_dcgan").notebook)


# npm


def archive(**files):
    """Return an archive as npm has them; _ in a name stands for /, and __ for a dot."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as opened:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            opened.addfile(entry, io.BytesIO(text.encode()))
    return made.getvalue()


def integrity(content):
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A registry on this machine, which notes what it is asked for."""
    folder = tmp_path / "registry"
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *args):
            pass

    handler = functools.partial(Handler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(npm, "registry", lambda: address)
    monkeypatch.setattr(npm, "CACHE", tmp_path / "cache")

    def put(package, version, content):
        path = folder / package / "-" / f"{package.split('/')[-1]}-{version}.tgz"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        return integrity(content)

    yield put, asked
    server.shutdown()
    server.server_close()


def test_files_of_a_package_are_fetched_once(registry):
    put, asked = registry
    files = {"package/a.js": "a", "package/fonts/b.woff": "b", "package/c.js": "c"}
    known = put("@some/thing", "1.2.0", archive(**files))
    for _ in range(2):
        folder = npm.files("@some/thing", "1.2.0", known, ["a.js", "fonts/*.woff"])
    assert asked == ["/@some/thing/-/thing-1.2.0.tgz"]
    assert (folder / "fonts" / "b.woff").read_text(encoding="utf-8") == "b"
    assert not (folder / "c.js").exists()
    npm.files("@some/thing", "1.2.0", known, ["c.js"])
    assert (folder / "c.js").exists()
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("files", "known", "message"),
    [
        ({"package/a.js": "a"}, integrity(b"another"), "is not the expected one"),
        ({"package/a.js": "a"}, "sha1-abc", 'must begin with "sha512-"'),
        ({"package/a.js": "a", "package/../../b.js": "b"}, None, r"holds 'package/\.\./\.\./b.js'"),
        ({"/etc/a.js": "a"}, None, "holds '/etc/a.js'"),
        ({"package/b.js": "b"}, None, r"has no file a\.js"),
    ],
)
def test_another_package_is_refused(registry, files, known, message):
    put, _ = registry
    found = put("thing", "1.0.0", archive(**files))
    with pytest.raises(ValueError, match=message):
        npm.files("thing", "1.0.0", known or found, ["a.js"])
    assert not list(npm.CACHE.parent.rglob("*.js"))


def test_a_damaged_archive_is_refused(registry):
    put, _ = registry
    known = put("thing", "1.0.0", archive(**{"package/a.js": "a" * 9999})[:-20])
    with pytest.raises(ValueError, match="cannot be read"):
        npm.files("thing", "1.0.0", known, ["a.js"])


def test_without_a_network_one_sentence_says_so(registry, monkeypatch):
    with pytest.raises(ValueError, match=r"nothing 1\.0\.0 could not be fetched .* connect to"):
        npm.files("nothing", "1.0.0", integrity(b""), ["a.js"])
    monkeypatch.setattr(npm, "registry", lambda: "http://127.0.0.1:1/")
    with pytest.raises(ValueError, match="connect to the network and try again"):
        npm.files("nothing", "1.0.0", integrity(b""), ["a.js"])


def test_the_registry_is_that_of_npm(tmp_path, monkeypatch):
    told = tmp_path / "npm"
    told.write_text("#!/bin/sh\necho https://packages.example/npm\n", encoding="utf-8")
    told.chmod(0o755)
    monkeypatch.setattr(npm.shutil, "which", lambda name: str(told))
    assert npm.registry() == "https://packages.example/npm/"
    monkeypatch.setattr(npm.shutil, "which", lambda name: None)
    assert npm.registry() == npm.REGISTRY


# Serving and measuring


@pytest.fixture
def served(tmp_path):
    """A small site, and a server of it."""
    for name in "index.html", "a.js", "a.mjs", "a.wasm", "a.json":
        (tmp_path / name).write_text("{}", encoding="utf-8")
    with serve.server(tmp_path, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("", "text/html; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.wasm", "application/wasm"),
        ("a.json", "application/json"),
    ],
)
def test_files_are_served_by_their_kind(served, name, kind):
    address = f"http://127.0.0.1:{served.server_port}/{name}"
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert answer.headers["Content-Type"] == kind


def test_only_this_machine_is_served_and_a_taken_port_is_named(served, tmp_path):
    assert served.server_address[0] == "127.0.0.1"
    with pytest.raises(ValueError, match=f"listen on port {served.server_port}"):
        serve.server(tmp_path, served.server_port)
    with pytest.raises(ValueError, match="run make site first"):
        serve.server(tmp_path / "nothing")


def test_a_first_view_has_no_mathjax_and_two_pictures(tmp_path):
    names = {"a.css": 10, "mathjax/m.js": 1000, "b.js": 100, "1.png": 1, "2.png": 2, "3.png": 4}
    for name, size in names.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b" " * size)
    html = '<link rel="stylesheet" type="text/css" href="../a.css?v=1" /><script src="../b.js">'
    html += '</script><script defer="defer" src="../mathjax/m.js"></script>'
    html += "".join(f'<img src="../{i}.png" alt="">' for i in (1, 2, 3))
    page = tmp_path / "notebooks" / "02_dcgan.html"
    page.parent.mkdir()
    page.write_text(html, encoding="utf-8")
    assert measure.lessons(tmp_path) == {"notebooks/02_dcgan.html": len(html) + 113}


def test_a_site_that_is_too_large_is_an_error(tmp_path, monkeypatch, capsys):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "02_dcgan.html").write_bytes(b" " * 100)
    build._report(tmp_path)
    assert "02_dcgan.html, 0.00 MB without MathJax" in capsys.readouterr().out
    monkeypatch.setattr(measure, "WHOLE", 99)
    with pytest.raises(ValueError, match="Too large"):
        build._report(tmp_path)


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["serve", "a port"]])
def test_a_wrong_command_shows_how_to_write_it(arguments, capsys):
    assert command.main(arguments) == 2
    assert "serve [PORT]" in capsys.readouterr().out


# The whole site

PLACES = re.compile(r'\b(?:href|src)="([^"]+)"')
FROM_OTHERS = {
    "html": r'<(?:img|script|link|iframe|source|video)\b[^>]*\b(?:src|href)="(?:https?:)?//',
    "css": r"(?:url\(|@import)\s*[\"']?(?:https?:)?//",
    "js": r"(?:import|from|fetch|importScripts)\s*\(?\s*[\"'`](?:https?:)?//",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The whole site, built in a folder of its own."""
    pytest.importorskip("myst_nb", reason="Sphinx is not installed: make test-site")
    return build.build(tmp_path_factory.mktemp("build"))


def html_files(site):
    return {path: path.read_text(encoding="utf-8") for path in sorted(site.rglob("*.html"))}


@pytest.mark.slow
def test_no_link_leads_nowhere(site):
    anchors = {path: set(re.findall(r'\bid="([^"]+)"', t)) for path, t in html_files(site).items()}
    for path, text in html_files(site).items():
        for address in PLACES.findall(text):
            if re.match(r"[a-z]+:", address):
                continue
            name, _, place = address.partition("#")
            target = (path.parent / re.sub(r"\?.*", "", name)).resolve() if name else path
            assert target.exists(), (path, address)
            if place and target.suffix == ".html":
                assert place in anchors[target] or not place.strip(), (path, address)


@pytest.mark.slow
def test_nothing_is_loaded_from_another_host(site):
    for kind, pattern in FROM_OTHERS.items():
        for path in site.rglob(f"*.{kind}"):
            found = re.search(pattern, path.read_text(encoding="utf-8"))
            assert not found, (path, found)


@pytest.mark.slow
def test_the_site_is_small_enough_and_holds_no_data(site):
    assert measure.total(site) <= measure.WHOLE
    views = measure.lessons(site)
    assert len(views) == 2 * len(LESSONS)
    assert max(views.values()) <= measure.FIRST_VIEW, views
    endings = {path.suffix for path in site.rglob("*") if path.is_file()}
    assert not endings & {".npz", ".npy", ".zip", ".gz", ".tgz", ".tar", ".h5", ".keras"}
    assert not [path for path, text in html_files(site).items() if EMBEDDED.search(text)]


@pytest.mark.slow
def test_words_of_the_lessons_can_be_searched(site):
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert all(f"notebooks/{lesson}" in index for lesson in LESSONS)
    assert "wasserstein" in index


@pytest.mark.slow
def test_only_pages_with_formulas_load_mathjax(site):
    for path, text in html_files(site).items():
        has_formulas = 'class="math ' in text
        assert ("mathjax/tex-chtml.js" in text) == has_formulas, path
    assert (site / "_static" / "mathjax" / "tex-chtml.js").exists()


@pytest.mark.slow
def test_tables_and_printed_lines_are_shown(site):
    text = (site / "notebooks" / "02_dcgan.html").read_text(encoding="utf-8")
    outputs = pages.Page("02_dcgan").code
    printed = [o.text for cell in outputs for o in cell.outputs if o.output_type == "stream"]
    assert len(printed) == len(re.findall(r'class="output stream', text))
    assert re.search(r"<td[^>]*><p>Fréchet distance</p></td>", text)
    in_sight = re.sub(r"<details.*?</details>", "", text, flags=re.DOTALL)
    assert "Show the code" in text
    assert "ADDRESS" not in in_sight
