"""Other tools' lists of files: how each is recognised, what it becomes, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mooring.config import LATER, parse
from mooring.errors import MooringError
from mooring.files.formats import DOTTED, Entry, Listed, of_templates, read, with_lists
from mooring.files.section import rendered
from mooring.spec import MAX_BYTES, Layers, merge


def lists(text: str | bytes, name: str = "files.txt") -> dict[str, list[Entry]]:
    return read(name, text.encode() if isinstance(text, str) else text).entries()


def refusal(text: str | bytes, name: str = "files.txt") -> str:
    with pytest.raises(MooringError) as caught:
        lists(text, name)
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", {}),
        ("\n# nothing\n\n", {}),
        # gitignore(5)
        (".env*\n# why\n/certs/\n", {"copy": [".env*", "/certs/"]}),
        (".env*\n!.env.production\n", {"copy": [".env*"], "skip": [".env.production"]}),
        ("/a b \n\\#odd\n/c\\ \n", {"copy": ["/a b", "\\#odd", "/c\\ "]}),
        ("/.env\r\n**/local.json\r\n", {"copy": ["/.env", "**/local.json"]}),
        # one path a line
        (
            ".env\n  .tool-versions  \n# why\n./certs/\n.env\n",
            {"copy": ["/.env", "/.tool-versions", "/certs"]},
        ),
        ("\ufeff.env\n", {"copy": ["/.env"]}),
        # ACTION:SOURCE:DEST
        (
            "# mine\ncopy:.tool-versions:.tool-versions\ncopy:.env\ncopy:.env.*\n"
            "template:env.template:.env\ntemplate:conf/app.yml.j2\n\nsymlink:node_modules\n"
            "symlink:tools/bin:bin\nskip:*.log\nskip:tmp/\n",
            {
                "copy": [{"src": ".tool-versions", "dest": ".tool-versions"}, "/.env", ".env.*"],
                "template": [
                    {"src": "env.template", "dest": ".env"},
                    {"src": "conf/app.yml.j2", "dest": "conf/app.yml"},
                ],
                "symlink": [{"src": "node_modules"}, {"src": "tools/bin", "dest": "bin"}],
                "skip": ["*.log", "/tmp"],
            },
        ),
        # YAML
        (
            "# mine\ncopy:\n  - .env\n  - 'conf/*.yml'\n  - {src: a, dest: b}\n"
            "  - {source: c, destination: d, mode: '0600'}\n  - {source: e, optional: true}\n"
            "template:\n  - source: env.j2\n    target: .env\n  - x.template\n"
            "symlink: [node_modules, {source: f, target: g}]\n",
            {
                "copy": [
                    "/.env",
                    "conf/*.yml",
                    {"src": "a", "dest": "b"},
                    {"src": "c", "dest": "d", "mode": "0600"},
                    {"src": "e", "optional": True},
                ],
                "template": [{"src": "env.j2", "dest": ".env"}, {"src": "x.template", "dest": "x"}],
                "symlink": [{"src": "node_modules"}, {"src": "f", "dest": "g"}],
            },
        ),
        ('{"copy": [".env"]}', {"copy": ["/.env"]}),
        ("---\nskip: ['*.log']\n", {"skip": ["*.log"]}),
    ],
)  # fmt: skip
def test_what_it_lists(text: str, wanted: dict[str, list[Entry]]) -> None:
    assert lists(text) == wanted


def test_the_name_tells_patterns_from_paths() -> None:
    assert lists(".env\n", ".worktreeinclude") == {"copy": [".env"]}
    assert lists(".env\n") == {"copy": ["/.env"]}


def test_a_negation_is_said() -> None:
    assert read(".worktreeinclude", b".env*\n!.env.old\n").notes == (
        "'!.env.old' became a skip of '.env.old', which no later line takes back",
    )


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (b".env\n\xff\n", 2, "it is not UTF-8"),
        (".env\n../x\n", 2, "'../x' leaves the repo"),
        ("a\n.git/config\n", 2, "leaves the repo"),
        ("a\n.mooring/x\n", 2, "leaves the repo"),
        ("a\na\x1bb\n", 2, "'a\\x1bb' leaves the repo"),
        ("a\0\n", 1, "leaves the repo"),
        ("*.env\n/../x\n", 2, "leaves the repo"),
        ("!/\n", 1, "leaves the repo"),
        ("!!a\n", 1, "leaves the repo"),
        ("copy:a\n# x\nmove:a:b\n", 3, "'move' is none of"),
        ("copy:a\n.env\n", 2, "'.env' is none of"),
        ("copy:a:b:c\n", 1, "it is not ACTION:SOURCE:DEST"),
        ("copy:a:../b\n", 1, "'../b' leaves the repo"),
        ("copy:/etc/passwd:b\n", 1, "'/etc/passwd' leaves the repo"),
        ("copy:*.a:b\n", 1, "'*.a' is a pattern"),
        ("symlink:*\n", 1, "is a pattern"),
        ("skip:a:b\n", 1, "a skip has no DEST"),
        ("template:a\n", 1, "a template needs a DEST"),
        ("copy:\n  - a\nmove:\n  - b\n", 3, "'move' is none of"),
        ("copy:\n  - a\n  - ../b\n", 3, "'../b' leaves the repo"),
        ("copy:\n  - a\n  - {src: a, form: b}\n", 3, "'form' is not understood"),
        ("copy: [{src: a, source: b}]\n", 1, "'source' is not understood"),
        ("copy: [{dest: a}]\n", 1, "it has no src"),
        ("copy: [{src: a, mode: rw}]\n", 1, "its mode is not understood"),
        ("symlink: [{src: a, mode: '600'}]\n", 1, "its mode is not understood"),
        ("copy: [[a]]\n", 1, "it is no path"),
        ("skip: [{src: a}]\n", 1, "it is no path"),
        ("copy: a\n", 1, "it is no list"),
        ("copy: &x [a]\nskip: *x\n", 1, "anchors and aliases"),
        ("copy:\n  - !!python/object:os.system a\n", 2, "the tag"),
        ("copy: [a\n", 2, ""),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_read(text: str | bytes, line: int, reason: str) -> None:
    said = refusal(text)
    assert said.startswith(f"Cannot read files.txt line {line}: ")
    assert reason in said


def test_a_large_file() -> None:
    assert refusal(b"a\n" * MAX_BYTES) == "Cannot read files.txt: it is larger than 1 MiB"


def test_a_directory_of_templates() -> None:
    names = ("env.template", "tool-versions.template", "app.yml.template", "README.md", "a\n")
    listed = of_templates("conf", names)
    assert listed.entries() == {
        "template": [
            {"src": "conf/app.yml.template", "dest": "app.yml"},
            {"src": "conf/env.template", "dest": ".env"},
            {"src": "conf/tool-versions.template", "dest": ".tool-versions"},
        ]
    }
    assert listed.notes == (
        "left out: 'README.md' (no *.template)",
        "left out: 'a\\n' (its name cannot be carried safely)",
    )


@pytest.mark.parametrize("pattern", DOTTED)
def test_which_names_get_a_dot(pattern: str) -> None:
    name = pattern.replace("*", "local")
    (entry,) = of_templates("", [f"{name}.template"]).template
    assert entry == {"src": f"{name}.template", "dest": f".{name}"}
    (dotted,) = of_templates("", [f".{name}.template"]).template
    assert dotted == {"src": f".{name}.template", "dest": f".{name}"}


def test_two_templates_for_one_file() -> None:
    with pytest.raises(MooringError, match=r"Cannot make \.env from both"):
        of_templates("", ["env.template", ".env.template"])


LINES = st.text(
    st.sampled_from("ab.:/!*?[\\#- \"'{}\t\n\x1b\x85écopyskip") | st.characters(), max_size=30
)


@given(st.one_of(LINES.map(lambda text: text.encode("utf-8", "surrogatepass")), st.binary()))
def test_whatever_is_read_is_a_spec(text: bytes) -> None:
    """What comes out is one of ours, and means the same once it was written."""
    try:
        listed = read("files", text)
    except MooringError:
        return
    assert_means(listed)


def assert_means(listed: Listed) -> None:
    entries: dict[str, Any] = listed.entries()
    if "files.template" in LATER:
        entries.pop("template", None)
    files = parse(rendered(entries).encode()).files
    for action, wanted in entries.items():
        assert len(getattr(files, action)) == len(wanted)
        for there, entry in zip(getattr(files, action), wanted, strict=True):
            given = entry if isinstance(entry, str) else {k: getattr(there, k) for k in entry}
            assert (there if isinstance(entry, str) else given) == entry


def test_lists_are_read_where_they_are_there() -> None:
    repo = parse(b"files: {from: [one, two], copy: [own]}")
    layers = Layers(repo=repo, overrides=parse(b"files: {from: mine}"))
    texts = {"one": b"copy:.env\n", "mine": b"symlink:data\n", "unasked": b"copy:x\n"}
    found = merge(with_lists(layers, texts))
    assert [(rule.action, rule.src, rule.where, rule.override) for rule in found.rules] == [
        ("copy", "own", "mooring.yaml: files.copy[0]", False),
        ("copy", "/.env", "one: copy[0]", False),
        ("symlink", "data", "mine: symlink[0]", True),
    ]
    with pytest.raises(MooringError, match="Cannot read two line 2: 'link' is none of"):
        with_lists(layers, {"two": b"copy:a\nlink:b\n"})
