"""What is read out of a probe, and what is shown of a volume."""

from __future__ import annotations

from mooring.commands.volumes import engine, manage, probe


def log(*, without: str = "") -> str:
    lines = [f"{who} {n} {probe.FILLED}" for n in range(1, 601) for who in ("one", "two")]
    return "".join(f"{line}\n" for line in lines if not line.startswith(without or "-"))


def test_lines_that_are_not_there_whole_and_once() -> None:
    assert probe.missing(log()) == 0
    assert probe.missing(log(without="one 600 ")) == 1
    assert probe.missing(log() + f"one 1 {probe.FILLED}\n") == 1
    assert probe.missing(log().replace(f"two 7 {probe.FILLED}\n", "two 7 ..")) == 2
    assert probe.missing("") == 1200


def test_secrets_are_hidden() -> None:
    options = {"o": "addr=files,username=robin,password=abc", "apiKey": "abc", "type": "cifs"}
    shown = {"o": "addr=files,username=robin,password=***", "apiKey": "***", "type": "cifs"}
    assert manage.hidden(options) == shown
    assert manage.hidden({"device": "https://robin:abc@files/x"}) == {
        "device": "https://robin:***@files/x"
    }
    assert engine.scrubbed("mount data: size=1m,secret=abc: invalid") == (
        "mount data: size=1m,secret=*** invalid"
    )
