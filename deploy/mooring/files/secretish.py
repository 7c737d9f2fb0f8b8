"""What looks like a secret: rules for one line of text each. Pure; the secret itself is never said.

Each rule is a POSIX extended regular expression that `grep -E` (with LC_ALL=C) and Python's `re`
read alike: so no `\\b`, `\\d`, `(?:` or `[[:space:]]`. Every repetition has a bound, so that no
line of a stranger's file takes long.
"""

from __future__ import annotations

import re
from functools import cache

LIMIT = 1 << 20
"""Bytes of a file that are looked at."""


def _any_case(word: str) -> str:
    return "".join(f"[{c}{c.lower()}]" if c.isalpha() else c for c in word)


_WORDS = "|".join(
    _any_case(word)
    for word in (
        "SECRET",
        "SECRET[_-]?KEY([_-]?BASE)?",
        "TOKEN",
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "[_-]PASS",
        "[_-]PWD",
        "API[_-]?KEY",
        "ACCESS[_-]?KEY",
        "PRIVATE[_-]?KEY",
        "ENCRYPTION[_-]?KEY",
        "SIGNING[_-]?KEY",
        "CREDENTIALS?",
    )
)

GENERIC = "a value that is named as a secret"
QUOTED = "a quoted value that is named as a secret"
YAML = "a value in YAML that is named as a secret"
URL = "a URL with a password"
RULES = (
    # RFC 7468 and its kin: OpenSSH's, and PGP's "PRIVATE KEY BLOCK"
    ("a private key", "-----BEGIN ([A-Z0-9]{1,20} ){0,3}PRIVATE KEY( BLOCK)?-----"),
    ("a PuTTY private key", "^PuTTY-User-Key-File-[0-9]: "),
    # docs.aws.amazon.com/IAM, "Unique identifiers": long-term and temporary keys
    ("an AWS access key", "(^|[^A-Za-z0-9])(AKIA|ASIA)[A-Z2-7]{16}([^A-Za-z0-9]|$)"),
    # docs.github.com, "GitHub's token formats"
    ("a GitHub token", "gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{50}"),
    # docs.gitlab.com, "Token prefixes"
    ("a GitLab token", "gl(pat|dt|rt|cbt|ptt|ft|soat|agent|oas)-[A-Za-z0-9_-]{20}"),
    ("a Slack token", "xox[abeoprs]-[A-Za-z0-9-]{10}|xapp-[0-9]-[A-Za-z0-9-]{10}"),
    ("a Slack webhook", "hooks[.]slack[.]com/(services|workflows)/[A-Za-z0-9/]{20}"),
    ("a Stripe key", "(^|[^A-Za-z0-9])([sr]k_(live|test)|whsec)_[A-Za-z0-9]{16}"),
    ("an Anthropic key", "sk-ant-[A-Za-z0-9_-]{20}"),
    ("an OpenAI key", "(^|[^A-Za-z0-9])sk-(proj-|svcacct-|admin-)?[A-Za-z0-9_-]{32}"),
    ("a Google key", "(^|[^A-Za-z0-9])(AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{20})"),
    ("an npm token", "npm_[A-Za-z0-9]{36}|:_(authToken|auth|password)=[^ $]"),
    # RFC 7519: both parts begin as `{"` does in base64url
    ("a JSON Web Token", "eyJ[A-Za-z0-9_-]{8,255}[.]eyJ[A-Za-z0-9_-]{8}"),
    (URL, "[A-Za-z0-9]://[^][ /:@\"'<>{}$]{0,100}:[^][ /@\"'<>{}$]{3,255}@"),
    # NAME=value, as in a dotenv file
    (
        GENERIC,
        f"^[ \t]{{0,32}}(export )?[A-Za-z0-9_.]{{0,64}}({_WORDS})[0-9]{{0,3}}=[\"']?[^ \t\"'$<{{]",
    ),
    # "name": "value", name: value, name = 'value', as in JSON, YAML, TOML and code
    (
        QUOTED,
        f"({_WORDS})[\"']?[ \t]{{0,8}}[:=][ \t]{{0,8}}[\"'][^ \t\"'$<{{][^ \t\"'<{{]{{5}}",
    ),
    (
        YAML,
        f"^[ \t-]{{0,64}}[A-Za-z0-9_.-]{{0,64}}({_WORDS}):[ \t]{{1,8}}"
        "[^] \t\"'$<{[|>&*!][^ \t]{5}",
    ),
)
"""(name, pattern), in this order; the name is what a person is told."""

PLACEHOLDER = (
    "[:=][ \t]{0,8}[\"']?("
    + "|".join(
        _any_case(word)
        for word in (
            "CHANGE[_-]?(ME|IT|THIS)",
            "REPLACE",
            "YOUR",
            "EXAMPLE",
            "PLACEHOLDER",
            "DUMMY",
            "TODO",
            "X{3}",
        )
    )
    + "|[*.]{3}|([Nn]one|[Nn]ull|[Tt]rue|[Ff]alse|[Nn]il|undefined)([\"', #]|$))"
)
"""What stands for a value that somebody is to put there."""
SHAPELESS = frozenset({GENERIC, QUOTED, YAML, URL})
"""Rules that a line with a placeholder doesn't meet; the others know a key by its shape."""

GREP = r"""
secretish() { # FILE...: those that look as if they held a secret, by the rules of secretish.py
  if [ $# -eq 0 ]; then return 0; fi
  _small=$(find "$@" -prune -size -1048577c)
  set --
  while IFS= read -r _name; do if [ -n "$_name" ]; then set -- "$@" "$_name"; fi; done <<SMALL
$_small
SMALL
  if [ $# -eq 0 ]; then return 0; fi
  printf '%s\n%s\n' "$shaped" "$shapeless" | grep -qE -f - -- "$@" || return 0
  { printf '%s\n' "$shaped" | grep -lE -f - -- "$@"
    printf '%s\n' "$shapeless" | grep -HE -f - -- "$@" | tr -d '\r' | sed 's/:/:|/' |
      grep -vE -e "$placeholder" | sed 's/:.*//'; } 2>/dev/null | sort -u # `|`: no = before it
}
"""
"""The same for sh, with what `names` gives; names of files with a colon are cut off there."""


def names() -> dict[str, str]:
    """The variables of GREP."""
    shaped = [pattern for name, pattern in RULES if name not in SHAPELESS]
    shapeless = [pattern for name, pattern in RULES if name in SHAPELESS]
    return {
        "shaped": "\n".join(shaped),
        "shapeless": "\n".join(shapeless),
        "placeholder": PLACEHOLDER,
    }


def found(data: bytes) -> str:
    """The name of the first rule that a line of the first MiB meets, '' if none does."""
    lines = data[:LIMIT].replace(b"\r\n", b"\n").split(b"\n")
    placeholder = _compiled(PLACEHOLDER)
    for name, pattern in RULES:
        for line in filter(_compiled(pattern).search, lines):
            if name not in SHAPELESS or not placeholder.search(line):
                return name
    return ""


@cache
def _compiled(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode("ascii"))
