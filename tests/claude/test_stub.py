"""The stub, tried with the real Claude CLI: what later tests rely on when they say "resumed"."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.claude.stub import MessagesStub
from tests.support import Person


def ask(person: Person, *args: str, cwd: Path) -> dict[str, Any]:
    done = person.run("claude", *args, "--output-format", "json", cwd=cwd)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def post(stub: MessagesStub, path: str, body: str) -> tuple[int, dict[str, Any]]:
    connection = HTTPConnection(urlsplit(stub.url).netloc, timeout=10)
    connection.request("POST", path, body)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


def test_a_resumed_conversation_sends_its_history(
    claude_person: Person, stub: MessagesStub, repo: Path
) -> None:
    first = ask(claude_person, "-p", "marker-one", cwd=repo)
    assert first["result"] == "stub reply 1"
    assert first["usage"]["output_tokens"] == 3
    assert "marker-one" in stub.texts(stub.last_conversation())

    second = ask(claude_person, "-p", "marker-two", "--resume", first["session_id"], cwd=repo)
    assert second["session_id"] == first["session_id"]
    sent = stub.texts(stub.last_conversation())
    assert [text for text in sent if text in ("marker-one", "stub reply 1", "marker-two")] == [
        "marker-one",
        "stub reply 1",
        "marker-two",
    ]


def test_a_new_conversation_sends_no_history(
    claude_person: Person, stub: MessagesStub, repo: Path
) -> None:
    ask(claude_person, "-p", "marker-one", cwd=repo)
    ask(claude_person, "-p", "marker-two", cwd=repo)
    assert "marker-one" not in stub.texts(stub.last_conversation())


def test_claude_keeps_the_conversation_in_the_persons_home(
    claude_person: Person, repo: Path
) -> None:
    answer = ask(claude_person, "-p", "marker-one", cwd=repo)
    transcripts = list((claude_person.home / ".claude/projects").glob("*/*.jsonl"))
    assert [transcript.stem for transcript in transcripts] == [answer["session_id"]]
    assert claude_person.git("status", "--porcelain", cwd=repo).stdout == ""


def test_side_requests_are_no_conversation(stub: MessagesStub) -> None:
    tool_result = {"type": "tool_result", "content": [{"type": "text", "text": "three"}]}
    blocks = [{"type": "text", "text": "two"}, tool_result]
    messages = [{"role": "user", "content": "one"}, {"role": "user", "content": blocks}]
    post(stub, "/v1/messages", json.dumps({"messages": messages, "tools": [{"name": "Read"}]}))
    post(stub, "/v1/messages", json.dumps({"messages": [{"role": "user", "content": "title"}]}))
    assert len(stub.requests) == 2
    assert stub.texts(stub.last_conversation()) == ["one", "two", "three"]


def test_requests_without_a_stream(stub: MessagesStub) -> None:
    body = json.dumps({"model": "some-model", "messages": []})
    status, answer = post(stub, "/v1/messages?beta=true", body)
    assert (status, answer["content"][0]["text"]) == (200, "stub reply 1")
    status, answer = post(stub, "/v1/messages/count_tokens?beta=true", body)
    assert (status, list(answer)) == (200, ["input_tokens"])
    assert post(stub, "/v1/messages", "{")[0] == 400
    assert post(stub, "/v1/other", body)[0] == 404
    assert len(stub.requests) == 1
