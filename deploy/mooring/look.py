"""Looking at a target: the probe, asked again only if the spec wants something else looked at."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import msgspec
from pyinfra.api.host import Host

from . import config, container, generate, settings
from .claude.transcripts import slug
from .errors import MooringError, command
from .facts import workspace as facts
from .facts.workspace import Observed, Question
from .files import controller, formats
from .model import Needs, Request
from .plan import default_branch, wanted_base, wanted_branch, wanted_settings
from .repo import Source
from .script import Stdin
from .spec import Layers, Spec, merge

PROBE_SECONDS = 120
ATTEMPTS = 3


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What to look at and how: `ending` also scans for what a removal would lose.

    `seen` are commits and `sessions` ids that the registry knows of; `tell` hears of a spec that
    can't be read but isn't needed for an end.
    """

    host: Host
    request: Request
    source: Source
    layers: Layers
    seen: tuple[str, ...]
    sessions: tuple[str, ...]
    ending: bool
    tell: Callable[[tuple[str, ...]], None]

    def __call__(self) -> tuple[Observed, Spec]:
        """What the probe saw, and the spec it led to.

        Raises MooringError if the target doesn't answer, or the spec can't be read.
        """
        question = self._question()
        settings: dict[str, str] = {}
        for _ in range(ATTEMPTS):
            observed = self._ask(question, settings)
            settings = observed.repo.settings
            spec = self._spec(observed)
            refined = self._refine(question, observed, spec)
            if refined == question:
                return self._with_others(observed, spec), spec
            same = {"include": question.include, "watched": question.watched}
            if msgspec.structs.replace(refined, **same) == question:
                seen, merged = self._with_lists(refined, self._with_files(refined, observed), spec)
                return self._with_others(seen, merged), merged
            question = msgspec.structs.replace(refined, located=facts.located(observed))
        return self._with_others(observed, spec), spec

    def _with_others(self, observed: Observed, spec: Spec) -> Observed:
        """The same with the sources that are on the controller."""
        found = observed.files
        texts = {f"user:{src}": sha256(text).hexdigest() for src, text in spec.texts.items()}
        found = msgspec.structs.replace(found, elsewhere={**found.elsewhere, **texts})
        if spec.patterns and not observed.repo.checkout and not self.ending:
            identity, place = observed.repo.identity, controller.here()
            seen = place and controller.look(identity, spec.patterns, spec.watched, place)
            found = controller.joined(found, seen) if seen else found
        return self._with_image(msgspec.structs.replace(observed, files=found), spec)

    def _with_image(self, observed: Observed, spec: Spec) -> Observed:
        """The same with the image that the container is to be made from."""
        image = "" if self.ending else container.image(spec, observed)
        if not image or image == observed.container.asked:
            return observed
        found = facts.parse_container(
            self._answer(facts.container_text(image, observed)),
            observed.record.container if observed.record else "",
        )
        return msgspec.structs.replace(observed, container=found)

    def approved(self, observed: Observed) -> Spec:
        """The spec where a person has approved what of the repo's could run."""
        layers = msgspec.structs.replace(self.layers, approved=True)
        return msgspec.structs.replace(self, layers=layers)._spec(observed)

    def _with_lists(
        self, question: Question, observed: Observed, spec: Spec
    ) -> tuple[Observed, Spec]:
        """The same with the entries of the files that `files.from` names, now that they are there.

        They may want other files looked at; no file names another.
        """
        if not spec.lists:
            return observed, spec
        spec = self._spec(observed)
        refined = self._refine(question, observed, spec)
        return (self._with_files(refined, observed) if refined != question else observed), spec

    def _with_files(self, question: Question, observed: Observed) -> Observed:
        """The same with the files that the patterns select: nothing else is asked again."""
        found = facts.parse_files(self._answer(facts.files_text(question, observed)))
        return msgspec.structs.replace(observed, files=found)

    def _question(self) -> Question:
        request = self.request
        return Question(
            identity=self.source.identity or "",
            source=request.repo,
            root=request.root,
            agent=request.agent,
            topic=request.topic,
            base=request.base,
            branch=request.branch,
            fallback_branch=default_branch(request),
            seen=" ".join(self.seen),
            resumes=request.needs.resumes,
            sessions=self.sessions,
            new_worktree=request.new_worktree,
        )

    def _ask(self, question: Question, settings: dict[str, str]) -> Observed:
        observed = facts.parse(self._answer(facts.text(question)), question)
        if question.located:  # the repo's config isn't read twice
            repo = msgspec.structs.replace(observed.repo, settings=settings)
            observed = msgspec.structs.replace(observed, repo=repo)
        return observed

    def _answer(self, text: Stdin) -> list[str]:
        lines = self.host.get_fact(facts.Probe, _stdin=text, _timeout=PROBE_SECONDS)
        if lines is None:
            raise MooringError(f"Cannot look at {self.host.name}: the target did not answer")
        return list(lines)

    def _spec(self, observed: Observed) -> Spec:
        repo = observed.repo
        files = repo.checkout_files if repo.checkout else repo.blobs
        try:
            _check_files(observed)
            file = config.parse(files.get("mooring.yaml", b""))
            layers = msgspec.structs.replace(
                self.layers, repo=file, platform=observed.target.platform
            )
            layers = msgspec.structs.replace(layers, place=self.request.place)
            layers = settings.over_layers(layers, wanted_settings(self.request, observed))
            if not self.ending:
                layers = formats.with_lists(layers, observed.files.texts)
            return merge(layers, files.get(".worktreeinclude", b""))
        except MooringError as error:
            if not self.ending:
                raise
            self.tell((f"{error.message}; going on without it",))
            return merge(self.layers)

    def _refine(self, question: Question, observed: Observed, spec: Spec) -> Question:
        repo = observed.repo
        if not repo.common:
            return question
        changes: dict[str, object] = {}
        if request_continues(self.request, observed):
            changes["project"] = slug(observed.worktree.path)
        if self.ending:
            changes |= {"scan": True, "excludes": excluded(spec)}
            return msgspec.structs.replace(question, **changes)
        base = wanted_base(self.request, spec, observed)
        branch = wanted_branch(self.request, spec, observed, base)
        if base != repo.base:
            changes["base"] = base
        if branch != repo.branch:
            changes["branch"] = branch
        seen = observed.files
        if (spec.patterns, spec.watched) != (seen.include, seen.watched):
            changes |= {"include": spec.patterns, "watched": spec.watched}
        return msgspec.structs.replace(question, **changes)


def _check_files(observed: Observed) -> None:
    """Raise MooringError for a spec file that is there, but that nobody can read as one."""
    repo = observed.repo
    for name in sorted(repo.no_files):
        at = f"{repo.checkout}/{name}" if repo.checkout else f"{repo.base}:{name}"
        looks = ("ls", "-ld", at) if repo.checkout else ("git", "-C", repo.common, "show", at)
        raise MooringError(
            f"Cannot read {name}: it is no plain file that can be read", command(*looks)
        )


def request_continues(request: Request, observed: Observed) -> bool:
    """Whether it matters which conversations the worktree's own project directory holds."""
    return request.needs is Needs.CONVERSATION and not observed.session.transcripts


def excluded(spec: Spec) -> tuple[str, ...]:
    """Exclude pathspecs (gitglossary(7)) of what a removal need not care for.

    A disposable pattern is a name at any depth, or with a slash in it a path from the top.
    """
    places = [*generate.HIDDEN]
    for pattern in spec.disposable:
        name = pattern.strip("/")
        place = name if "/" in name else f"**/{name}"
        places += [place, f"{place}/**"]
    return tuple(f":(exclude,glob){place}" for place in places)
