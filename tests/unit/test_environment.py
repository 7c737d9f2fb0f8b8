"""The environment of a workspace: its names, its ports, and whose names never leak into it."""

from __future__ import annotations

import re

import pytest

from mooring.environment import check_env, fixed, port_name, process, render_env, template_names
from mooring.errors import MooringError
from tests.unit.builders import IDENTITY, SESSION, SHOP, a_record

PORTS = {"PORT": 20001, "PORT_WEB": 20002}


def test_the_fixed_names() -> None:
    record = a_record(issue="17", pipeline="run-3", ports=PORTS, agent="reviewer")
    assert fixed(record) == {
        "WORK_TOPIC": "fix-login",
        "WORK_BRANCH": "fix-login",
        "WORK_AGENT": "reviewer",
        "WORK_REPO": SHOP,
        "WORK_ISSUE": "17",
        "WORK_PIPELINE_ID": "run-3",
        "PORT": "20001",
        "PORT_WEB": "20002",
    }


@pytest.mark.parametrize(
    ("name", "variable"),
    [("", "PORT"), ("web", "PORT_WEB"), ("web-ui", "PORT_WEB_UI"), ("db2", "PORT_DB2")],
)
def test_port_names(name: str, variable: str) -> None:
    assert port_name(name) == variable


def test_what_templates_may_name() -> None:
    names = template_names("fix-login", "dev", "17", IDENTITY, "main", "b")
    assert re.fullmatch(r"(0[1-9]|1[0-2])[0-3][0-9]", names.pop("date"))
    assert names == {
        "topic": "fix-login",
        "slug": "fix_login",
        "agent": "dev",
        "issue": "17",
        "repo": IDENTITY,
        "base": "main",
        "branch": "b",
    }


def test_values_are_rendered_with_the_ports() -> None:
    env = {
        "DATABASE_URL": "postgresql://localhost/{{ slug }}",
        "ORIGIN": "http://localhost:{{ PORT_WEB }}",
        "PLAIN": "$(touch x)",
    }
    assert render_env(env, a_record(ports=PORTS)) == {
        "DATABASE_URL": "postgresql://localhost/fix_login",
        "ORIGIN": "http://localhost:20002",
        "PLAIN": "$(touch x)",
    }


def test_a_name_that_will_not_be_there_is_refused_before_anything_is_claimed() -> None:
    names = template_names("fix-login", "dev", "", IDENTITY, "main", "b")
    check_env({"A": "{{ PORT }} {{ topic }}"}, names, ["PORT"])
    with pytest.raises(MooringError, match=r"Cannot render env\.A: there is no 'PORT_DB'"):
        check_env({"A": "{{ PORT_DB }}"}, names, ["PORT"])


ANOTHERS = {
    "WORK_TOPIC": "other",
    "WORK_ISSUE": "99",
    "WORK_PIPELINE_ID": "run-9",
    "PORT": "1",
    "PORT_DB": "2",
    "CLAUDE_SESSION_ID": "other",
}


def test_a_process_drops_another_workspaces_names() -> None:
    env = process({**ANOTHERS, "HOME": "/home/robin"}, a_record(), SESSION, {})
    assert env == {
        "HOME": "/home/robin",
        "WORK_TOPIC": "fix-login",
        "WORK_BRANCH": "fix-login",
        "WORK_AGENT": "dev",
        "WORK_REPO": SHOP,
        "PORT": "20001",
        "CLAUDE_SESSION_ID": SESSION,
    }


@pytest.mark.parametrize(
    "name", ["PORTER", "WORK", "WORKDIR", "MY_PORT", "PORT_web", "WORK_TOPICS"]
)
def test_a_process_keeps_names_that_only_look_like_ours(name: str) -> None:
    assert process({name: "x"}, a_record(), SESSION, {})[name] == "x"


def test_a_process_gets_what_the_user_wrote() -> None:
    env = process({"EDITOR": "vi", "LANG": "C"}, a_record(), SESSION, {"EDITOR": "ed", "A": ""})
    assert (env["EDITOR"], env["LANG"], env["A"]) == ("ed", "C", "")


def test_without_a_session_none_is_set() -> None:
    assert "CLAUDE_SESSION_ID" not in process(ANOTHERS, a_record(), "", {})
