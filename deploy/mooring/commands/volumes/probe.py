"""`mooring store probe`: whether a volume keeps what Claude writes to it, found out by doing it.

`docker volume create` validates nothing, and file systems that are mounted over a network differ in
what they promise: two containers of this engine try it. Another host's cache can still be late.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from typing import Any

import docker

from ...errors import MooringError, command
from ..doctor import Finding, plain
from . import engine
from .engine import Inside, Report

LINES = 600
FILLED = "." * 64
LITTLE = 1 << 30
"""Bytes that should be free: below it is a warning."""
NONE = 16 << 20

WRITE = r"""
mkdir -p "$1" && cd "$1" && printf '%s\n' "$2" >written && printf 'old\n' >renamed &&
  printf '%s\n' "$2" >renamed.new && mv -f renamed.new renamed
"""
READ = 'cd "$1" && cat "$2"'
APPEND = r"""
cd "$1" || exit
: >"ready.$2"
n=0
until [ -e "ready.$3" ]; do
  n=$((n + 1))
  if [ "$n" -gt 10 ]; then exit 8; fi
  sleep 1
done
i=0
while [ "$i" -lt "$4" ]; do i=$((i + 1)); echo "$2 $i $5" >>log; done
: >"done.$2"
"""
WAIT = r"""
n=0
until [ -e "$1" ]; do
  n=$((n + 1))
  if [ "$n" -gt 30 ]; then exit 8; fi
  sleep 1
done
"""
HOLD = r"""
cd "$1" && command -v flock >/dev/null || exit 9
exec flock -x lock sh -c ': >held
  n=0; until [ -e release ] || [ "$n" -gt 60 ]; do n=$((n + 1)); sleep 1; done'
"""
TRY = 'cd "$1" && command -v flock >/dev/null || exit 9; flock -n lock true'
OWNER = r"""
cd "$1" && : >owned && chmod 600 owned || exit
ls -dn .. | { read -r m n u g r; echo "$m $u $g"; }
ls -dn owned | { read -r m n u g r; echo "$m $u $g"; }
if chown 12345:12345 owned 2>/dev/null; then ls -dn owned | { read -r m n u g r; echo "$u"; }
else echo no; fi
"""
FREE = "df -Pk ."


def probe(name: str, report: Report, *, with_image: str = "") -> list[dict[str, str]]:
    """Try a volume out in throw-away containers; returns findings as `mooring doctor` has them.

    Raises MooringError if there is no such volume, no image to try with, or the engine fails.
    """
    client = engine.connect()
    engine.volume(client, name)
    words = ("mooring", "store", "probe", name)
    with engine.told(f"probe the volume {name!r}"):
        image = engine.image(client, name, with_image, words)
        report(f"probing {name} in throw-away containers")
        engine.clean(client, name, report)
        return [plain(item) for item in _probe(client, name, image)]


def failed(findings: list[dict[str, Any]]) -> bool:
    """Whether one of them is a failure."""
    return any(item["state"] == "fail" for item in findings)


def _probe(client: docker.DockerClient, name: str, image: str) -> list[Finding]:
    stage, word = engine.new_stage(), engine.new_stage()
    try:
        with (
            engine.inside(client, name, image, stage) as one,
            engine.inside(client, name, image, stage) as two,
        ):
            found = _tried(one, two, word, (name, image))
        with engine.inside(client, name, image, stage) as three:
            lasts = _lasts(three, word)
            engine.remove_stage(three, stage)
    except MooringError as error:
        return [Finding("mount", "fail", error.message, (error.hints or ("",))[0])]
    mount = Finding("mount", "ok", "two containers can mount it at once")
    return [mount, *found, lasts] if found[0].state == "ok" else [mount, *found]


def _tried(one: Inside, two: Inside, word: str, names: tuple[str, str]) -> list[Finding]:
    """What two containers find; nothing of it is left if that is interrupted."""
    try:
        found = _written(one, two, word)
        if found[0].state == "ok":
            found += [_append(one, two), _lock(one, two), *_owner(one, *names), _free(one)]
    except BaseException:
        engine.remove_stage(one, one.stage)
        raise
    return found


def _written(one: Inside, two: Inside, word: str) -> list[Finding]:
    done = one.run(WRITE, one.stage, word)
    if done.status:
        return [Finding("write", "fail", f"root can't write to it: {_said(done.err)}")]
    found = []
    for check, file, what in (
        ("write", "written", "what one container writes, another reads"),
        ("rename", "renamed", "a file that is renamed over another replaces it"),
    ):
        there = two.run(READ, two.stage, file)
        good = not there.status and there.out == f"{word}\n"
        text = what if good else f"another container reads something else: {_said(there.err)}"
        found.append(Finding(check, "ok" if good else "fail", text))
    return found


def _said(text: str) -> str:
    return " ".join(text.split())[:300] or "nothing is said"


def _append(one: Inside, two: Inside) -> Finding:
    """600 lines from each of two containers at once, and what each then reads."""
    one.begin(APPEND, one.stage, "one", "two", str(LINES), FILLED)
    done = two.run(APPEND, two.stage, "two", "one", str(LINES), FILLED)
    waited = two.run(WAIT, f"{two.stage}/done.one") if not done.status else done
    if waited.status:
        return Finding("append", "fail", "one container does not see what another makes in 10 s")
    lost = [missing(within.run(READ, within.stage, "log").out) for within in (one, two)]
    if any(lost):
        text = f"of {2 * LINES} lines that two containers append at once, {max(lost)} are lost"
        return Finding("append", "fail", text, "use it in one container at a time")
    return Finding("append", "ok", f"{LINES} lines each of two containers at once are all there")


def missing(log: str) -> int:
    """How many of the lines that two containers wrote are not there whole, and once."""
    seen = Counter(re.findall(rf"^((?:one|two) [0-9]+) {re.escape(FILLED)}$", log, re.MULTILINE))
    wanted = (f"{who} {number}" for who in ("one", "two") for number in range(1, LINES + 1))
    return sum(seen[line] != 1 for line in wanted)


def _lock(one: Inside, two: Inside) -> Finding:
    one.begin(HOLD, one.stage)
    held = two.run(WAIT.replace("-gt 30", "-gt 5"), f"{two.stage}/held")
    tried = two.run(TRY, two.stage)
    if tried.status == 9:
        return Finding("lock", "warn", "not tried: the image has no flock", "--image ANOTHER")
    if held.status:
        return Finding("lock", "fail", "a lock can't be taken", _APART)
    two.run('cd "$1" && : >release', two.stage)
    if tried.status == 0:
        return Finding("lock", "fail", "two containers take the same lock at once", _APART)
    return _released(two)


_APART = "use it in one container at a time"


def _released(two: Inside) -> Finding:
    for _ in range(30):
        if not two.run(TRY, two.stage).status:
            return Finding("lock", "ok", "a lock of one container keeps another out")
        time.sleep(0.2)
    return Finding("lock", "fail", "a lock that was released still keeps others out", _APART)


def _owner(one: Inside, name: str, image: str) -> list[Finding]:
    lines = one.run(OWNER, one.stage).out.splitlines()
    if len(lines) != 3:
        return [Finding("owner", "warn", "not found out: the image has no ls or chmod")]
    mode, uid, gid = lines[0].split()
    own, keeps = f"{os.getuid()}:{os.getgid()}", lines[1].startswith("-rw-------")
    take = ("docker", "run", "--rm", "--user", "0", "--entrypoint", "chown")
    hint = command(*take, "--volume", f"{name}:/store", image, own, "/store")
    text = f"it belongs to uid {uid}, gid {gid} ({mode[:10]})"
    mine = uid == str(os.getuid())
    found = [Finding("owner", "ok", text)]
    if not mine and mode[8:9] != "w":
        more = f"{text}: a container whose user is {own} can't write to it"
        found = [Finding("owner", "warn", more, hint)]
    if not keeps:
        found.append(Finding("mode", "warn", "it does not keep modes: others may read transcripts"))
    elif lines[2] != "12345":
        text = "it does not keep owners: run every container as the uid it gives to files"
        found.append(Finding("mode", "warn", text))
    else:
        found.append(Finding("mode", "ok", "it keeps modes and owners"))
    return found


def _free(one: Inside) -> Finding:
    fields = (one.run(FREE).out.splitlines() or [""])[-1].split()
    if len(fields) < 4 or not fields[3].isdecimal():
        return Finding("space", "warn", "not found out: the image has no df")
    free = int(fields[3]) * 1024
    text = f"{free >> 20} MiB are free"
    return Finding("space", "fail" if free < NONE else "warn" if free < LITTLE else "ok", text)


def _lasts(three: Inside, word: str) -> Finding:
    if three.run(READ, three.stage, "written").out == f"{word}\n":
        return Finding("last", "ok", "what was written stays when no container has it")
    text = "what was written is gone once no container has it: not a place for a store"
    return Finding("last", "fail", text)
