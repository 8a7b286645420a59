"""The size of the house, and which way its arrows go."""

import ast
import re

import pytest

from utils.options import ROOT

UTILS = ROOT / "utils"
TOPICS = UTILS / "topics"
# A file imports only files that stand before it.
ORDER = [
    "options",
    "device",
    "workers",
    "runtime",
    "images",
    "tables",
    "sources",
    "archives",
    "photographs",
    "datasets",
    "metrics",
    "evaluation",
    "layers",
    "steps",
    "fingerprint",
    "state",
    "run",
    "record",
    "callbacks",
    "checks",
    "panel",
    "training",
]
# Lines of code, at most. The plan for this house said 1,700 for the core.
CORE, FILE, TRAINING, TOPIC, FUNCTION = 2899, 250, 170, 170, 40
PACKAGES = "utils", "tools", "benchmarks", "tests"
CORE_FILES = sorted(path for path in UTILS.glob("*.py"))
TOPIC_FILES = sorted(path for path in TOPICS.rglob("*.py"))
FILES = CORE_FILES + TOPIC_FILES
TOOLS = sorted((ROOT / "tools").rglob("*.py"))


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def lines_of(source):
    """Return the numbers of the lines of code: not docstrings, comments and blank lines."""
    tree = ast.parse(source)
    kinds = ast.Module | ast.FunctionDef | ast.ClassDef
    strings = [
        node.body[0]
        for node in ast.walk(tree)
        if isinstance(node, kinds) and ast.get_docstring(node) is not None
    ]
    texts = {n for string in strings for n in range(string.lineno, string.end_lineno + 1)}
    lines = enumerate(source.splitlines(), start=1)
    return {n for n, line in lines if n not in texts and line.strip() and line.strip()[0] != "#"}


def size_of(path):
    return len(lines_of(path.read_text(encoding="utf-8")))


def imported(path):
    """Return the modules of this project that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            within = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name for name in within if is_module(name)]
            found |= set(modules) if modules else {node.module}
    return {name for name in found if name.split(".")[0] in PACKAGES}


def is_module(name):
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def topic_of(name):
    """Return the topic of a module, a file or a folder: utils.topics.faces.data is of faces."""
    return name.split(".")[2]


def ranks(name):
    """Return the place of a module of utils in ORDER; topics come after all."""
    parts = name.split(".")
    if len(parts) == 1:
        return -1  # utils itself
    return len(ORDER) if parts[1] == "topics" else ORDER.index(parts[1])


def test_lines_of_code_are_counted_without_texts():
    source = '"""A text\nof two lines."""\n\n# why\nx = """kept"""\n\n\ndef f():\n    """Text."""\n'
    assert lines_of(source) == {5, 8}


def test_the_core_is_what_the_map_says():
    assert {path.stem for path in CORE_FILES} == {"__init__", *ORDER}
    text = ast.get_docstring(ast.parse((UTILS / "__init__.py").read_text(encoding="utf-8")))
    topics = {topic_of(name_of(path)) for path in TOPIC_FILES}
    names = {*ORDER, *topics} - {"__init__"}
    on_the_map = re.findall(r"^ *(?:topics/)?([a-z_]+)(?:\.py)?  ", text, re.MULTILINE)
    assert [name for name in on_the_map if name in ORDER] == ORDER
    assert names <= set(on_the_map)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_arrows_go_down(path):
    used = imported(path)
    assert all(name.split(".")[0] == "utils" for name in used), used
    if path in TOPIC_FILES:
        others = [name for name in used if name.startswith("utils.topics")]
        own = topic_of(name_of(path))  # the files of one folder are one topic
        assert not [name for name in others if topic_of(name) != own], used
    elif path.stem != "__init__":
        place = ranks(name_of(path))
        assert not [name for name in used if ranks(name) >= place], used


@pytest.mark.parametrize("folder", ["benchmarks", "tools"])
def test_benchmarks_and_tools_never_import_tests(folder):
    for path in (ROOT / folder).rglob("*.py"):
        assert not [name for name in imported(path) if name.startswith("tests")], path
        assert not re.search(r"\btests\.\w", path.read_text(encoding="utf-8")), path


def test_tools_stand_on_utils_alone():
    for path in TOOLS:
        assert {name.split(".")[0] for name in imported(path)} <= {"tools", "utils"}, path


def test_the_core_stays_small():
    sizes = {path.stem: size_of(path) for path in CORE_FILES}
    assert sum(sizes.values()) <= CORE, sizes


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_stays_small(path):
    most = TOPIC if path in TOPIC_FILES else TRAINING if path.stem == "training" else FILE
    assert size_of(path) <= most


@pytest.mark.parametrize("path", FILES + TOOLS, ids=name_of)
def test_functions_stay_small(path):
    """Ruff counts branches and statements (pyproject.toml); these are the lines."""
    source = path.read_text(encoding="utf-8")
    code = lines_of(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            size = len(code & set(range(node.lineno, node.end_lineno + 1)))
            assert size <= FUNCTION, node.name
