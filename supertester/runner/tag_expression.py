"""Which tests are meant by their tags: ``--tag "layer=unit and not (slow or needs=db)"``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from supertester.errors import UsageError

__all__ = ["Matcher", "tag_matcher"]

Matcher = Callable[[Mapping[str, Any]], bool]

_TOKEN: Final = re.compile(r"""\s*(?:([()]|!=|==?)|"([^"]*)"|'([^']*)'|([^\s()=!"']+))""")
_WORDS: Final = frozenset({"and", "or", "not", "(", ")", "=", "==", "!="})


def tag_matcher(expression: str) -> Matcher:
    """Return a function that says whether the tags of a test are as *expression* says.

    ``slow`` is true for a test with a tag of that name whose value is true; ``layer=unit`` and ``layer!=unit`` compare
    the value as text, and with each member of a list; quotes are for values with spaces. ``not`` binds closer than
    ``and``, and that closer than ``or``; there are parentheses.

    Raises:
        UsageError: The expression is none; the message shows where.

    >>> matches = tag_matcher("layer=unit and not slow")
    >>> matches({"layer": "unit"}), matches({"layer": "unit", "slow": True}), matches({})
    (True, False, False)
    """
    return _Parser(expression).parse()


class _Parser:
    """Reads an expression from left to right, one method for each rule of the grammar."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [*_tokens(text), ("", len(text), False)]
        self._at = 0

    def parse(self) -> Matcher:
        if len(self._tokens) == 1:
            raise UsageError("the tag expression is empty; write e.g. --tag 'layer=unit and not slow'")
        matcher = self._either()
        if self._token:
            raise self._error(f"expected 'and', 'or' or the end, got {self._token!r}")
        return matcher

    def _either(self) -> Matcher:
        left = self._both()
        while self._takes("or"):
            left = _or(left, self._both())
        return left

    def _both(self) -> Matcher:
        left = self._one()
        while self._takes("and"):
            left = _and(left, self._one())
        return left

    def _one(self) -> Matcher:
        if self._takes("not"):
            return _not(self._one())
        if self._takes("("):
            inner = self._either()
            if not self._takes(")"):
                raise self._error("expected ')'")
            return inner
        return self._comparison()

    def _comparison(self) -> Matcher:
        name = self._name("a tag")
        if self._takes("=") or self._takes("=="):
            return _has(name, self._name("a value"))
        if self._takes("!="):
            return _not(_has(name, self._name("a value")))
        return lambda tags: bool(tags.get(name))

    @property
    def _token(self) -> str:
        return self._tokens[self._at][0]

    def _takes(self, word: str) -> bool:
        token, _, quoted = self._tokens[self._at]
        if token != word or quoted:
            return False
        self._at += 1
        return True

    def _name(self, what: str) -> str:
        token, _, quoted = self._tokens[self._at]
        if not quoted and (not token or token in _WORDS):
            raise self._error(f"expected {what}, got {token!r}" if token else f"expected {what} at the end")
        self._at += 1
        return token

    def _error(self, message: str) -> UsageError:
        return _refusal(self._text, self._tokens[self._at][1], message)


def _tokens(text: str) -> Iterator[tuple[str, int, bool]]:
    """Yield each token, where it begins, and whether it stood in quotes."""
    at = 0
    end = len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            raise _refusal(text, at, f"cannot read {text[at:].strip()[:1]!r}")
        index = found.lastindex or 0
        yield found[index], found.start(index), index in {2, 3}
        at = found.end()


def _refusal(text: str, at: int, message: str) -> UsageError:
    return UsageError(f"tag expression: {message}\n  {text}\n  {' ' * at}^")


def _has(name: str, value: str) -> Matcher:
    def matches(tags: Mapping[str, Any]) -> bool:
        if name not in tags:
            return False
        found = tags[name]
        values = found if isinstance(found, (list, tuple, set, frozenset)) else [found]
        return any(str(each) == value for each in values)

    return matches


def _or(left: Matcher, right: Matcher) -> Matcher:
    return lambda tags: left(tags) or right(tags)


def _and(left: Matcher, right: Matcher) -> Matcher:
    return lambda tags: left(tags) and right(tags)


def _not(inner: Matcher) -> Matcher:
    return lambda tags: not inner(tags)
