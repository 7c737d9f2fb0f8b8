"""What a repo is called: one identity for each way to write a URL, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mooring.errors import Kind, MooringError
from mooring.repo import parse_source, path_identity, source_key, url_identity

PASSWORD = "correct-horse"

ONE_REPO = (
    "git@example.com:robin/shop.git",
    "git@example.com:robin/shop",
    "git@example.com:/robin/shop.git",
    "git@example.com:robin/shop/",
    "example.com:robin/shop.git",
    "https://example.com/robin/shop",
    "https://example.com/robin/shop.git",
    "https://example.com/robin/shop.git/",
    "https://example.com/robin/shop/",
    "https://example.com//robin//shop",
    "https://example.com/robin/./shop",
    "https://EXAMPLE.com/robin/shop",
    "https://robin@example.com/robin/shop.git",
    "https://example.com:8443/robin/shop.git",
    "http://example.com/robin/shop",
    "ssh://git@example.com/robin/shop.git",
    "ssh://git@example.com:22/robin/shop",
    "ssh://example.com:2222/robin/shop/",
    "git://example.com/robin/shop.git",
)


@pytest.mark.parametrize("url", ONE_REPO)
def test_every_way_to_write_a_url_is_one_repo(url: str) -> None:
    assert parse_source(url).identity == "example.com/robin/shop"
    assert parse_source(url).is_url


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        ("https://example.com/group/sub/shop.git", "example.com/group/sub/shop"),
        ("https://example.com/robin/Shop", "example.com/robin/Shop"),
        ("https://example.com/robin/my%20shop.git", None),
        ("https://example.com/robin/shop.github.io", "example.com/robin/shop.github.io"),
        ("https://example.com/~robin/shop", "example.com/~robin/shop"),
        ("ssh://git@[2001:db8::1]:22/robin/shop", "2001:db8::1/robin/shop"),
        ("file:///srv/git/shop.git", "file/srv/git/shop"),
        ("file:///srv/git/my%20shop.git", "file/srv/git/my shop"),
        ("file://localhost/srv/git/shop", "file/srv/git/shop"),
    ],
)
def test_an_identity_keeps_what_tells_repos_apart(url: str, identity: str | None) -> None:
    if identity is None:
        with pytest.raises(MooringError):
            url_identity(url)
    else:
        assert url_identity(url) == identity


@pytest.mark.parametrize(
    "path", ["/srv/git/shop", "./shop", "../shop", "shop", ".", "~/src/shop", "/srv/a b/ü"]
)
def test_a_path_has_no_identity_before_the_probe(path: str) -> None:
    source = parse_source(path)
    assert (source.text, source.identity, source.is_url) == (path, None, False)


REFUSED = {
    "remote helper ext": "ext::sh -c touch% /srv/x",
    "remote helper fd": "fd::17",
    "remote helper with a URL": "ext::https://example.com/robin/shop",
    "option": "-u",
    "long option": "--upload-pack=touch x",
    "option before a URL": "--upload-pack=x https://example.com/robin/shop",
    "option as the host": "ssh://-oProxyCommand=x/robin/shop",
    "option as the scp host": "-oProxyCommand=x:robin/shop",
    "option as the user's host": "git@-oProxyCommand=x:robin/shop",
    "option as a path component": "https://example.com/robin/--upload-pack=x",
    "option as the scp path": "git@example.com:--upload-pack=x",
    "dots": "https://example.com/robin/../shop",
    "escaped dots": "https://example.com/robin/%2e%2e/shop",
    "dots in scp": "git@example.com:../../srv/shop",
    "dots in a file URL": "file:///srv/../etc/shop",
    "escaped dots in a file URL": "file:///srv/%2e%2e/etc/shop",
    "hidden component": "https://example.com/robin/.git",
    "unknown scheme": "ftp://example.com/robin/shop",
    "made up scheme": "javascript://example.com/robin/shop",
    "query": "https://example.com/robin/shop?x=1",
    "fragment": "https://example.com/robin/shop#main",
    "no path": "https://example.com",
    "no path but a slash": "https://example.com/",
    "no host": "https:///robin/shop",
    "file URL without a path": "file://",
    "newline": "https://example.com/robin/shop\nx",
    "escape": "/srv/\x1b[2Jshop",
    "NUL": "/srv/sh\0op",
    "escaped newline": "https://example.com/robin/shop%0Ax",
    "escaped NUL in a file URL": "file:///srv/sh%00op",
    "escaped newline in a file URL": "file:///srv/sh%0Aop",
    "shell syntax": "https://example.com/robin/$(touch x)",
    "empty": "",
    "broken address": "https://[::1/robin/shop",
    "not UTF-8": "/srv/\udcff",
}


@pytest.mark.parametrize("url", REFUSED.values(), ids=REFUSED.keys())
def test_refused(url: str) -> None:
    with pytest.raises(MooringError) as caught:
        parse_source(url)
    assert caught.value.kind is Kind.USAGE
    assert caught.value.message.startswith("Cannot use the repo")


@pytest.mark.parametrize("value", [None, True, 7, ["/srv"], {"a": 1}])
def test_only_text_is_a_repo(value: object) -> None:
    with pytest.raises(MooringError):
        parse_source(value)


@pytest.mark.parametrize(
    "url",
    [
        f"https://robin:{PASSWORD}@example.com/robin/shop",
        f"https://:{PASSWORD}@example.com/robin/shop",
        f"ssh://robin:{PASSWORD}@example.com/robin/shop",
        f"ftp://robin:{PASSWORD}@example.com/robin/shop",
        f"https://robin:{PASSWORD}@example.com/robin/shop?x=1",
        f"https://robin:{PASSWORD}@example.com:99999999/robin/shop",
        f"https://robin:{PASSWORD}@[::1/robin/shop",
        f"https://robin:{PASSWORD}@example.com/robin/shop\n",
        f"ext::https://robin:{PASSWORD}@example.com/robin/shop",
        f"robin:{PASSWORD}@example.com:robin/shop",
    ],
)
def test_a_password_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(MooringError) as caught:
        parse_source(url)
    assert PASSWORD not in "\n".join(caught.value.lines())


@given(st.text(max_size=60) | st.from_regex(r"[a-z]{0,5}:{0,2}/{0,3}[a-z@:/.%0-9\[\]?#-]{0,30}"))
def test_any_text_is_a_source_or_a_usage_error(text: str) -> None:
    try:
        source = parse_source(text)
    except MooringError:
        return
    if source.identity is not None:
        parts = source.identity.split("/")
        assert "" not in parts
        assert not {".", ".."} & set(parts)
        assert source.identity.isprintable()


ROOT_COMMIT = "5" * 40


@pytest.mark.parametrize(
    ("origin", "identity"),
    [
        ("", f"commit/{ROOT_COMMIT}"),
        ("git@example.com:robin/shop.git", "example.com/robin/shop"),
        ("https://example.com/robin/shop", "example.com/robin/shop"),
        ("/srv/git/shop.git", "file/srv/git/shop"),
        ("/srv/git/./x/../shop/", "file/srv/git/shop"),
        ("file:///srv/git/shop.git", "file/srv/git/shop"),
        ("ext::sh -c x", f"commit/{ROOT_COMMIT}"),
        ("ftp://example.com/robin/shop", f"commit/{ROOT_COMMIT}"),
    ],
)
def test_a_clone_is_called_as_its_origin(origin: str, identity: str) -> None:
    assert path_identity(origin, ROOT_COMMIT) == identity


@pytest.mark.parametrize("origin", ["../shop", "../../git/shop.git", "shop"])
def test_a_relative_origin_names_no_repo(origin: str) -> None:
    """Two clones in different directories may both say ``../shop`` and mean different repos."""
    assert path_identity(origin, ROOT_COMMIT) == f"commit/{ROOT_COMMIT}"


def test_a_password_in_an_origin_stays_out_of_the_identity() -> None:
    origin = f"https://robin:{PASSWORD}@example.com/robin/shop"
    assert PASSWORD not in path_identity(origin, ROOT_COMMIT)


LOOK_ALIKES = (
    "a/b/c",
    "a%2Fb/c",
    "a/b%2Fc",
    "a%252Fb/c",
    "a~b/c",
    "a%7Eb/c",
    "a b/c",
    "a+b/c",
    "a%20b/c",
    "A/b/c",
    "ä/b/c",
    "a/" + "b" * 300,
    "a/" + "b" * 299 + "c",
)


def test_source_keys_are_unique_short_names() -> None:
    keys = [source_key(identity) for identity in LOOK_ALIKES]
    assert len(set(keys)) == len(LOOK_ALIKES)
    for key in keys:
        assert len(key.encode()) <= 200
        assert not set(key) & set("/ ~\\*?[")
        assert key not in ("", ".", "..")


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(st.lists(names, unique=True, min_size=2, max_size=6))
def test_no_two_identities_share_a_key(identities: list[str]) -> None:
    keys = {source_key(identity) for identity in identities}
    assert len(keys) == len(identities)
    assert all(len(key) <= 200 and key.isascii() for key in keys)
