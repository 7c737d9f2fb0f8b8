"""Templates of a workspace's files: what they may say, what they need, and how they render. Pure.

Jinja's syntax, but only the part of it that cannot run for long, grow, or reach anything: see
docs/design/0010-templates.md. What is not in the tables here is refused before anything is made.
"""

from __future__ import annotations

import difflib
import functools
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import MooringError

if TYPE_CHECKING:
    from jinja2 import Environment, nodes

MAX_TEXT = 262144
"""The largest template, in bytes."""
MAX_VALUE = 65536
"""The longest value that `replace` gives, in characters."""
MAX_RESULT = 1048576
"""The largest file that one may become, in bytes."""
MAX_DEPTH = 60
MAX_TURNS = 100000
"""How many parts its loops may go through together."""
MAX_NODES = 10000
"""How many parts one may have: what it costs to read grows with them."""
_SAID = """
    Template Output TemplateData Name Const Filter Test If CondExpr For
    Compare Operand And Or Not Concat Call Getattr Getitem Keyword Tuple List
"""
_NODES = frozenset(_SAID.split())
"""The parts of Jinja's language (jinja2.nodes) that a template may have."""
_MAPS = ("ports", "env")
"""What has members, and what a loop may go over."""
_LOOP = ("first", "last", "index", "index0", "length")
_FILTERS = ("default", "d", "upper", "lower", "trim", "length", "int", "replace", "shell", "dotenv")
_TESTS = ("defined", "undefined", "none", "eq", "equalto", "ne", "in", "true", "false")


class Needed(msgspec.Struct, frozen=True):
    """What a template asks for."""

    names: frozenset[str]
    secrets: frozenset[str]


def shell_quote(value: object) -> str:
    """A value as one word for sh(1)."""
    return shlex.quote(str(value))


def dotenv_quote(value: object) -> str:
    """A value for the right side of `NAME=` in a dotenv file, which bash reads the same.

    In single quotes nothing has a meaning, to any reader; where the value has one itself, double
    quotes and the four escapes that bash and the dotenv libraries share.
    """
    text = str(value)
    if "'" not in text:
        return f"'{text}'"
    for character in '\\"$`':
        text = text.replace(character, f"\\{character}")
    return f'"{text}"'


def needed(text: str, where: str, names: Mapping[str, Any], secrets: Iterable[str]) -> Needed:
    """What the template asks for. Raises MooringError, with its line, for what it may not say.

    `names` are those that have a value, whatever it is, `secrets` those of secrets.
    """
    tree = _tree(text, where)
    secrets = frozenset(secrets)
    known = secrets.union(names)
    asked = _secrets(tree, where, secrets)
    _check_members(tree, where, names)
    _check_loops(tree, where, names)
    used = [name for name in _found(tree, "Name") if name.ctx == "load"]
    bound = {"loop", "secret", *_bound(tree)}
    for name in used:
        if name.name not in bound | known:
            raise _unknown(name, where, known)
    free = {name.name for name in used} - bound
    return Needed(frozenset(free - secrets), frozenset(asked | (free & secrets)))


def render(text: str, names: Mapping[str, Any], secrets: Mapping[str, str], where: str) -> str:
    """The template with its names filled in; `names` and `secrets` have all that it needs.

    Raises MooringError, with its line, for a member that isn't there, or a result that is too
    large.
    """
    from jinja2 import TemplateError

    template = _environment().from_string(_tree(text, where))
    parts: list[str] = []
    size = 0
    try:
        for part in template.generate({**secrets, **names, "secret": secrets.__getitem__}):
            size += len(part)
            if size > MAX_RESULT:
                raise MooringError(f"Cannot render {where}: it becomes larger than 1 MiB")
            parts.append(part)
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError):
        problem = "one of its values is not of the kind that it takes it for"
        raise MooringError(f"Cannot render {where}: {problem}") from None
    result = "".join(parts)
    if "\0" in result:
        raise MooringError(f"Cannot render {where}: it becomes a file with a NUL byte")
    return result


@functools.cache
def _environment() -> Environment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # env files and scripts: a value is quoted by a filter
    )
    environment.globals.clear()
    ours: dict[str, Callable[..., Any]] = {
        "shell": shell_quote,
        "dotenv": dotenv_quote,
        "replace": _replace,
    }
    given = {name: environment.filters[name] for name in _FILTERS if name not in ours}
    environment.filters = {**given, **ours}
    environment.tests = {name: environment.tests[name] for name in (*_TESTS, "==", "!=")}
    return environment


def _replace(value: object, old: str, new: str) -> str:
    text = str(value)
    if len(text) + (text.count(old) if old else len(text) + 1) * len(new) > MAX_VALUE:
        raise ValueError
    return text.replace(old, new)


def _tree(text: str, where: str) -> nodes.Template:
    from jinja2 import TemplateSyntaxError

    if len(text) > MAX_TEXT:
        raise MooringError(f"Cannot render {where}: it is larger than 256 KiB")
    try:
        tree = _environment().parse(text)
    except TemplateSyntaxError as error:
        raise _error(where, error.lineno, str(error.message)) from None
    except (RecursionError, OverflowError, ValueError):
        raise MooringError(f"Cannot render {where}: it is nested too deeply") from None
    _check(tree, where)
    return tree


def _check(tree: nodes.Template, where: str) -> None:
    """Raise MooringError for a part of the language that isn't ours."""
    waiting: list[tuple[Any, bool, int]] = [(tree, False, 0)]
    count = 0
    while waiting:
        node, looped, depth = waiting.pop()
        kind, count = type(node).__name__, count + 1
        problem = "it has too many parts" if count > MAX_NODES else _problem(node, kind, looped)
        problem = "it is nested too deeply" if depth > MAX_DEPTH else problem
        if problem:
            raise _error(where, node.lineno, problem)
        looped = looped or kind == "For"
        waiting += [(child, looped, depth + 1) for child in node.iter_child_nodes()]


def _problem(node: Any, kind: str, looped: bool) -> str:
    """Why a template may not have this; '' if it may."""
    if kind not in _NODES:
        word = {"FromImport": "import", "Assign": "set", "Call": "call"}.get(kind, kind.lower())
        return f"{word!r} is not for templates: see docs/files.md"
    if kind == "Filter" and node.name not in _FILTERS:
        return f"there is no filter {node.name!r}: use one of {', '.join(_FILTERS)}"
    if kind == "Test" and node.name not in _TESTS:
        return f"there is no test {node.name!r}: use one of {', '.join(_TESTS)}"
    if kind in ("Getattr", "Getitem") and not _is_member(node):
        return "only ports and env have members: ports.web, env['NAME']"
    if kind == "Call" and not (_is_items(node) or _is_secret(node)):
        return "only secret('NAME') and .items() can be called"
    if kind == "For" and (looped or node.recursive or not _is_map(node.iter)):
        return "a loop goes over ports, env or their .items(), and has no other in it"
    if kind != "Call" and any(map(_is_items_method, node.iter_child_nodes())):
        return "items is to be called: .items()"
    if kind not in _HOLDERS and any(map(_is_held, node.iter_child_nodes())):
        return "ports, env, loop and secret are no values: name what is in them"
    return ""


_HOLDERS = ("Getattr", "Getitem", "Call", "For")


def _is_held(node: Any) -> bool:
    return type(node).__name__ == "Name" and node.name in (*_MAPS, "loop", "secret")


def _is_member(node: Any) -> bool:
    """`ports.web`, `env["NAME"]`, `loop.last`: a word that names no part of Python."""
    name = node.node.name if type(node.node).__name__ == "Name" else ""
    if type(node).__name__ == "Getitem":
        return name in _MAPS and type(node.arg).__name__ in ("Const", "Name")
    if name == "loop":
        return node.attr in _LOOP
    return name in _MAPS and (node.attr == "items" or not hasattr(dict, node.attr))


def _is_items_method(node: Any) -> bool:
    return type(node).__name__ == "Getattr" and node.attr == "items"


def _is_items(node: Any) -> bool:
    plain = not (node.args or node.kwargs or node.dyn_args or node.dyn_kwargs)
    return plain and _is_items_method(node.node)


def _is_secret(node: Any) -> bool:
    named = type(node.node).__name__ == "Name" and node.node.name == "secret"
    plain = len(node.args) == 1 and not (node.kwargs or node.dyn_args or node.dyn_kwargs)
    return named and plain and type(node.args[0]).__name__ == "Const"


def _is_map(node: Any) -> bool:
    if type(node).__name__ == "Call":
        return _is_items(node) and _is_map(node.node.node)
    return type(node).__name__ == "Name" and node.name in _MAPS


def _secrets(tree: nodes.Template, where: str, known: frozenset[str]) -> set[str]:
    asked = set()
    for call in _found(tree, "Call"):
        if _is_secret(call):
            name = str(call.args[0].value)
            if name not in known:
                raise _error(where, call.lineno, f"there is no secret {name!r}{_near(name, known)}")
            asked.add(name)
    return asked


def _check_loops(tree: nodes.Template, where: str, names: Mapping[str, Any]) -> None:
    turns = 0
    for loop in _found(tree, "For"):
        over = loop.iter if type(loop.iter).__name__ == "Name" else loop.iter.node.node
        turns += len(names.get(over.name, ())) * sum(1 for _ in loop.find_all(_any()))
    if turns > MAX_TURNS:
        raise MooringError(f"Cannot render {where}: its loops are too long")


def _any() -> Any:
    from jinja2 import nodes

    return nodes.Node


def _check_members(tree: nodes.Template, where: str, names: Mapping[str, Any]) -> None:
    """Raise MooringError for a member that isn't there, unless the template has that in mind."""
    excused = [node.node for node in _found(tree, "Filter") if node.name in ("default", "d")]
    excused += [node.node for node in _found(tree, "Test") if node.name.endswith("defined")]
    for node in (*_found(tree, "Getattr"), *_found(tree, "Getitem")):
        constant = type(node).__name__ == "Getitem" and type(node.arg).__name__ == "Const"
        name = node.arg.value if constant else getattr(node, "attr", "items")
        members = names.get(node.node.name, ())
        if name == "items" or node.node.name == "loop" or any(node is one for one in excused):
            continue
        if name not in members:
            near = _near(str(name), map(str, members))
            raise _error(where, node.lineno, f"{node.node.name} has no {name!r}{near}")


def _bound(tree: nodes.Template) -> set[str]:
    """The names that loops give."""
    return {name.name for name in _found(tree, "Name") if name.ctx == "store"}


def _found(tree: nodes.Template, kind: str) -> list[Any]:
    from jinja2 import nodes

    return list(tree.find_all(getattr(nodes, kind)))


def _unknown(name: Any, where: str, known: frozenset[str]) -> MooringError:
    near = _near(name.name, known)
    if not near and name.name.isupper():
        near = ": give it a value under `secrets` or `env`"
    return _error(where, name.lineno, f"there is no {name.name!r}{near}")


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _error(where: str, line: int, problem: str) -> MooringError:
    return MooringError(f"Cannot render {where} line {line}: {problem}")
