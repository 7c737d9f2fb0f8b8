"""Templates: what they may say, what they need, what is refused; quoting, as bash reads it."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mooring.environment import context, context_names
from mooring.errors import MooringError
from mooring.files.templates import MAX_TEXT, dotenv_quote, needed, render, shell_quote
from tests.unit.builders import a_record

NAMES: dict[str, Any] = {
    "topic": "fix-login",
    "slug": "fix_login",
    "ports": {"web": 20001, "my-db": 20002, "my_db": 20002},
    "env": {"MODE": "it's"},
    "SESSION_SLUG": "fix_login",
}
SECRETS = {"KEY": "s3cr3t"}


def said(text: str) -> str:
    """What the template comes to."""
    needed(text, "env.j2", NAMES, SECRETS)
    return render(text, NAMES, SECRETS, "env.j2")


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("A={{ topic }}\n", "A=fix-login\n"),
        ("{{SESSION_SLUG}}", "fix_login"),
        ("{{ ports.web }} {{ ports['my-db'] }} {{ ports.my_db }}", "20001 20002 20002"),
        ("{{ secret('KEY') }}{{KEY}}", "s3cr3ts3cr3t"),
        ("{{ env.MODE | dotenv }} {{ env.MODE | shell }}", '''"it's" 'it'"'"'s\''''),
        ("{% for name, port in ports.items() %}{{ name }}{{ ',' if not loop.last }}{% endfor %}",
         "web,my-db,my_db"),
        ("{% if topic == 'x' %}x{% elif 'fix' in topic %}y{% else %}z{% endif %}", "y"),
        ("{{ env.NOPE | default('none') }} {{ env.NOPE is defined }}", "none False"),
        ("{{ topic | replace('-', '_') | upper }}", "FIX_LOGIN"),
        ("{# a remark #}{% raw %}{{ as it is }}{% endraw %}", "{{ as it is }}"),
        ("{{ topic ~ '-' ~ slug }}", "fix-login-fix_login"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_templates_may_say(text: str, result: str) -> None:
    assert said(text) == result


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("\n{{ tpoic }}", 2, "there is no 'tpoic'; did you mean 'topic'?"),
        ("{{ DB_PASS }}", 1, "there is no 'DB_PASS': give it a value under `secrets` or `env`"),
        ("\n\n{{ secret('KYE') }}", 3, "there is no secret 'KYE'; did you mean 'KEY'?"),
        ("{{ ports.wbe }}", 1, "ports has no 'wbe'; did you mean 'web'?"),
        ("{{ env['NOPE'] }}", 1, "env has no 'NOPE'"),
        ("a\n{{ topic", 2, "unexpected end of template"),
        ("{{ topic.__class__ }}", 1, "only ports and env have members"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", 1, "only"),
        ("{{ ports.__init__ }}", 1, "only ports and env have members"),
        ("{{ env.get('MODE') }}", 1, "only"),
        ("{{ env.items }}", 1, "items is to be called"),
        ("{{ env }}", 1, "are no values"),
        ("{{ secret }}", 1, "are no values"),
        ("{{ secret(topic) }}", 1, "only secret('NAME')"),
        ("{{ topic | attr('upper') }}", 1, "there is no filter 'attr'"),
        ("{{ topic | format('x') }}", 1, "there is no filter 'format'"),
        ("{% include '/etc/passwd' %}", 1, "'include' is not for templates"),
        ("{% import 'x' as y %}", 1, "'import' is not for templates"),
        ("{% extends 'x' %}", 1, "'extends' is not for templates"),
        ("{% for x in range(10) %}{% endfor %}", 1, "a loop goes over"),
        ("{% for x in topic %}{% endfor %}", 1, "a loop goes over"),
        ("{% for a in env %}{% for b in env %}{% endfor %}{% endfor %}", 1, "has no other in it"),
        ("{% set x = topic ~ topic %}", 1, "'set' is not for templates"),
        ("{% macro f() %}{% endmacro %}", 1, "'macro' is not for templates"),
        ("{{ 'x' * 9999999999 }}", 1, "'mul' is not for templates"),
        ("{{ 2 ** 99999999 }}", 1, "'pow' is not for templates"),
        ("{{ topic }}" * 12000, 1, "too many parts"),
        ("{{ cycler }} {{ lipsum }}", 1, "there is no 'cycler'"),
    ],
)
def test_what_they_may_not(text: str, line: int, why: str) -> None:
    with pytest.raises(MooringError) as refused:
        said(text)
    assert f"env.j2 line {line}: " in refused.value.message
    assert why in refused.value.message


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x" * (MAX_TEXT + 1), "larger than 256 KiB"),
        ("{{ " + "(" * 900 + "topic" + ")" * 900 + " }}", "nested too deeply"),
        ("{{ topic" + " | replace('i', 'iiiiiiiiii')" * 12 + " }}", "not of the kind"),
        ("{{ ports.web | replace }}", "not of the kind"),
    ],
)
def test_limits(text: str, why: str) -> None:
    with pytest.raises(MooringError, match=why):
        said(text)


def test_a_large_result_is_refused() -> None:
    names = {**NAMES, "topic": "x" * 200000}
    with pytest.raises(MooringError, match="larger than 1 MiB"):
        render("{{ topic }}" * 6, names, {}, "env.j2")


def test_what_a_template_needs() -> None:
    found = needed("{{ topic }}{{KEY}}{{ ports.web }}", "env.j2", NAMES, {"KEY": "", "OTHER": ""})
    assert (found.names, found.secrets) == ({"topic", "ports"}, {"KEY"})


def test_the_names_are_known_before_they_have_values() -> None:
    env, ports = {"MODE": "{{ topic }}"}, ("", "web", "my-db")
    record = a_record(ports={"PORT": 1, "PORT_WEB": 2, "PORT_MY_DB": 3})
    before, after = context_names(env, ports), context(env, ports, record, "host")
    assert set(before) == set(after)
    assert set(before["ports"]) == set(after["ports"])
    assert set(before["env"]) == set(after["env"])


VALUES = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=40)


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=12))
def test_bash_reads_back_what_was_quoted(values: list[str]) -> None:
    lines = [f"a{i}={shell_quote(v)}\nb{i}={dotenv_quote(v)}\n" for i, v in enumerate(values)]
    shown = "".join(f'printf "%s\\0" "$a{i}" "$b{i}"\n' for i in range(len(values)))
    done = subprocess.run(
        ["bash", "-s"], input=("".join(lines) + shown).encode(), capture_output=True, check=True
    )
    expected = b"".join(v.encode() + b"\0" + v.encode() + b"\0" for v in values)
    assert done.stdout == expected


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_a_value_never_becomes_part_of_the_template(value: str) -> None:
    assert render("{{ topic }}", {"topic": value}, {}, "x") == value
