"""What every script that talks to a remote shares: no prompt hangs, and no token shows."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from pyinfra.api.host import Host

from .. import identity
from ..handle import Workspace

NETWORK = r"""
online() { # REPO URL|REMOTE: lets git use the one transport that it needs, and asks nobody
  _url=$(quiet_git --git-dir="$1" ls-remote --get-url "$2") # as the person's config rewrites it
  case $_url in
    ext::* | fd::*) die "Cannot fetch from $_url: git remote helpers can run any command" ;;
    *::*) GIT_ALLOW_PROTOCOL=${_url%%::*} ;; # only the person's own config can lead there
    http://*) GIT_ALLOW_PROTOCOL=http:https ;; # it may be led to the safer one
    https://* | git://* | ssh://* | file://*) GIT_ALLOW_PROTOCOL=${_url%%://*} ;;
    /* | ./* | ../*) GIT_ALLOW_PROTOCOL=file ;;
    *) GIT_ALLOW_PROTOCOL=ssh ;;
  esac
  unattended "$1"
}
unattended() { # REPO: whatever it talks to, nobody waits for an answer that nobody gives
  wrote=$progress
  if [ -n "$credential" ]; then (umask 077; printf '%s' "$credential" >"$progress.config"); fi
  # A server that sends nothing for two minutes is taken for dead.
  : "${GIT_HTTP_LOW_SPEED_LIMIT:=1}" "${GIT_HTTP_LOW_SPEED_TIME:=120}"
  export GIT_HTTP_LOW_SPEED_LIMIT GIT_HTTP_LOW_SPEED_TIME
  if [ -n "$asks" ]; then GIT_TERMINAL_PROMPT=1; return 0; fi
  unset SSH_ASKPASS
  case $GIT_ALLOW_PROTOCOL:${GIT_SSH_VARIANT:-ssh} in *ssh*:ssh) ;; *) return 0 ;; esac
  if [ -n "${GIT_SSH_COMMAND-}" ]; then :
  elif [ -n "${GIT_SSH-}" ]; then return 0
  else GIT_SSH_COMMAND=$(quiet_git --git-dir="$1" config --get core.sshCommand || echo ssh); fi
  GIT_SSH_COMMAND="$GIT_SSH_COMMAND -o BatchMode=yes -o ConnectTimeout=30 \
-o ServerAliveInterval=30 -o ServerAliveCountMax=4"
  export GIT_SSH_COMMAND
}

net_git() { # what git says goes to the progress file; what it answers is printed
  # Below fetch.unpackLimit git unpacks, and shows no progress.
  quiet_git ${credential:+-c include.path="$progress.config"} -c fetch.pruneTags=false \
    -c fetch.recurseSubmodules=false -c fetch.unpackLimit=1 "$@" 2>"$progress"
}
patiently() { # ARG...: git, again after a connection that broke, at most twice
  _try=1
  until net_git "$@"; do
    if [ "$_try" -gt 2 ] || ! grep -qi -e 'early EOF' -e 'hung up unexpectedly' -e 'RPC failed' \
      -e 'connection reset' -e 'timed out' -e 'error: 50[0-9]' -e 'disconnect' \
      -e 'is at [0-9a-f]* but expected' "$progress" # of two fetches of one ref, the later one fails
    then return 1; fi
    sleep "$((_try * 2))"
    _try=$((_try + 1))
  done
}
why() { # what git said at last, without its progress
  tr '\r' '\n' <"$progress" | grep -v -e ': *[0-9]*% (' -e '^remote: \(Enumerating\|Total\)' \
    -e '^ [^!].* -> ' -e '^From ' -e '^ *$' | uniq | tail -n 6
}
told() { # tells a person what a fetch found that they may not expect
  sed -n -e 's/^ + \([0-9a-f]*\)\.\.\.[0-9a-f]* *\([^ ]*\) *-> .*(forced update).*/\
\2 was force-pushed: it was at \1; workspaces that began there keep what they have/p' \
    -e 's,^warning: redirecting to \(.*[^/]\)/*$,the repo has moved to \1: name that URL,p' \
    "$progress" | scrub | head -n 20
}
"""


def names(workspace: Workspace) -> Mapping[str, str]:
    """The variables that NETWORK wants; who sits at a terminal here may be asked by git itself."""
    return {
        "asks": "yes" if asks(workspace.host) else "",
        "credential": identity.credential(workspace.git, workspace.remote),
        "filter": workspace.request.filter or workspace.spec.filter,
    }


def asks(host: Host) -> bool:
    """Whether git may ask for a password: only a person at a terminal, on this host."""
    return host.name == "@local" and sys.stdin.isatty() and sys.stderr.isatty()
