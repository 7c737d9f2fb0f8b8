"""The target itself: who we are there, where Mooring's root is, which programs it has."""

from __future__ import annotations

import msgspec

FRAGMENT = r"""
probe_target() {
  target_id=; [ -f "$root/id" ] && IFS= read -r target_id <"$root/id"
  say target_id "$target_id"
  say root "$root"
  say direnv "$(command -v direnv)"
  say git "$(command -v git)"
  say platform "$(uname -sn)"
}
"""


class Target(msgspec.Struct, frozen=True):
    """`id` is '' before the first claim; a program is its path, or '' where it isn't installed."""

    id: str
    root: str
    direnv: str
    git: str
    platform: str
    """As uname(1) has it, in lower case: `linux`, `darwin`."""
    name: str
    """The host's name, as uname(1) has it."""


def parse(said: dict[str, str]) -> Target:
    """The target among what the probe said."""
    platform, _, name = said["platform"].partition(" ")
    return Target(
        id=said["target_id"],
        root=said["root"],
        direnv=said["direnv"],
        git=said["git"],
        platform=platform.lower(),
        name=name,
    )
