"""Who a call is for, carried by one context variable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from functools import wraps
from typing import ParamSpec, TypeVar

from tokenomics_core.errors import ConfigurationError

__all__ = ["Attribution", "attribution", "current_attribution", "in_context"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_DIMENSIONS = ("user", "feature", "project", "conversation", "run")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Who a call is for; what is not known is None.

    Attributes:
        user: The person or account that the call serves.
        feature: The part of the application that made it.
        project: The application or cost centre.
        conversation: The dialogue or thread that it belongs to.
        run: The agent or chain run that it belongs to.
        tags: Anything else, by name, such as `user_tier`.
    """

    user: str | None = None
    feature: str | None = None
    project: str | None = None
    conversation: str | None = None
    run: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        values: tuple[object, ...] = (self.user, self.feature, self.project, self.conversation, self.run)
        for value in values:
            if value is not None and not isinstance(value, str):
                name = _DIMENSIONS[values.index(value)]
                raise ConfigurationError(f"{name} must be a string, not {value!r}")
        if self.tags:
            self._copy_tags()

    def _copy_tags(self) -> None:
        if not isinstance(self.tags, Mapping):
            raise ConfigurationError(f"tags must map strings to strings, not {self.tags!r:.80}")
        object.__setattr__(self, "tags", dict(self.tags))
        for key, value in self.tags.items():
            if not isinstance(key, str) or not isinstance(value, str):
                raise ConfigurationError(f"tags must map strings to strings, not {key!r} to {value!r}")

    def merge(self, inner: Attribution) -> Attribution:
        """Return this attribution with everything that `inner` knows laid over it."""
        if inner is _NOBODY:
            return self
        return Attribution(
            user=self.user if inner.user is None else inner.user,
            feature=self.feature if inner.feature is None else inner.feature,
            project=self.project if inner.project is None else inner.project,
            conversation=self.conversation if inner.conversation is None else inner.conversation,
            run=self.run if inner.run is None else inner.run,
            tags={**self.tags, **inner.tags} if inner.tags else self.tags,
        )

    def within(self, run: str) -> Attribution:
        """Return this attribution with a run, unless it names one itself."""
        if self.run is not None:
            return self
        # Asked for every call that is tracked, and everything but the run has been checked already.
        inner = _new(Attribution)
        _set_user(inner, self.user)
        _set_feature(inner, self.feature)
        _set_project(inner, self.project)
        _set_conversation(inner, self.conversation)
        _set_run(inner, run)
        _set_tags(inner, self.tags)
        return inner

    def get(self, dimension: str) -> str | None:
        """Return a named dimension's value, or the tag of that name."""
        if dimension in _DIMENSIONS:
            value: str | None = getattr(self, dimension)
            return value
        return self.tags.get(dimension)

    def to_dict(self) -> dict[str, object]:
        """Return what is known as plain JSON types."""
        out: dict[str, object] = {
            name: getattr(self, name) for name in _DIMENSIONS if getattr(self, name) is not None
        }
        if self.tags:
            out["tags"] = dict(self.tags)
        return out


_new = object.__new__
_set_user, _set_feature, _set_project, _set_conversation, _set_run, _set_tags = (
    Attribution.__dict__[name].__set__ for name in (*_DIMENSIONS, "tags")
)
_NOBODY = Attribution()
_current: ContextVar[Attribution] = ContextVar("tokenomics_attribution", default=_NOBODY)


def current_attribution() -> Attribution:
    """Return the attribution in force here."""
    return _current.get()


@contextmanager
def attribution(
    *,
    user: str | None = None,
    feature: str | None = None,
    project: str | None = None,
    conversation: str | None = None,
    run: str | None = None,
    tags: Mapping[str, str] | None = None,
    **more_tags: str,
) -> Iterator[Attribution]:
    """Attribute every call inside the block; blocks nest by merging, the inner one wins.

    Further keywords become tags: `attribution(user="ada", user_tier="power")`.
    The value follows tasks and the threads that a framework starts; for a thread of your own
    wrap its function in `in_context`.
    """
    here = Attribution(
        user=user,
        feature=feature,
        project=project,
        conversation=conversation,
        run=run,
        tags={**(tags or {}), **more_tags},
    )
    merged = _current.get().merge(here)
    token = _current.set(merged)
    try:
        yield merged
    finally:
        try:
            _current.reset(token)
        except ValueError:  # closed in another context, as a generator collected elsewhere is
            _current.set(token.old_value if isinstance(token.old_value, Attribution) else _NOBODY)


def in_context(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Bind a function to the attribution and trackers in force now, for use in a thread of your own."""
    context = copy_context()

    @wraps(function)
    def bound(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        return context.copy().run(function, *args, **kwargs)

    return bound
