"""One YAML file of the format, as types: the repo's, the user's, or a session's overrides."""

from __future__ import annotations

from typing import Literal

import msgspec


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a rule holds: everything named has to be so."""

    platform: str = ""
    """As ``uname -s`` of the target says it, in lower case: `linux`, `darwin`."""
    agent: str = ""
    ci: bool | None = None
    """Whether `$CI` is set where the command runs."""
    container: bool | None = None
    """Whether the workspace has a container."""


class Copy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One untracked file or directory, by name."""

    src: str
    dest: str = ""
    mode: str = ""
    when: When = When()
    optional: bool = False
    root: Literal["", "main", "controller", "user", "target"] = ""
    """Where `src` is: in the main checkout on the target, in the checkout where the command runs,
    in the user's config directory, or an absolute path on the target. Without one: `main`, or of a
    repo given by URL `controller`."""
    tracked: bool = False
    """Whether to bring a file that git tracks, where the main checkout's differs."""
    clone: Literal["", "hardlink"] = ""
    """`hardlink`: the files are those of the main checkout, under another name (cp -l)."""


class Symlink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file or directory that the workspace shares with the main checkout."""

    src: str
    dest: str = ""
    when: When = When()
    optional: bool = False
    root: Literal["main", "target"] = "main"
    """Where `src` is: in the main checkout, or an absolute path on the target."""


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file that is rendered for each workspace."""

    src: str
    dest: str
    mode: str = ""
    when: When = When()
    root: Literal["main", "user"] = "main"
    """Where `src` is: in the repo, or in the user's config directory."""


class FilesSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`copy` and `skip`: gitignore patterns; `copy` and `symlink` also single files by name."""

    copy: list[str | Copy] = []
    template: list[Template] = []
    symlink: list[str | Symlink] = []
    skip: list[str] = []
    required: list[str] = []
    from_: str | list[str] = msgspec.field(name="from", default_factory=list)
    """Files of the repo whose entries count too (see formats.read)."""
    guard: bool | None = None
    """Whether a commit with the value of a rendered secret is refused in the workspace."""

    @property
    def lists(self) -> list[str]:
        """The paths in `from`."""
        return [self.from_] if isinstance(self.from_, str) else self.from_


class ClaudeSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments that every start of Claude gets, and what a container has of it."""

    args: list[str] = []
    share: Literal["", "all", "workspace", "none"] = ""
    """What of the session store a container sees (see claude.mounts); '' is `all`."""
    provide: Literal["", "image", "host"] = ""
    """Whose program it is in a container: the image's own or the host's. '' is the host's, where
    there is one that can be mounted."""


class Build(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An image that is built from the worktree, as ``docker build`` takes it."""

    context: str = "."
    """A directory of the repo."""
    dockerfile: str = "Dockerfile"
    """A file of the repo."""


class Mount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A directory or file of the target in the container."""

    src: str
    """An absolute path on the target."""
    dest: str = ""
    """Where it is in the container; '' for the same path."""
    mode: Literal["ro", "rw"] = "ro"


class Container(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The container of a workspace, from an image or from a build."""

    image: str = ""
    build: Build | None = None
    network: str = ""
    """As ``docker create --network`` takes it; '' for Docker's own bridge."""
    env: list[str] = []
    """Names of variables whose values are passed in whenever something is started there."""
    mounts: list[Mount] = []
    ports: list[str] = []
    """Which of the workspace's ports are published on 127.0.0.1: `PORT`, `PORT_WEB`."""
    user: str | int = ""
    """As ``docker create --user`` takes it; '' for the uid and gid of the target's user."""
    memory: str = ""
    """As ``docker create --memory`` takes it: `2g`."""
    cpus: str | int | float = ""
    """As ``docker create --cpus`` takes it: `1.5`."""
    command: str = ""
    """What keeps it running, as sh(1) reads it; '' for something that only waits."""


class CacheSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a URL's repo is cloned."""

    filter: str = ""
    """As ``git clone --filter`` takes it (git-rev-list(1)); '' for all objects."""


class CheckoutSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of the repo is in the worktree."""

    sparse: list[str] = []
    """Directories, as ``git sparse-checkout set --cone`` takes them; none for everything."""
    submodules: bool = True


class Credential(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command whose output is the password or token for the repo's remote."""

    command: list[str]
    username: str = "x-access-token"


class GitSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who commits in a workspace, and with which credential it fetches and pushes."""

    name: str = ""
    email: str = ""
    signing_key: str = ""
    credential: Credential | None = None


class AgentSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for one agent alone."""

    git: GitSpec = GitSpec()


class Secret(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a secret is to be had; it is fetched when a template is rendered, and kept nowhere."""

    command: list[str] = []
    """What prints it. A program on `$PATH`, or an absolute path."""
    env: str = ""
    """The variable that holds it."""
    file: str = ""
    """The file that holds it; `~/` is the home directory."""
    on: Literal["controller", "target"] = "controller"
    timeout: int = 30
    """In seconds."""


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One command of `setup`, as sh(1) reads it."""

    run: str
    timeout: int = 600
    """In seconds."""


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One YAML file of the format; all of it is optional."""

    version: Literal[1] = 1
    base: str = ""
    branch: str = ""
    env: dict[str, str] = {}
    ports: list[str] = []
    disposable: list[str] = []
    files: FilesSpec = FilesSpec()
    secrets: dict[str, Secret] = {}
    setup: list[str | Command] = []
    claude: ClaudeSpec = ClaudeSpec()
    container: Container | None = None
    cache: CacheSpec = CacheSpec()
    checkout: CheckoutSpec = CheckoutSpec()
    git: GitSpec = GitSpec()
    agents: dict[str, AgentSpec] = {}
