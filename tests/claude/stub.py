"""A stub of the Anthropic Messages API, on loopback, for tests that run the real Claude CLI.

What lives here: the HTTP answers and the record of what was asked. Starting Claude lives in
`tests/support.py`. By hand: `python -m tests.claude.stub` prints the URL to set as
ANTHROPIC_BASE_URL. The wire format is that of https://docs.claude.com/en/api/messages-streaming.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

Json = dict[str, Any]


class MessagesStub:
    """Answers "stub reply N" to the Nth message asked of it, and remembers every request body."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: list[Json] = []
        self._pending = 0
        self._free = threading.Event()
        self._free.set()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._free.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def requests(self) -> list[Json]:
        """A copy of the bodies sent to /v1/messages so far, oldest first."""
        with self._lock:
            return list(self._requests)

    @property
    def pending(self) -> int:
        """How many of the requests have not been answered yet."""
        with self._lock:
            return self._pending

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Within it requests are recorded, but not answered before its end."""
        self._free.clear()
        try:
            yield
        finally:
            self._free.set()

    @contextmanager
    def answering(self, request: Json) -> Iterator[int]:
        """Keep a request body, and wait while answers are held; gives its number, from 1."""
        with self._lock:
            self._requests.append(request)
            self._pending += 1
            number = len(self._requests)
        try:
            self._free.wait()
            yield number
        finally:
            with self._lock:
                self._pending -= 1

    def answer(self, request: Json) -> str:
        """The text that one of `requests` is answered with."""
        return _answer(next(n for n, asked in enumerate(self.requests, 1) if asked is request))

    def texts(self, request: Json) -> list[str]:
        """Every piece of text in the messages of a request, in order; not the system prompt."""
        return [text for message in request["messages"] for text in _texts(message["content"])]

    def conversations(self) -> list[Json]:
        """The requests that carry a conversation, oldest first.

        Claude also sends side requests: they offer no tools (2.1.329 asks so for a session's title,
        and quotes the prompt in it). The request of `/compact` does, and is one of these.
        """
        return [request for request in self.requests if request.get("tools")]

    def last_conversation(self) -> Json:
        """The newest of the conversations; raises AssertionError if there is none."""
        conversations = self.conversations()
        assert conversations, f"no conversation reached the stub ({len(self.requests)} requests)"
        return conversations[-1]


class _Server(ThreadingHTTPServer):
    request_queue_size = 64

    def __init__(self, stub: MessagesStub) -> None:
        self.stub = stub
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing for a client that is gone: tests kill Claude in the middle of an answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if path not in ("/v1/messages", "/v1/messages/count_tokens"):
            return self._refuse(404, "not_found_error", f"no such path: {path}")
        try:
            request = json.loads(body)
        except ValueError as error:
            return self._refuse(400, "invalid_request_error", str(error))
        if path.endswith("/count_tokens"):
            return self._send_json(200, {"input_tokens": _tokens(request)})
        return self._reply(request)

    def do_GET(self) -> None:
        self._refuse(404, "not_found_error", f"no such path: {self.path}")

    do_HEAD = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 (http.server's names)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
        """Nothing: stdout and stderr are the tests'."""

    def _reply(self, request: Json) -> None:
        with self.server.stub.answering(request) as number:
            self._send_message(request, _message(request, number))

    def _send_message(self, request: Json, message: Json) -> None:
        if not request.get("stream"):
            return self._send_json(200, message)
        events = "".join(
            f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in _events(message)
        )
        return self._send(200, "text/event-stream", events)

    def _refuse(self, status: int, kind: str, reason: str) -> None:
        self._send_json(status, {"type": "error", "error": {"type": kind, "message": reason}})

    def _send_json(self, status: int, answer: Json) -> None:
        self._send(status, "application/json", json.dumps(answer))

    def _send(self, status: int, content_type: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _answer(number: int) -> str:
    return f"stub reply {number}"


def _message(request: Json, number: int) -> Json:
    text = _answer(number)
    return {
        "id": f"msg_stub_{number}",
        "type": "message",
        "role": "assistant",
        "model": request.get("model", "stub"),
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": _tokens(request),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": len(text.split()),
        },
    }


def _events(message: Json) -> Iterator[Json]:
    """The stream that adds up to `message`, whose content is one block of text."""
    usage = message["usage"]
    start = message | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 0}}
    yield {"type": "message_start", "message": start}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    delta = {"type": "text_delta", "text": message["content"][0]["text"]}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": usage}
    yield {"type": "message_stop"}


def _texts(content: Any) -> list[str]:
    """The text of a message's content: a string, or blocks, of which tool results hold content."""
    if isinstance(content, str):
        return [content]
    found: list[str] = []
    for block in content:
        if block["type"] == "text":
            found.append(block["text"])
        elif block["type"] == "tool_result":
            found += _texts(block.get("content", []))
    return found


def _tokens(request: Json) -> int:
    """About four characters to a token, as a rule of thumb."""
    return max(1, len(json.dumps(request)) // 4)


def main() -> None:
    """Print the URL and serve until interrupted."""
    with MessagesStub() as stub, suppress(KeyboardInterrupt):
        print(stub.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
