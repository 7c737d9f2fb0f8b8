"""What the user wrote: which files are refused and how, how layers merge, how values render."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mooring.config import LATER, load_user, parse
from mooring.document import File
from mooring.errors import MooringError
from mooring.paths import is_inside
from mooring.spec import MAX_BYTES, Layers, merge, render


def refusal(text: str | bytes, name: str = "mooring.yaml") -> str:
    """What `parse` says about a file that it refuses."""
    with pytest.raises(MooringError) as caught:
        parse(text.encode() if isinstance(text, str) else text, name)
    assert caught.value.message.startswith(f"Cannot read {name}")
    return caught.value.message


WHOLE = b"""\
version: 1
base: develop
branch: "robin/{{ topic }}"
env:
  DATABASE_URL: "postgresql://localhost/{{ slug }}"
ports: [web, db]
disposable: [.cache]
files:
  copy: [.env.local, {src: .env.shared, dest: config/.env, mode: "0600"}]
claude: {args: [--verbose]}
"""


def test_a_whole_file() -> None:
    file = parse(WHOLE)
    assert (file.base, file.branch, file.ports) == ("develop", "robin/{{ topic }}", ["web", "db"])
    assert file.env == {"DATABASE_URL": "postgresql://localhost/{{ slug }}"}
    pattern, copy = file.files.copy
    assert pattern == ".env.local"
    assert (copy.src, copy.dest, copy.mode) == (".env.shared", "config/.env", "0600")
    assert file.claude.args == ["--verbose"]


@pytest.mark.parametrize("text", [b"", b"\n\n", b"# only a comment\n", b"---\n", b"{}", b"~"])
def test_a_file_that_says_nothing(text: bytes) -> None:
    assert parse(text) == File()


@pytest.mark.parametrize(
    ("text", "line", "key", "nearest"),
    [
        ("bsae: main\n", 1, "'bsae'", "'base'"),
        ("base: main\n\nbrunch: x\n", 3, "'brunch'", "'branch'"),
        ("# a comment\nprots: [web]\n", 2, "'prots'", "'ports'"),
        ("files:\n  copies: []\n", 2, "'files.copies'", "'copy'"),
        ("claude:\n  argz: []\n", 2, "'claude.argz'", "'args'"),
        ("files:\n  copy:\n    - src: a\n      dst: b\n", 4, "dst'", "'dest'"),
    ],
)
def test_an_unknown_key_is_named_with_its_line_and_the_nearest(
    text: str, line: int, key: str, nearest: str
) -> None:
    said = refusal(text)
    assert f"mooring.yaml line {line}: unknown key" in said
    assert key in said
    assert f"did you mean {nearest}?" in said


def test_an_unknown_key_like_no_other_has_no_suggestion() -> None:
    assert refusal("zzzzzz: 1\n") == "Cannot read mooring.yaml line 1: unknown key 'zzzzzz'"


@pytest.mark.parametrize("key", sorted(LATER))
def test_a_key_of_a_later_version_says_so(key: str) -> None:
    parent, _, child = key.rpartition(".")
    text = f"base: main\n{parent}:\n  {child}: x\n" if parent else f"base: main\n{child}: x\n"
    said = refusal(text)
    assert f"{key!r} is not supported by this version yet" in said
    assert f"line {3 if parent else 2}:" in said


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("version: 2\n", 1, "version"),
        ("version: one\n", 1, "version"),
        ("base: 7\n", 1, "base"),
        ("base: [main]\n", 1, "base"),
        ("base: true\n", 1, "base"),
        ("\nports: web\n", 2, "ports"),
        ("ports:\n  - web\n  - 8080\n", 3, "ports"),
        ("env: [A, B]\n", 1, "env"),
        ("env:\n  A: [1]\n", 2, "env.A"),
        ("env:\n  A: {B: 1}\n", 2, "env.A"),
        ("files: [a]\n", 1, "files"),
        ("files:\n  copy: a\n", 2, "copy"),
        ("files:\n  copy:\n    - {dest: a}\n", 3, "src"),
        ("files:\n  copy:\n    - [a]\n", 3, "copy"),
        ("claude:\n  args: -v\n", 2, "args"),
        ("disposable:\n  - 1\n", 2, "disposable"),
    ],
)
def test_a_wrong_type_is_named_with_its_line(text: str, line: int, what: str) -> None:
    said = refusal(text)
    assert f"line {line}:" in said
    assert what in said


@pytest.mark.parametrize("text", ["[a, b]", "just words", "7", "true", "[1]"])
def test_a_file_is_a_map(text: str) -> None:
    refusal(text)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("ports: [Web]\n", 1, "'Web' is no port name"),
        ("ports:\n  - web\n  - 'a b'\n", 3, "no port name"),
        ("env:\n  A B: x\n", 2, "no environment variable name"),
        ("env:\n  A: x\n  1A: x\n", 3, "no environment variable name"),
        ("env:\n  A=B: x\n", 2, "no environment variable name"),
        ("env:\n  PORT: x\n", 2, "set by Mooring"),
        ("env:\n  PORT_WEB: x\n", 2, "set by Mooring"),
        ("env:\n  WORK_TOPIC: x\n", 2, "set by Mooring"),
        ("env:\n  CLAUDE_SESSION_ID: x\n", 2, "set by Mooring"),
        ('env:\n  A: "a\\0b"\n', 2, "NUL"),
        ("files:\n  copy:\n    - a\n    - '!b'\n", 4, "no pattern"),
        ('files:\n  copy: ["a\\nb"]\n', 2, "no pattern"),
        ("files:\n  copy: ['']\n", 2, "no pattern"),
        ("files:\n  copy:\n    - {src: ../a}\n", 3, "leaves the repo"),
        ("files:\n  copy:\n    - {src: /etc/passwd}\n", 3, "leaves the repo"),
        ("files:\n  copy:\n    - {src: a, dest: ../b}\n", 3, "leaves the repo"),
        ("files:\n  copy:\n    - {src: a, dest: .git/config}\n", 3, "git's own"),
        ("files:\n  copy:\n    - {src: a, dest: .mooring/session}\n", 3, "Mooring's own"),
        ("files:\n  copy:\n    - {src: a, mode: '0999'}\n", 3, "file mode"),
        ("files:\n  copy:\n    - {src: a, mode: rw}\n", 3, "file mode"),
        ("files:\n  copy:\n    - {src: a, mode: '4755'}\n", 3, "file mode"),
        ("disposable: ['*']\n", 1, "everything disposable"),
        ("disposable: ['**/*']\n", 1, "everything disposable"),
        ("disposable: ['.']\n", 1, "everything disposable"),
        ("disposable: ['']\n", 1, "everything disposable"),
        ("disposable: [':(top)x']\n", 1, "everything disposable"),
        ("disposable: ['!x']\n", 1, "everything disposable"),
    ],
)
def test_a_bad_value_is_named_with_its_line(text: str, line: int, problem: str) -> None:
    said = refusal(text)
    assert f"line {line}:" in said
    assert problem in said


def bomb(depth: int) -> str:
    """Aliases of aliases: ten to the power of `depth` words, in `depth` short lines."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, depth)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (bomb(12), "anchors and aliases"),
        ("base: &b main\nbranch: *b\n", "anchors and aliases"),
        ("base: &b main\n", "anchors and aliases"),
        ("base: !!python/object/apply:os.system [touch x]\n", "tag"),
        ("base: !!python/name:os.system\n", "tag"),
        ("base: !include /etc/passwd\n", "tag"),
        ("base: !!str main\n", "tag"),
        ("[" * 100_000, "nested too deeply"),
        ("{a: " * 100_000, "nested too deeply"),
        ("- " * 100_000, "nested too deeply"),
        ("ports: " + "[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ("base: main\nbase: other\n", "twice"),
        ("env:\n  A: 1\n  A: 2\n", "twice"),
        ("files: {copy: [{src: a, src: b}]}\n", "twice"),
        ("? [a, b]\n: c\n", "one word"),
        ("base: main\n--- \nbase: other\n", ""),
        ("base: 'main\n", ""),
        ("base: main\n\tbranch: x\n", ""),
        ("a: b: c\n", ""),
        ("%YAML 9.9\n---\nbase: main\n", ""),
        ("<<: {base: main}\n", "unknown key"),
    ],
)
def test_yaml_that_could_grow_or_run_is_refused(text: str, problem: str) -> None:
    assert problem in refusal(text)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\x03",
        b"\x7fELF\x02\x01\x01" + bytes(range(256)),
        b"\xff\xfe\xfd",
        b"base: \xc3\x28\n",
        b"base: \x07main\n",
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_binary_is_refused(data: bytes) -> None:
    refusal(data)


def test_ten_megabytes_are_refused_at_once() -> None:
    data = b"ports: [" + b"web, " * 2_000_000 + b"web]"
    started = time.monotonic()
    assert "larger than 1 MiB" in refusal(data)
    assert time.monotonic() - started < 1


def test_a_file_of_the_greatest_size_is_read() -> None:
    text = b"base: main\n#"
    assert parse(text + b"x" * (MAX_BYTES - len(text))).base == "main"
    refusal(text + b"x" * (MAX_BYTES - len(text) + 1))


WRITTEN = [
    "1.10",
    "yes",
    "no",
    "0777",
    "1e3",
    "on",
    "0x1F",
    "1_000",
    "190:20:30",
    "2024-01-01",
    "=",
]


@pytest.mark.parametrize("text", WRITTEN)
def test_values_of_env_stay_as_they_are_written(text: str) -> None:
    assert parse(f"env:\n  A: {text}\n".encode()).env == {"A": text}


def test_long_values_of_env_keep_their_lines() -> None:
    assert parse(b"env:\n  A: |\n    one\n    two\n").env == {"A": "one\ntwo\n"}


@pytest.mark.parametrize("text", ["0777", "190:20:30", "0b2", "9" * 5000, "0o8"])
def test_an_odd_number_elsewhere_is_an_error_of_that_file(text: str) -> None:
    refusal(f"version: {text}\n")


REPO = parse(
    b"base: develop\nbranch: repo-{{ topic }}\nports: [web]\ndisposable: [.cache]\n"
    b"env: {A: repo, B: repo}\nclaude: {args: [--repo]}\nfiles: {copy: [.env]}\n"
)
USER = parse(
    b"base: main\nbranch: user-{{ topic }}\nports: [db]\n"
    b"env: {A: user, C: user}\nclaude: {args: [--user]}\nfiles: {copy: [.user]}\n"
)
OVERRIDES = parse(b"base: release\nenv: {B: top}\nclaude: {args: [--top]}\nports: [web]\n")


def test_overrides_win_over_the_repo_and_that_over_the_user() -> None:
    assert merge(Layers(USER, REPO, OVERRIDES)).base == "release"
    assert merge(Layers(USER, REPO)).base == "develop"
    assert merge(Layers(USER)).base == "main"
    assert merge(Layers()).base == ""
    assert merge(Layers(USER, REPO, OVERRIDES)).branch == "repo-{{ topic }}"
    env = merge(Layers(USER, REPO, OVERRIDES)).env
    assert env == {"A": "repo", "B": "top", "C": "user"}


def test_lists_add_up() -> None:
    spec = merge(Layers(USER, REPO, OVERRIDES))
    assert spec.ports == ("", "db", "web")
    assert spec.patterns == (".user", ".env")
    assert {"node_modules", ".cache"} <= set(spec.disposable)


def test_what_the_repo_says_is_not_trusted() -> None:
    spec = merge(Layers(USER, REPO, OVERRIDES))
    assert spec.trusted_env == {"A": "user", "B": "top", "C": "user"}
    assert spec.claude_args == ["--user", "--top"]
    assert spec.held_back == ("env", "claude.args")
    assert merge(Layers(USER, File(), OVERRIDES)).held_back == ()


def test_a_worktreeinclude_adds_patterns() -> None:
    include = b"# comment\n.env*\n\n  \n/config/local.yml\r\n.env*\n"
    assert merge(Layers(), include).patterns == (".env*", "/config/local.yml")


def test_lines_of_a_worktreeinclude_end_at_newlines_only() -> None:
    """As in gitignore(5); a form feed or U+2028 is a character of the pattern."""
    include = "a\x0cb\nc\u2028d\n".encode()
    assert merge(Layers(), include).patterns == ("a\x0cb", "c\u2028d")


@pytest.mark.parametrize("include", [b"a\0b", b"x" * (MAX_BYTES + 1)])
def test_a_worktreeinclude_that_is_no_text_is_refused(include: bytes) -> None:
    with pytest.raises(MooringError, match="worktreeinclude"):
        merge(Layers(), include)


def test_a_copied_file_is_a_pattern_too() -> None:
    spec = merge(Layers(repo=parse(b"files: {copy: [{src: config/a, dest: b}]}")))
    assert spec.patterns == ("/config/a",)
    (rule,) = spec.rules
    assert (rule.action, rule.src, rule.dest) == ("copy", "config/a", "b")


@pytest.mark.parametrize(
    ("text", "lists"),
    [
        (b"files: {from: .worktree-files}", [".worktree-files"]),
        (b"files: {from: [a, b/c]}", ["a", "b/c"]),
        (b"files: {copy: [a]}", []),
    ],
)
def test_lists_of_other_tools(text: bytes, lists: list[str]) -> None:
    spec = merge(Layers(repo=parse(text)))
    assert spec.lists == dict.fromkeys(lists, "mooring.yaml: files.from")
    texts = tuple(name for name in spec.watched if name.startswith("text:"))
    assert texts == tuple(f"text:{path}" for path in lists)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("files: {from: ../x}", "line 1: '../x' leaves the repo"),
        ("files:\n  from:\n  - a\n  - /etc/passwd", "line 4: '/etc/passwd' leaves the repo"),
        ("files: {form: a}", "did you mean 'from'?"),
        ("files: {from_: a}", "unknown key 'files.from_'; did you mean 'from'?"),
        ("files: {from: 1}", "files.from: "),
    ],
)
def test_lists_that_are_refused(text: str, said: str) -> None:
    assert said in refusal(text)


def test_the_users_files(tmp_path: Path) -> None:
    none = load_user(tmp_path, "fix-login")
    assert (none.user, none.overrides) == (File(), File())
    (tmp_path / "config.yaml").write_text("base: main\n")
    (tmp_path / "overrides").mkdir()
    (tmp_path / "overrides/fix-login.yaml").write_text("base: release\n")
    layers = load_user(tmp_path, "fix-login")
    assert (layers.user.base, layers.overrides.base) == ("main", "release")
    assert load_user(tmp_path, "other").overrides == File()


def test_an_error_in_the_users_file_names_that_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("base: main\nprots: []\n")
    with pytest.raises(MooringError, match=rf"{path} line 2"):
        load_user(tmp_path, "fix-login")


def test_a_users_file_that_cannot_be_read_is_explained(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").mkdir()
    with pytest.raises(MooringError, match=r"Cannot read .*config\.yaml"):
        load_user(tmp_path, "fix-login")


NAMES = {"topic": "fix-login", "slug": "fix_login", "PORT": "20001"}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("{{ topic }}", "fix-login"),
        ("{{topic}}-{{  slug }}", "fix-login-fix_login"),
        ("http://localhost:{{ PORT }}/", "http://localhost:20001/"),
        ("{ topic }", "{ topic }"),
        ("}}", "}}"),
        ("$(touch x)", "$(touch x)"),
    ],
)
def test_rendering(template: str, expected: str) -> None:
    assert render(template, NAMES, "env.A") == expected


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ topics }}", "there is no 'topics'; did you mean 'topic'?"),
        ("{{ zzz }}", "there is no 'zzz'"),
        ("{{ topic.upper() }}", "only {{ name }} is known"),
        ("{{ ''.__class__ }}", "only {{ name }} is known"),
        ("{{ topic", "only {{ name }} is known"),
        ("{% if topic %}x{% endif %}", "only {{ name }} is known"),
        ("{{ topic | e }}", "only {{ name }} is known"),
    ],
)
def test_rendering_refuses_what_is_no_name(template: str, said: str) -> None:
    with pytest.raises(MooringError) as caught:
        render(template, NAMES, "env.A")
    assert caught.value.message.startswith("Cannot render env.A: ")
    assert said in caught.value.message


def test_a_rendered_value_is_not_rendered_again() -> None:
    assert render("{{ topic }}", {"topic": "{{ slug }}", "slug": "x"}, "env.A") == "{{ slug }}"


@pytest.mark.parametrize("path", ["a", ".env", "a/b c", ".github/x", "..a", "a..", "ü/é", "-x"])
def test_paths_inside(path: str) -> None:
    assert is_inside(path)


@pytest.mark.parametrize(
    "path",
    [
        *("", "/a", "..", "../a", "a/../b", "a/..", ".", "./a", "a//b", "a/", "a\\b"),
        *(".git", ".git/config", "a/.git/hooks/x", ".GIT/config", ".git./x", ".git /x"),
        *(".mooring", ".mooring/session", "a\nb", "a\0b", "a\tb", "a\x7fb"),
    ],
)
def test_paths_outside(path: str) -> None:
    assert not is_inside(path)


def never_surprises(data: bytes) -> None:
    """Parse: whatever it is, it's a file or a MooringError."""
    with suppress(MooringError):
        assert isinstance(parse(data), File)


@given(st.binary(max_size=300))
def test_random_bytes_never_surprise(data: bytes) -> None:
    never_surprises(data)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_random_text_never_surprises(text: str) -> None:
    never_surprises(text.encode())


pieces = ["base", "env", "ports", "files", "copy", "src", "claude", ": ", ":\n", "- ", "\n", "  "]
pieces += ["[", "]", "{", "}", ", ", "'", '"', "|", ">", "&a", "*a", "!!int ", "<<", "? ", "~", "1"]
pieces += ["0777", "1.5", "yes", "#", "%", "@", "`", "\t", "---\n", "...", "\x85", "\u2028", "\\"]


@given(st.lists(st.sampled_from(pieces), max_size=25).map("".join))
def test_text_like_yaml_never_surprises(text: str) -> None:
    never_surprises(text.encode())


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab\n'\"{}$\\ü", max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc.`[]", max_size=4), inner)
    ),
    max_leaves=6,
)
keys = ["version", "base", "branch", "env", "ports", "disposable", "files", "claude", "copy"]


@given(st.dictionaries(st.sampled_from(keys), values, max_size=4))
def test_known_keys_with_any_value_never_surprise(document: dict[str, object]) -> None:
    import yaml

    never_surprises(yaml.safe_dump(document).encode())
    never_surprises(yaml.safe_dump({"files": document, "claude": document}).encode())
