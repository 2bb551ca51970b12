"""What must be equal for two requests to share an answer at all, as one string."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from tokenomics_core.cache._canonical import canonical, schema_of, tool_of
from tokenomics_core.errors import ConfigurationError

__all__ = ["partition_of"]

_FORMAT = "p1"


def partition_of(
    *,
    tenant: str | None = None,
    model: str | None = None,
    settings: Mapping[str, Any] | None = None,
    tools: Sequence[Any] | None = None,
    response_schema: Any = None,
    system: Any = None,
    history: Sequence[Any] = (),
    source_versions: Mapping[str, Any] | None = None,
    epoch: str | int = 0,
    extra: Any = None,
    secret: bytes | None = None,
) -> str:
    """Digest a request without its last question into the name of a partition.

    It is the same in every process, and two requests that differ in any part have different ones: parts are
    written as JSON with their kinds, so nothing is gained by moving text from one to the next.

    Args:
        tenant: Whose answers these are; only a digest of it gets into the name.
        model: Which model answers, or the name of a class of models that may answer for one another.
        settings: Temperature, limits, stop words ...; whatever changes what the model says.
        tools: As the model is told of them, by content.
        response_schema: A JSON schema, or a class that has one; what it says counts, not what it is called.
        system: The system prompt.
        history: All earlier turns that count.
        source_versions: Version by id of the documents that the answer is drawn from.
        epoch: Changed by whoever wants to begin anew.
        extra: Whatever else must be equal.
        secret: Key for the tenant's digest, so that nobody can guess tenants from a stolen store.

    Raises:
        ConfigurationError: A part has no content that can be read; such a request cannot share an answer.
    """
    request = {
        "tenant": tenant_digest(tenant, secret),
        "model": model,
        "settings": {} if settings is None else dict(settings),
        "tools": [] if tools is None else [tool_of(tool) for tool in tools],
        "schema": schema_of(response_schema),
        "system": system,
        "history": list(history),
        "sources": {} if source_versions is None else dict(source_versions),
        "epoch": str(epoch),
        "extra": extra,
    }
    digest = hashlib.sha256(canonical(request).encode("ascii")).hexdigest()
    return f"{_FORMAT}-{digest}"


def tenant_digest(tenant: str | None, secret: bytes | None) -> str | None:
    """Return what stands for a tenant; without a secret whoever knows its name can compute it."""
    if tenant is None:
        return None
    if not isinstance(tenant, str):
        raise ConfigurationError(f"tenant must be a string, not {tenant!r}; no partition was made")
    if secret is not None and not secret:
        raise ConfigurationError("secret must not be empty; no partition was made")
    name = tenant.encode("utf-8", "surrogatepass")
    return hmac.new(secret or b"tokenomics", name, hashlib.sha256).hexdigest()
