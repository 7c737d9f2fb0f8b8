"""Windows in tmux (a real one, with a server of its own) and zellij (its layout and command lines).

No package registry has zellij: a recording script stands in for it, and its layout is read by a
KDL parser and compared with the grammar at zellij.dev/documentation/creating-a-layout.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mooring.commands import terminals
from mooring.errors import MooringError
from tests.support import Done, Person, link, need, until

NOTHING: Mapping[str, str] = {}
KEY = "3f2c/file%2Fsrc%2Fshop/dev/fix-login"

DRIVER = """\
import json, sys
from mooring.commands import terminals
from mooring.errors import MooringError

def report(line):
    print(line, file=sys.stderr)

what, *words = json.loads(sys.argv[1])
try:
    if what == "attach":
        sys.exit(terminals.attach(words[0], report, words[1:]))
    if what == "found":
        place = terminals.found(words[0])
        print(place and place.target)
        sys.exit(0)
    name, key, cwd, argv, layout = words
    window = terminals.Window(name, key, cwd, tuple(argv), layout)
    sys.exit(terminals.TERMINALS[what](window, report))
except MooringError as error:
    print(*error.lines(), sep="\\n", file=sys.stderr)
    sys.exit(error.kind.value)
"""

PANE = """\
import json, os, pathlib, sys, time
seen = {"argv": sys.argv[2:], "cwd": os.getcwd(), "env": dict(os.environ)}
pathlib.Path(sys.argv[1] + ".new").write_text(json.dumps(seen))
os.replace(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)
"""


@dataclass(frozen=True)
class Desk:
    """A person with a workspace's directory, and a way to call the module as they would."""

    person: Person
    cwd: Path
    """The workspace."""

    def window(self, *args: str, name: str = "fix-login", key: str = KEY) -> list[Any]:
        """A window whose command says what it got, and stays."""
        argv = [sys.executable, "-c", PANE, str(self.seen_at), *args]
        return [name, key, str(self.cwd), argv, str(self.layout)]

    @property
    def seen_at(self) -> Path:
        return self.person.home / "seen.json"

    @property
    def layout(self) -> Path:
        return self.person.home / "private/layout.kdl"

    def driver(self, *words: Any) -> list[str]:
        return [sys.executable, "-c", DRIVER, json.dumps(words)]

    def call(self, *words: Any, check: bool = True, env: Mapping[str, str] = NOTHING) -> Done:
        return self.person.run(*self.driver(*words), check=check, env=env)

    def seen(self) -> Any:
        """What the window's command got, once it runs."""
        until(self.seen_at.exists)
        return json.loads(self.seen_at.read_text())

    def tmux(self, *args: str, check: bool = True) -> str:
        return self.person.run("tmux", *args, check=check).stdout.rstrip("\n")

    def panes(self) -> list[list[str]]:
        """Session, window, how its command failed (0: not yet), and mark of each pane."""
        form = "#{session_name} #{window_name} #{?@mooring_ended,#{@mooring_ended},0} #{@mooring}"
        lines = self.tmux("list-panes", "-a", "-F", form, check=False).splitlines()
        return [line.split(" ") for line in lines]

    def marked(self, key: str = KEY) -> list[str]:
        lines = self.tmux("list-panes", "-a", "-F", "#{pane_id} #{@mooring}", check=False)
        return [line.split()[0] for line in lines.splitlines() if line.endswith(f" {key}")]

    def in_pane(self, *words: Any) -> int:
        """Call the module in a pane of the session `base`. Returns its status."""
        status = self.person.home / "status"
        status.unlink(missing_ok=True)
        driver = shlex.join(self.driver(*words))
        line = (
            f"{driver} 2>{self.person.home}/said; echo $? >{status}.new; mv {status}.new {status}"
        )
        self.tmux("new-window", "-d", "-t", "base:", line)
        until(status.exists)
        return int(status.read_text())

    def said(self) -> str:
        return (self.person.home / "said").read_text()


@pytest.fixture
def desk(person: Person) -> Iterator[Desk]:
    """A desk whose tmux server, if one is started, is none of the machine's, and ends with it."""
    need("tmux")
    cwd = person.home / "src/fix-login"
    cwd.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="mooring-") as sockets:  # a socket's path is short
        own = replace(person, env=person.env | {"TMUX_TMPDIR": sockets, "TERM": "xterm"})
        yield Desk(own, cwd)
        own.run("tmux", "kill-server", check=False)


@pytest.fixture
def base(desk: Desk) -> Desk:
    """A desk with a tmux session, `base`, that has nothing to do with any workspace."""
    desk.tmux("new-session", "-d", "-s", "base", "sleep", "600")
    return desk


class Terminal:
    """A process on a terminal of its own, whose output is read so that it never blocks."""

    def __init__(self, person: Person, argv: Sequence[str]) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(person.home)
            os.execve(argv[0], list(argv), person.env)
        os.set_blocking(self.fd, False)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)

    def is_running(self, *words: str) -> bool:
        """Whether the process has become a program with those arguments."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 65536)
        argv = Path(f"/proc/{self.pid}/cmdline").read_text().split("\0")[:-1]
        # For an instant between two programs a process has no arguments at all.
        return bool(argv) and [Path(argv[0]).name, *argv[1 : len(words)]] == list(words)


# tmux, outside


def test_outside_without_a_terminal_it_says_how_to_attach(desk: Desk) -> None:
    done = desk.call("tmux", *desk.window("resume", "fix-login"))
    assert done.stdout == ""
    assert done.stderr == "to see fix-login: tmux attach-session -t fix-login:@0\n"
    seen = desk.seen()
    assert (seen["argv"], seen["cwd"]) == (["resume", "fix-login"], str(desk.cwd))
    assert desk.panes() == [["fix-login", "fix-login", "0", KEY]]


def test_outside_on_a_terminal_it_becomes_tmux(desk: Desk) -> None:
    with Terminal(desk.person, desk.driver("tmux", *desk.window())) as terminal:
        until(lambda: terminal.is_running("tmux", "attach-session", "-t"))
        until(lambda: desk.tmux("list-clients", "-F", "#{client_session}") == "fix-login")


def test_a_taken_session_name_gets_a_number(desk: Desk) -> None:
    desk.tmux("new-session", "-d", "-s", "fix-login", "sleep", "600")
    desk.tmux("new-session", "-d", "-s", "fix-login-2", "sleep", "600")
    done = desk.call("tmux", *desk.window())
    assert "tmux attach-session -t fix-login-3:" in done.stderr


def test_another_workspaces_names_reach_no_server(desk: Desk) -> None:
    there = {"WORK_TOPIC": "other", "PORT_WEB": "4000", "SHOP": "open"}
    desk.call("tmux", *desk.window(), env=there)
    env = desk.seen()["env"]
    assert env["SHOP"] == "open"
    assert not env.keys() & {"WORK_TOPIC", "PORT_WEB"}


def test_what_direnv_set_is_left_to_it(desk: Desk) -> None:
    desk.call("tmux", *desk.window(), env={"WORK_TOPIC": "other", "DIRENV_DIFF": "x"})
    assert desk.seen()["env"]["WORK_TOPIC"] == "other"


# tmux, inside


def test_inside_it_is_a_selected_window_of_the_session(base: Desk) -> None:
    assert base.in_pane("tmux", *base.window(name="amy@fix-login")) == 0
    assert ["base", "amy@fix-login", "0", KEY] in base.panes()
    assert base.tmux("display-message", "-p", "-t", "base:", "#{@mooring}") == KEY
    assert base.seen()["cwd"] == str(base.cwd)
    assert base.said() == ""


def test_inside_the_first_is_found_in_another_session(base: Desk) -> None:
    base.call("tmux", *base.window())
    with Terminal(base.person, ["/usr/bin/env", "tmux", "attach", "-t", "base"]):
        until(lambda: base.tmux("list-clients", "-F", "#{client_session}") == "base")
        assert base.in_pane("tmux", *base.window()) == 0
        assert base.said() == "fix-login runs already, in tmux session fix-login\n"
        until(lambda: base.tmux("list-clients", "-F", "#{client_session}") == "fix-login")
    assert len(base.marked()) == 1


def test_inside_without_anyone_looking_the_first_is_selected(base: Desk) -> None:
    assert base.in_pane("tmux", *base.window()) == 0
    base.tmux("select-window", "-t", "base:0")
    assert base.in_pane("tmux", *base.window()) == 0
    assert base.tmux("display-message", "-p", "-t", "base:", "#{@mooring}") == KEY
    assert len(base.marked()) == 1


# tmux, again


def test_a_second_start_finds_the_first_under_any_name(desk: Desk) -> None:
    desk.call("tmux", *desk.window())
    desk.tmux("rename-window", "-t", "fix-login:", "renamed")
    desk.tmux("rename-session", "-t", "fix-login", "my work")
    done = desk.call("tmux", *desk.window())
    assert done.stderr.splitlines() == [
        "fix-login runs already, in tmux session my work",
        "to see fix-login: tmux attach-session -t 'my work:@0'",
    ]
    assert len(desk.marked()) == 1


def test_a_window_of_the_same_name_is_not_taken_for_ours(desk: Desk) -> None:
    desk.call("tmux", *desk.window())
    desk.call("tmux", *desk.window(key="3f2c/file%2Fsrc%2Fother/dev/fix-login"))
    assert len(desk.panes()) == 2


def test_a_pane_beside_it_is_not_marked(desk: Desk) -> None:
    desk.call("tmux", *desk.window())
    desk.tmux("split-window", "-t", "fix-login:", "sleep", "600")
    assert len(desk.panes()) == 2
    assert len(desk.marked()) == 1


def test_starts_at_once_open_one_window(desk: Desk) -> None:
    argv = desk.driver("tmux", *desk.window())
    started = [
        subprocess.Popen(
            argv, env=desk.person.env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for _ in range(4)
    ]
    said = [one.communicate(timeout=60)[1].decode() for one in started]
    assert [one.returncode for one in started] == [0] * 4, said
    assert len(desk.marked()) == 1


def test_a_server_without_sessions_has_no_windows(desk: Desk) -> None:
    desk.tmux("start-server", ";", "set-option", "-s", "exit-empty", "off")
    assert desk.call("found", KEY).stdout == "None\n"
    desk.call("tmux", *desk.window())
    assert len(desk.marked()) == 1


# tmux: attach


def test_attach_goes_to_the_window(base: Desk) -> None:
    base.in_pane("tmux", *base.window())
    base.tmux("select-window", "-t", "base:0")
    with Terminal(base.person, base.driver("attach", KEY, "fix-login")) as terminal:
        until(lambda: terminal.is_running("tmux", "attach-session", "-t"))
        until(lambda: base.tmux("list-clients", "-F", "#{@mooring}") == KEY)


def test_attach_inside_selects_the_window(base: Desk) -> None:
    base.in_pane("tmux", *base.window())
    base.tmux("select-window", "-t", "base:0")
    assert base.in_pane("attach", KEY, "fix-login") == 0
    assert base.tmux("display-message", "-p", "-t", "base:", "#{@mooring}") == KEY


def test_attach_without_a_terminal_says_how(desk: Desk) -> None:
    desk.call("tmux", *desk.window())
    done = desk.call("attach", KEY, "fix-login", check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Cannot attach to 'fix-login': this is no terminal",
        "hint: tmux attach-session -t fix-login:@0",
    ]


def test_attach_without_a_window_says_how_to_get_one(desk: Desk) -> None:
    done = desk.call("attach", KEY, "fix-login", "--agent", "amy", check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Cannot attach to 'fix-login': no window of tmux or zellij belongs to it",
        "hint: mooring resume fix-login --agent amy --launch tmux",
    ]


# tmux: nothing is expanded, split or executed

HOSTILE = [
    "",
    " ",
    "two words",
    ";",
    "a;",
    "a\\;",
    "\\",
    "a;b",
    ";;",
    "line\nline\n",
    "tab\t\r",
    "#{session_name}",
    "#(touch pwned)",
    "##[fg=red]",
    "%H:%M",
    "$HOME `touch pwned` $(touch pwned)",
    "'\"",
    "-x",
    "--",
    "{",
    "}",
    "~",
    "*",
    "Grüße 😀 \u202e",
    "\x1b]0;title\x07",
    "\udcff",
]


@pytest.mark.parametrize("inside", [False, True])
def test_arguments_arrive_byte_for_byte(base: Desk, inside: bool) -> None:
    window = base.window(*HOSTILE)
    assert (base.in_pane if inside else lambda *w: base.call(*w).returncode)("tmux", *window) == 0
    assert base.seen()["argv"] == HOSTILE
    assert not list(base.person.home.rglob("pwned"))


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        "a #(touch pwned) b",
        "#{session_name}#[fg=red]##[x]",
        '%H ; it\'s "quoted";',
        "Grüße 😀",
        "new\nline",
        "-c",
    ],
)
def test_a_directory_is_taken_as_it_is(base: Desk, name: str, inside: bool) -> None:
    there = replace(base, cwd=base.person.home / name)
    there.cwd.mkdir()
    window = there.window(name=name)
    assert (there.in_pane if inside else lambda *w: there.call(*w).returncode)("tmux", *window) == 0
    assert there.seen()["cwd"] == str(there.cwd)
    assert len(there.marked()) == 1
    assert not list(there.person.home.rglob("pwned"))


def test_a_command_of_one_word_meets_no_shell(desk: Desk) -> None:
    program = desk.person.home / "a $(touch pwned) 'program'"
    program.write_text(f"#!/bin/sh\necho {{}} >{desk.seen_at}\nsleep 600\n")
    program.chmod(0o700)
    desk.call("tmux", "fix-login", KEY, str(desk.cwd), [str(program)], "")
    assert desk.seen() == {}
    assert not list(desk.person.home.rglob("pwned"))


def test_the_environment_is_in_no_argv(desk: Desk) -> None:
    desk.call("tmux", *desk.window(), env={"SHOP_KEY": "planted-secret"})
    desk.seen()
    pids = [desk.tmux("display-message", "-p", form) for form in ("#{pid}", "#{pane_pid}")]
    assert not [pid for pid in pids if b"planted" in Path(f"/proc/{pid}/cmdline").read_bytes()]


# tmux: how a command ends


def failed(desk: Desk, *argv: str, status: str = "3") -> str:
    """Start a command that fails; returns what its window shows."""
    desk.call("tmux", "fix-login", KEY, str(desk.cwd), argv, "")
    until(lambda: ["fix-login", "fix-login", status, KEY] in desk.panes())
    (pane,) = desk.marked()
    until(lambda: "Enter closes" in desk.tmux("capture-pane", "-p", "-t", pane))
    return desk.tmux("capture-pane", "-p", "-t", pane).rstrip()


def test_a_failure_stays_readable_and_gives_way_to_the_next_start(base: Desk) -> None:
    text = failed(base, "sh", "-c", "echo 'Cannot resume: no such thing' >&2; exit 3")
    assert text.splitlines() == [
        "Cannot resume: no such thing",
        "",
        "[ended with status 3: Enter closes this window]",
    ]
    done = base.call("tmux", *base.window())
    assert "runs already" not in done.stderr
    base.seen()
    assert [line for line in base.panes() if line[3]] == [["fix-login", "fix-login", "0", KEY]]


def test_a_command_that_is_not_there_is_named(base: Desk) -> None:
    assert "mooring-of-old: not found" in failed(base, "mooring-of-old", status="127")


def test_enter_closes_the_window_of_a_failure(base: Desk) -> None:
    failed(base, "sh", "-c", "exit 3")
    base.tmux("send-keys", "-t", base.marked()[0], "Enter")
    until(lambda: not base.marked())


def test_attach_shows_what_a_failed_command_said(base: Desk) -> None:
    failed(base, "sh", "-c", "exit 3")
    assert base.in_pane("attach", KEY, "fix-login") == 0
    assert base.said() == "its command has ended; the window shows what it said\n"


def test_inside_a_failed_window_elsewhere_gives_way_too(base: Desk) -> None:
    failed(base, "sh", "-c", "exit 3")
    assert base.in_pane("tmux", *base.window()) == 0
    assert [line for line in base.panes() if line[3]] == [["base", "fix-login", "0", KEY]]


def test_a_command_that_ends_well_closes_its_window(base: Desk) -> None:
    base.call("tmux", "fix-login", KEY, str(base.cwd), ["sh", "-c", "sleep 0.2"], "")
    until(lambda: not base.marked())
    assert base.call("found", KEY).stdout == "None\n"


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_a_command_that_suspends_itself_goes_on(base: Desk, shell: str) -> None:
    link(need(shell), base.person.home / "bin/sh")
    failed(base, "/bin/sh", "-c", "kill -STOP $$; kill -TSTP $$; exit 3")


def test_a_window_that_a_person_keeps_gives_way(base: Desk) -> None:
    base.tmux("set-option", "-g", "remain-on-exit", "on")
    base.call("tmux", "fix-login", KEY, str(base.cwd), ["sh", "-c", "sleep 0.2"], "")
    until(lambda: base.tmux("display-message", "-p", "-t", base.marked()[0], "#{pane_dead}") == "1")
    assert "runs already" not in base.call("tmux", *base.window()).stderr
    assert len(base.marked()) == 1


def test_a_killed_command_is_a_failure(base: Desk) -> None:
    failed(base, "sh", "-c", "kill -KILL $$", status="137")


# tmux: refusals


def test_a_program_that_is_not_installed_is_named(desk: Desk) -> None:
    empty = str(desk.person.home / "bin")
    for name in ("tmux", "zellij"):
        done = desk.call(name, *desk.window(), check=False, env={"PATH": empty})
        assert done.returncode == 1
        assert done.stderr.splitlines() == [
            f"Cannot start Claude in {name}: `{name}` is not on PATH",
            f"hint: install {name}, or add: --launch exec",
        ]
    assert desk.call("found", KEY, env={"PATH": empty}).stdout == "None\n"


def test_a_directory_that_is_gone_is_named(desk: Desk) -> None:
    desk.cwd.rmdir()
    done = desk.call("tmux", *desk.window(), check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Cannot enter the workspace: {desk.cwd} is gone\n")


def test_what_tmux_says_is_passed_on(desk: Desk) -> None:
    done = desk.call("tmux", *desk.window("x" * 20_000), check=False)
    assert done.returncode == 1
    assert done.stderr == "Cannot start a tmux session: command too long\n"


def test_a_server_that_cannot_be_asked_is_not_taken_for_none(desk: Desk) -> None:
    blocked = desk.person.home / "blocked"
    blocked.write_text("")
    done = desk.call("found", KEY, check=False, env={"TMUX_TMPDIR": str(blocked)})
    assert done.returncode == 1
    assert done.stderr.startswith("Cannot list tmux's windows: ")


# zellij: the layout

ckdl = pytest.importorskip("ckdl")
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def unexpanded(path: str) -> str:
    """What zellij makes of a command or directory: shellexpand takes `$$` for a dollar."""
    assert "$" not in path.replace("$$", "")
    return path.replace("$$", "$")


@given(cwd=TEXT, tab=TEXT, argv=st.lists(TEXT, min_size=1))
def test_the_layout_means_what_went_in(cwd: str, tab: str, argv: list[str]) -> None:
    window = terminals.Window("fix-login", KEY, cwd, tuple(argv), "")
    (layout,) = ckdl.parse(terminals.zellij.layout(window, tab), version=1).nodes
    assert (layout.name, layout.args, layout.properties) == ("layout", [], {})
    template, made = layout.children
    assert template.name == "default_tab_template"
    assert [node.name for node in template.children] == ["pane", "children", "pane"]
    bars = [node.children[0] for node in template.children if node.name == "pane"]
    assert [(bar.name, bar.properties) for bar in bars] == [
        ("plugin", {"location": "tab-bar"}),
        ("plugin", {"location": "status-bar"}),
    ]
    assert (made.name, made.args) == ("tab", [])
    assert made.properties == {"name": tab, "focus": True}
    (pane,) = made.children
    assert (pane.name, pane.args) == ("pane", [])
    path = {name: unexpanded(pane.properties.pop(name)) for name in ("command", "cwd")}
    assert path == {"command": argv[0], "cwd": cwd}
    assert pane.properties == {"close_on_exit": False, "start_suspended": False}
    assert [(node.name, node.args) for node in pane.children] == (
        [("args", argv[1:])] if argv[1:] else []
    )


@given(TEXT)
def test_a_kdl_string_is_one_line_and_has_no_way_out(text: str) -> None:
    quoted = terminals.zellij.kdl_quote(text)
    assert quoted.isprintable()
    assert ckdl.parse(f"node {quoted}", version=1).nodes[0].args == [text]


def test_text_that_kdl_cannot_say_is_refused() -> None:
    with pytest.raises(MooringError, match="not UTF-8"):
        terminals.zellij.kdl_quote("a\udcff")


# zellij: the command lines

ZELLIJ = """\
#!{python}
'''Stands in for zellij, which no package registry has: writes down how it was called, and answers
as zellij 0.44 would from `zellij-says.json`: sessions, exited ones, and the tabs of each.'''
import json, os, pathlib, sys
home = pathlib.Path(os.environ["HOME"])
args = sys.argv[1:]
with (home / "zellij-calls.jsonl").open("a") as calls:
    calls.write(json.dumps({{"args": args, "cwd": os.getcwd(), "env": dict(os.environ)}}) + "\\n")
says = json.loads((home / "zellij-says.json").read_text())
if args[0] == "list-sessions":
    lines = [f"{{name}} [Created 1h ago] " for name in says["tabs"]]
    lines += [f"{{name}} [Created 1d ago] (EXITED - attach to resurrect)" for name in says["dead"]]
    if not lines:
        sys.exit("No active zellij sessions found.")
    print("\\n".join(lines))
if args[-1] == "query-tab-names":
    print("\\n".join(says["tabs"][args[1]]))
if set(says["fails"]) & set(args):
    print("it fails", file=sys.stderr)
    sys.exit(2)
"""
TAB = "fix-login-04d60e"


@dataclass(frozen=True)
class Zellij(Desk):
    """A desk with the script in zellij's place."""

    def says(self, *exited: str, fails: Sequence[str] = (), **tabs: Sequence[str]) -> None:
        """The sessions that live, by name with their tabs (`_` for `-`), and those that don't."""
        named = {session.replace("_", "-"): list(names) for session, names in tabs.items()}
        says = {"tabs": named, "dead": exited, "fails": list(fails)}
        (self.person.home / "zellij-says.json").write_text(json.dumps(says))

    def calls(self) -> list[Any]:
        """What changed something: the calls that are no questions."""
        path = self.person.home / "zellij-calls.jsonl"
        calls = [json.loads(line) for line in path.read_text().splitlines()]
        return [
            call for call in calls if not {"list-sessions", "query-tab-names"} & set(call["args"])
        ]

    def args(self) -> list[list[str]]:
        return [call["args"] for call in self.calls()]

    @property
    def new_tab(self) -> list[str]:
        made = ["--layout", str(self.layout), "--name", TAB, "--cwd", str(self.cwd)]
        return ["action", "new-tab", *made]

    def on_terminal(self, *words: Any) -> None:
        with Terminal(self.person, self.driver(*words)) as terminal:
            self.ended(terminal)

    def ended(self, terminal: Terminal) -> None:
        state = Path(f"/proc/{terminal.pid}/stat")
        until(lambda: state.read_text().rpartition(")")[2].split()[0] == "Z")


@pytest.fixture
def zellij(person: Person) -> Iterator[Zellij]:
    """A desk where `zellij` is the recording script, that knows no session."""
    cwd = person.home / "src/a $(touch pwned) b"
    cwd.mkdir(parents=True)
    program = person.home / "bin/zellij"
    program.write_text(ZELLIJ.format(python=sys.executable))
    program.chmod(0o755)
    with tempfile.TemporaryDirectory(prefix="mooring-") as sockets:
        own = replace(person, env=person.env | {"TMUX_TMPDIR": sockets})
        desk = Zellij(own, cwd)
        desk.says()
        yield desk


INSIDE = {"ZELLIJ": "0", "ZELLIJ_SESSION_NAME": "main"}


def test_inside_zellij_it_is_a_tab(zellij: Zellij) -> None:
    zellij.says(main=["Tab #1"])
    zellij.call("zellij", *zellij.window("a\nb"), env=INSIDE)
    assert zellij.args() == [zellij.new_tab]
    assert zellij.calls()[0]["cwd"] == str(zellij.cwd)
    assert zellij.layout.stat().st_mode & 0o777 == 0o600
    assert zellij.layout.parent.stat().st_mode & 0o777 == 0o700
    (tab,) = ckdl.parse(zellij.layout.read_text(), version=1).nodes[0].children[1:]
    (pane,) = tab.children
    assert unexpanded(pane.properties["cwd"]) == str(zellij.cwd)
    assert pane.children[0].args[-1] == "a\nb"


def test_outside_zellij_it_is_a_session(zellij: Zellij) -> None:
    zellij.on_terminal("zellij", *zellij.window())
    layout = str(zellij.layout)
    assert zellij.args() == [["--session", TAB, "--new-session-with-layout", layout]]
    assert zellij.calls()[0]["cwd"] == str(zellij.cwd)


def test_an_exited_session_gives_its_name_back(zellij: Zellij) -> None:
    zellij.says(TAB, "other")
    zellij.on_terminal("zellij", *zellij.window())
    assert [args[:2] for args in zellij.args()] == [["delete-session", TAB], ["--session", TAB]]


def test_outside_without_a_terminal_zellij_cannot_start(zellij: Zellij) -> None:
    done = zellij.call("zellij", *zellij.window(), check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Cannot start zellij: it opens a session only on a terminal",
        "hint: add: --launch tmux",
    ]


def test_a_long_name_fits_into_a_socket_path(zellij: Zellij) -> None:
    zellij.on_terminal("zellij", *zellij.window(name=f"robin@{'x' * 64}"))
    assert zellij.args()[0][1] == f"robin@{'x' * 11}-04d60e"


def test_a_second_start_goes_to_the_tab(zellij: Zellij) -> None:
    zellij.says(main=["Tab #1", TAB])
    done = zellij.call("zellij", *zellij.window(), env=INSIDE)
    assert done.stderr == "fix-login runs already, in zellij session main\n"
    assert zellij.args() == [["--session", "main", "action", "go-to-tab-name", TAB]]


def test_a_second_start_goes_to_another_session(zellij: Zellij) -> None:
    zellij.says(main=["Tab #1"], other=[TAB])
    zellij.call("zellij", *zellij.window(), env=INSIDE)
    assert zellij.args() == [
        ["--session", "other", "action", "go-to-tab-name", TAB],
        ["action", "switch-session", "other"],
    ]


def test_a_zellij_that_switches_no_sessions_is_left_by_hand(zellij: Zellij) -> None:
    zellij.says(main=["Tab #1"], other=[TAB], fails=["switch-session"])
    done = zellij.call("zellij", *zellij.window(), check=False, env=INSIDE)
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [
        "Cannot go from this zellij session to other: detach from it first",
        "hint: zellij attach other",
    ]


def test_a_second_start_outside_attaches(zellij: Zellij) -> None:
    zellij.says(other=["Tab #1", TAB])
    done = zellij.call("zellij", *zellij.window())
    assert done.stderr.splitlines()[1:] == ["to see fix-login: zellij attach other"]
    zellij.on_terminal("zellij", *zellij.window())
    assert zellij.args() == [
        ["--session", "other", "action", "go-to-tab-name", TAB],
        ["attach", "other"],
    ]


def test_a_session_that_lost_its_tab_gets_it_again(zellij: Zellij) -> None:
    zellij.says(**{TAB: ["Tab #2"]})
    zellij.on_terminal("zellij", *zellij.window())
    assert zellij.args() == [
        ["--session", TAB, *zellij.new_tab],
        ["--session", TAB, "action", "go-to-tab-name", TAB],
        ["attach", TAB],
    ]


def test_attach_finds_a_zellij_tab(zellij: Zellij) -> None:
    zellij.says(other=[TAB])
    zellij.on_terminal("attach", KEY, "fix-login")
    assert zellij.args()[-1] == ["attach", "other"]


def test_what_zellij_says_is_passed_on(zellij: Zellij) -> None:
    zellij.says(main=["Tab #1"], fails=["new-tab"])
    done = zellij.call("zellij", *zellij.window(), check=False, env=INSIDE)
    assert (done.returncode, done.stderr) == (1, "Cannot open a zellij tab: it fails\n")


def test_a_zellij_that_cannot_be_asked_is_not_taken_for_none(zellij: Zellij) -> None:
    zellij.says(main=["Tab #1"], fails=["query-tab-names"])
    done = zellij.call("found", KEY, check=False)
    assert done.returncode == 1
    assert done.stderr == "Cannot list the tabs of zellij session main: it fails\n"


def test_the_environment_is_in_no_zellij_argv_or_layout(zellij: Zellij) -> None:
    zellij.call(
        "zellij", *zellij.window(), env=INSIDE | {"SHOP_KEY": "planted-secret", "WORK_TOPIC": "x"}
    )
    (call,) = zellij.calls()
    assert "planted" not in f"{call['args']}{zellij.layout.read_text()}"
    assert "WORK_TOPIC" not in call["env"]
