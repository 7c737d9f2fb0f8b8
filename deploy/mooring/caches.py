"""What is asked of a target's caches, and what came of it, in one run."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from pyinfra.api.host import Host

from . import config, identity
from .document import GitSpec
from .errors import MooringError, command, usage
from .facts import caches as fact
from .facts.caches import Cache
from .facts.workspace import Probe
from .repo import parse_source
from .spec import merge

VERBS = ("fetch", "verify", "repair", "remove", "gc")
SECONDS = 120
BAD = (("damaged",), ("failed",))
"""What a script begins with that found a cache so, or could not fetch it."""


class CacheRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to do with the cache of `repo` (a URL or an identity; '' for every cache)."""

    verb: str
    repo: str = ""
    root: str = ""
    agent: str = "dev"
    """Whose credential to use."""
    force: bool = False


def request(data: dict[str, object]) -> CacheRequest:
    """Check what a front door was given. Raises a usage error for what makes no sense."""
    given = {name: value for name, value in data.items() if value not in (None, "")}
    try:
        asked = msgspec.convert(given, CacheRequest)
    except msgspec.ValidationError as error:
        raise usage(f"Cannot use the caches: {error}", "mooring cache --help") from None
    if asked.verb not in VERBS:
        raise usage(f"Cannot {asked.verb!r} a cache: use one of {', '.join(VERBS)}")
    if asked.verb in ("repair", "remove") and not asked.repo:
        raise usage(f"Cannot {asked.verb} every cache: name one", "mooring cache list")
    return asked


class Caches:
    """The caches of one host, during one run."""

    def __init__(self, request: CacheRequest, host: Host, report: Callable[[str], None]) -> None:
        self.request = request
        self.host = host
        self.report = report
        self.error: MooringError | None = None
        self.said: dict[str, tuple[str, ...]] = {}
        """What came of it, by identity."""
        layers = config.load_user(config.user_directory(), "", request.agent)
        asked = GitSpec(credential=merge(layers).git.credential)
        self.git = identity.rendered(asked, {"agent": request.agent})
        """With which credential to fetch."""

    def __repr__(self) -> str:
        return f"<caches: {self.request.verb}>"

    def heard(self, cache: Cache, lines: tuple[str, ...]) -> None:
        """What a script said of one cache: its result first or alone, and what goes with it."""
        self.said[cache.repo] = lines
        for line in lines:
            self.report(f"{cache.repo}: {line}")

    def bad(self) -> list[str]:
        """The identities of those that were found damaged, or could not be fetched."""
        return [repo for repo, lines in self.said.items() if lines[:1] in BAD]

    def check(self) -> None:
        """Raise MooringError if there is a bad one, once all have been looked at."""
        bad, verb = self.bad(), self.request.verb
        again = "repair" if verb == "verify" else verb
        if bad:
            raise MooringError(
                f"Cannot {verb} {len(bad)} of {len(self.said)} caches",
                *(command("mooring", "cache", again, repo) for repo in bad[:5]),
            )

    def found(self) -> tuple[Cache, ...]:
        """Every cache on the host. Raises MooringError if it doesn't answer."""
        return listed(self.host, self.request.root)

    def chosen(self) -> tuple[Cache, ...]:
        """Those that are meant. Raises MooringError if there is none of that name."""
        every = [cache for cache in self.found() if not cache.broken]
        name = self.request.repo
        if not name:
            return tuple(every)
        is_url = "/" in name and ":" in name
        wanted = parse_source(name).identity if is_url else name
        same = tuple(cache for cache in every if wanted in (cache.repo, cache.url))
        if is_url:  # a broken one doesn't know its own
            same = tuple(msgspec.structs.replace(one, url=one.url or name) for one in same)
        if not same:
            raise MooringError(
                f"Cannot {self.request.verb}: there is no cache of {name}", "mooring cache list"
            )
        return same


def listed(host: Host, root: str) -> tuple[Cache, ...]:
    """Every cache on a host. Raises MooringError if the host doesn't answer."""
    lines = host.get_fact(Probe, _stdin=fact.text(root), _timeout=SECONDS)
    if lines is None:
        raise MooringError(f"Cannot look at {host.name}: the target did not answer")
    return fact.parse(list(lines))
