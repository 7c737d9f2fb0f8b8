"""The cache: a bare clone of a URL's repo, shared by its workspaces. A path is its own cache."""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra.api.command import PyinfraCommand

from ..handle import Workspace
from .shell import run, step

CLONE_SECONDS = 7200

_FETCH = r"""
fetch() { # GIT_DIR: the remote's branches become remote-tracking refs, never local branches
  quiet_git --git-dir="$1" fetch --quiet --prune origin \
    '+refs/heads/*:refs/remotes/origin/*' 2>&1 || return 1
  _head=$(quiet_git --git-dir="$1" ls-remote --symref origin HEAD 2>/dev/null |
    sed -n 's,^ref: refs/heads/\(.*\)	HEAD$,\1,p')
  if [ -n "$_head" ]; then
    quiet_git --git-dir="$1" symbolic-ref refs/remotes/origin/HEAD "refs/remotes/origin/$_head"
  fi
}
"""

_CLONE = r"""
lock_repo
cache=$root/cache/$identity.git
if [ -f "$cache/HEAD" ]; then exit 0; fi
mkdir -p -- "${cache%/*}" || die "Cannot make the cache of $source"
rm -rf -- "${cache%/*}"/.stage-"${cache##*/}".* # of clones that died: the lock is ours
stage=${cache%/*}/.stage-${cache##*/}.$$
why=$(quiet_git init --quiet --bare -- "$stage" 2>&1) || die "Cannot make the cache: $why"
quiet_git --git-dir="$stage" remote add origin "$source" || die "Cannot make the cache"
why=$(fetch "$stage") || die "Cannot clone $source: $why"
mv -- "$stage" "$cache"
stage=
"""

_UPDATE = r"""
lock_repo
if [ -n "$own" ]; then # a person's clone: as `git fetch` there would do it
  why=$(quiet_git --git-dir="$common" fetch --quiet origin 2>&1) || die "Cannot fetch: $why"
  exit 0
fi
if [ -z "$always" ] && quiet_git --git-dir="$common" rev-parse --verify --quiet \
  "refs/remotes/origin/$base^{commit}" >/dev/null; then exit 0; fi
why=$(fetch "$common") || die "Cannot fetch $source: $why"
"""


@step
def cache(workspace: Workspace) -> Iterator[PyinfraCommand]:
    """Have the wanted commit on the target: clone if there is no cache, else fetch if missing."""
    source = {"identity": workspace.source.identity or "", "source": workspace.request.repo}
    repo = workspace.observed.repo
    if workspace.pending and not repo.common:
        if workspace.host.state.is_executing:
            workspace.report(f"cloning {workspace.request.repo}")
        yield run(workspace, source, _FETCH + _CLONE, lambda _: _fetched(workspace), CLONE_SECONDS)
    elif workspace.pending or (workspace.request.fetch and not workspace.fetched):
        always = "yes" if workspace.request.fetch else ""
        own = "" if workspace.source.is_url else "yes"
        names = {**source, "base": repo.base, "always": always, "own": own}
        yield run(workspace, names, _FETCH + _UPDATE, lambda _: _fetched(workspace), CLONE_SECONDS)


def _fetched(workspace: Workspace) -> None:
    workspace.fetched = True
    workspace.forget()
