"""What looks like a secret: in Python and in grep the same, never slow, placeholders left out."""

from __future__ import annotations

import re
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mooring.files.secretish import LIMIT, PLACEHOLDER, RULES, SHAPELESS, found

# Joined here, so that nothing which scans this repo takes them for real.
SECRETS = (
    ("a private key", "-----BEGIN " + "RSA PRIVATE KEY-----"),
    ("a private key", "-----BEGIN " + "PRIVATE KEY-----"),
    ("a private key", "-----BEGIN " + "OPENSSH PRIVATE KEY-----"),
    ("a private key", "-----BEGIN " + "PGP PRIVATE KEY BLOCK-----"),
    ("a PuTTY private key", "PuTTY-User-Key-File-3: ssh-ed25519"),
    ("an AWS access key", "aws = AKIA" + "Q7" * 8),
    ("a GitHub token", "x: ghp_" + "a1" * 18),
    ("a GitHub token", "github_pat_" + "a1_" * 20),
    ("a GitLab token", "glpat-" + "a1" * 10),
    ("a Slack token", "xoxb-" + "1234567890-ab"),
    ("a Slack webhook", "https://hooks.slack.com/services/" + "T0000/B0000/abcdefgh"),
    ("a Stripe key", "sk_live_" + "a1" * 12),
    ("an Anthropic key", "sk-ant-api03-" + "a1" * 12),
    ("an OpenAI key", "sk-proj-" + "a1" * 20),
    ("a Google key", "AIza" + "a1b2c" * 7),
    ("an npm token", "//registry.npmjs.org/:_authToken=" + "abc"),
    ("a JSON Web Token", "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0.c2ln"),
    ("a URL with a password", "DATABASE_URL=postgres://shop:hunter2@localhost/shop"),
    ("a URL with a password", "redis://:hunter2@cache.example.com"),
    ("a value that is named as a secret", "API_KEY=planted-secret"),
    ("a value that is named as a secret", "export DB_PASSWORD='p$ss'"),
    ("a value that is named as a secret", "SECRET_KEY_BASE=abcdef"),
    ("a value that is named as a secret", "db_pass=x"),
    ("a quoted value that is named as a secret", '"apiKey": "k3j4h5k3"'),
    ("a quoted value that is named as a secret", "client_secret = 'k3j4h5k3'"),
    ("a value in YAML that is named as a secret", "  - password: hunter22"),
)
HARMLESS = (
    "",
    "API_KEY=",
    "API_KEY=''",
    'API_KEY=""',
    "API_KEY=changeme",
    "API_KEY=change-me",
    "API_KEY=your-api-key-here",
    "API_KEY=xxxxxxxxxxx",
    "API_KEY=<put it here>",
    "API_KEY=${OTHER_KEY}",
    "API_KEY=$(pass show key)",
    "API_KEY={{ key }}",
    "TOKEN=none",
    "password: ${PASSWORD}",
    "password: null",
    '"password": "your-password"',
    '"max_tokens": 4096',
    "TOKEN_TTL=3600",
    "PASSWORD_FILE=/run/secrets/password",
    "PWD=/home/robin",
    "postgres://localhost/shop",
    "postgres://shop:${PASSWORD}@localhost/shop",
    "https://example.com:8080/a@b",
    "-----BEGIN CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----",
    "git@github.com:owner/name.git",
)


@pytest.mark.parametrize(("name", "line"), SECRETS)
def test_a_secret(name: str, line: str) -> None:
    assert found(f"# first\n{line}\nlast\n".encode()) == name
    assert found(f"{line}\r\n".encode("utf-16le")) == ""


@pytest.mark.parametrize("line", HARMLESS)
def test_what_is_none(line: str) -> None:
    assert found(f"{line}\n".encode()) == found(f"{line}\r\n".encode()) == ""


def test_only_the_first_mebibyte_is_looked_at() -> None:
    secret = b"API_KEY=planted-secret"
    assert found(b"\n" * (LIMIT - len(secret)) + secret)
    assert found(b"\n" * LIMIT + secret) == ""


LINES = [line for _, line in SECRETS] + [line for line in HARMLESS if line]


@pytest.mark.parametrize(("name", "pattern"), [*RULES, ("placeholder", PLACEHOLDER)])
def test_grep_reads_it_alike(name: str, pattern: str) -> None:
    text = "".join(f"{line}\n" for line in LINES)
    argv = ["grep", "-E", "-e", pattern]
    done = subprocess.run(argv, input=text, text=True, capture_output=True, env={"LC_ALL": "C"})
    assert done.stderr == ""
    assert done.stdout.splitlines() == [line for line in LINES if re.search(pattern, line)]


@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    assert found(data) in {"", *(name for name, _ in RULES)}


@pytest.mark.parametrize(
    "piece", ["A", "eyJ", "eyJaaaaaaaa.", "SECRET", "a://b:", "password ", "xox", "://", "-", " "]
)
def test_no_line_takes_long(piece: str) -> None:
    began = time.process_time()
    found((piece * LIMIT)[:LIMIT].encode())
    assert time.process_time() - began < 5


def test_rules_have_names_of_their_own() -> None:
    assert len({name for name, _ in RULES}) == len(RULES)
    assert {name for name, _ in RULES} >= SHAPELESS
