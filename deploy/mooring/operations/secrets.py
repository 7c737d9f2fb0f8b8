"""Secrets: fetched on the controller or the target, for the templates that ask for them."""

from __future__ import annotations

import base64

from pyinfra.api.command import StringCommand
from pyinfra.api.exceptions import PyinfraError

from .. import script
from ..document import Secret
from ..errors import MooringError
from ..files.secrets import MAX_BYTES, checked, command_failure, failure, fetch
from ..handle import Workspace

_FETCH = r"""
none() { printf '!%s\n' "$1"; exit 0; } # WHY
if [ -n "$variable" ]; then
  set +u
  eval "_set=\${$variable+set} _value=\$$variable"
  [ -n "$_set" ] || none unset
  printf '%s' "$_value" | head -c "$most" | base64
elif [ -n "$file" ]; then
  case $file in '~/'*) file=$HOME/${file#'~/'} ;; esac
  [ -f "$file" ] && [ -r "$file" ] || none unreadable
  head -c "$most" -- "$file" | base64
else
  set --
  while IFS= read -r _word; do set -- "$@" "$(printf '%s' "$_word" | base64 -d)"; done <<WORDS
$words
WORDS
  if command -v timeout >/dev/null; then set -- timeout "$seconds" "$@"; fi
  _value=$("$@" </dev/null 2>/dev/null; _status=$?; echo .; exit "$_status")
  _status=$?
  if [ "$_status" -eq 124 ]; then none slow; fi
  if [ "$_status" -ne 0 ]; then none "$_status"; fi
  printf '%s' "${_value%.}" | head -c "$most" | base64
fi
"""


def secrets(workspace: Workspace, names: set[str]) -> dict[str, str]:
    """The values of these secrets. Raises MooringError if one of them can't be had."""
    wanted = {name: workspace.spec.secrets[name] for name in sorted(names)}
    return {name: _value(workspace, name, secret) for name, secret in wanted.items()}


def _value(workspace: Workspace, name: str, secret: Secret) -> str:
    if secret.on == "controller":
        return fetch(name, secret)
    return _there(workspace, name, secret)


def _there(workspace: Workspace, name: str, secret: Secret) -> str:
    """From the target: by a command of its own, whose output pyinfra is told not to show."""
    variables = {
        "root": workspace.observed.target.root,
        "variable": secret.env,
        "file": secret.file,
        "words": "\n".join(base64.b64encode(word.encode()).decode() for word in secret.command),
        "seconds": str(secret.timeout),
        "most": str(MAX_BYTES + 1),
    }
    text = script.compose(variables, _FETCH)
    try:
        done, output = workspace.host.run_shell_command(
            StringCommand(script.RUN),
            print_output=False,
            print_input=False,
            _stdin=text,
            _timeout=secret.timeout + 30,
        )
    except PyinfraError:
        raise failure(name, "the target stopped answering") from None
    said = "".join(output.stdout_lines)
    if not done:
        raise failure(name, "the target could not look")
    if said.startswith("!"):
        raise _failure(name, secret, said[1:])
    return checked(name, script.content(said))


def _failure(name: str, secret: Secret, why: str) -> MooringError:
    if why == "unset":
        return failure(name, f"${secret.env} is not set on the target")
    if why == "unreadable":
        return failure(name, f"{secret.file} cannot be read on the target")
    if why == "slow":
        return failure(name, f"{secret.command[0]} took longer than {secret.timeout} s")
    return command_failure(name, secret.command, int(why))
