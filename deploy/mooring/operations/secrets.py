"""Secrets: fetched on the controller or the target, for the templates that ask for them."""

from __future__ import annotations

import base64

from pyinfra.api.command import StringCommand
from pyinfra.api.exceptions import PyinfraError

from .. import script
from ..document import Secret
from ..handle import Workspace
from ..secrets import MAX_BYTES, checked, command_failure, failure, fetch

_FETCH = r"""
if [ -n "$variable" ]; then
  set +u
  eval "_set=\${$variable+set} _value=\$$variable"
  [ -n "$_set" ] || exit 66
  printf '%s' "$_value" | head -c "$most" | base64
elif [ -n "$file" ]; then
  case $file in '~/'*) file=$HOME/${file#'~/'} ;; esac
  [ -f "$file" ] && [ -r "$file" ] || exit 67
  head -c "$most" -- "$file" | base64
else
  set --
  while IFS= read -r _word; do set -- "$@" "$(printf '%s' "$_word" | base64 -d)"; done <<WORDS
$words
WORDS
  if command -v timeout >/dev/null; then set -- timeout "$seconds" "$@"; fi
  _value=$("$@" </dev/null 2>/dev/null; _status=$?; echo .; exit "$_status")
  _status=$?
  if [ "$_status" -ne 0 ]; then exit "$((_status == 124 ? 68 : 69))"; fi
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
    if done:
        return checked(name, script.content("".join(output.stdout_lines)))
    raise _failure(name, secret)


def _failure(name: str, secret: Secret) -> Exception:
    if secret.env:
        return failure(name, f"${secret.env} is not set on the target")
    if secret.file:
        return failure(name, f"{secret.file} cannot be read on the target")
    return command_failure(name, secret.command, 1)
