"""Read a model's name as it is written in the wild; nothing here knows a price."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tokenomics_core.pricing._providers import Hint, read_provider

__all__ = ["ModelName", "is_open_weights", "other_spellings", "read_model_name"]


@dataclass(frozen=True, slots=True)
class ModelName:
    """A model's name, taken apart.

    Attributes:
        full: The name without decoration, in lower case: no `[1m]`, no `?effort=high`, no resource path.
        rest: The name after a provider's prefix, or `full` where there is none.
        prefix: What the prefix or the shape of the name says about the provider.
        is_path: Whether the prefix was followed by a slash, as in gateways' names, and not by a colon.
        region: Where it is served, as far as the name of a Bedrock model tells.
        refusal: Why no price can belong to the name; None where one may.
    """

    full: str
    rest: str
    prefix: Hint | None = None
    is_path: bool = False
    region: str | None = None
    refusal: str | None = None


_AWS = Hint("aws", "vendor")
_GOOGLE = Hint("google", "vendor")
_FIREWORKS = Hint("fireworks", "vendor")
_REGIONS = r"(?:us|eu|apac|ap|au|jp|ca|sa|in|me|af|il|mx|uk|us-gov|global)"
_BEDROCK = re.compile(
    rf"^(?:{_REGIONS}\.)?(?:ai21|amazon|anthropic|cohere|deepseek|google|luma|meta|minimax|mistral|moonshotai|nvidia"
    r"|openai|qwen|stability|twelvelabs|writer|zai)\.[a-z]"
)
_REGION_PREFIX = re.compile(rf"^(?P<region>{_REGIONS})\.")
_DECORATION = re.compile(r"(?:\?.*|#.*|\[\d+[km]\])$")
_ARN = re.compile(r"^arn:aws[a-z-]*:bedrock:(?P<region>[^:]*):[^:]*:(?P<kind>[a-z-]+)/(?P<id>.+)$")
_ARN_KINDS = frozenset({"foundation-model", "inference-profile"})
_OPAQUE = ("arn:", "projects/", "tunedmodels/", "endpoints/", "deployments/")
_PUBLISHER = re.compile(
    r"^(?:projects/[^/]+/locations/[^/]+/)?publishers/(?P<who>[^/]+)/models/(?P<id>[^/]+)$"
)
_BEDROCK_ROUTE = re.compile(
    r"^(?:(?:converse|converse_like|invoke)/)?(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)/)?"
)


def read_model_name(name: str) -> ModelName:
    """Take a model's name apart."""
    full = name.strip().lower()
    while (stripped := _DECORATION.sub("", full)) != full:
        full = stripped.strip()
    return _read_resource(full) or _read_prefix(full) or _read_shape(full) or ModelName(full, full)


def _read_resource(full: str) -> ModelName | None:
    """Read paths of cloud resources."""
    if full.startswith("models/"):
        rest = full.removeprefix("models/")
        return ModelName(rest, rest, _GOOGLE)
    if publisher := _PUBLISHER.match(full):
        return ModelName(publisher["id"], publisher["id"], _GOOGLE)
    if full.startswith("accounts/"):
        shared = full.startswith("accounts/fireworks/models/")
        refusal = None if shared else "a deployment of one's own is billed by the hour, not by token"
        return ModelName(full, full, _FIREWORKS, refusal=refusal)
    arn = _ARN.match(full)
    if arn is not None and arn["kind"] in _ARN_KINDS:
        return _bedrock(arn["id"], arn["region"] or None)
    if full.startswith(_OPAQUE):
        return ModelName(full, full, refusal="this resource hides which model it runs; name it with an alias")
    return None


def _read_prefix(full: str) -> ModelName | None:
    """Read `provider/model` and `provider:model`."""
    for mark in ("/", ":"):
        prefix, found, rest = full.partition(mark)
        hint = read_provider(prefix) if found and rest else None
        if hint is None:
            continue
        if prefix == "huggingface":
            router, _, model = rest.partition("/")
            routed = read_provider(f"huggingface {router}")
            if routed is not None and model:
                return ModelName(full, model, routed, is_path=True)
        if hint.id == "aws":
            return _read_bedrock_route(full, rest)
        inner = _read_resource(rest)
        if inner is not None and (inner.refusal or inner.prefix == hint):
            return inner
        if hint.id == "azure":
            rest = rest.removeprefix("global/").removeprefix("global-standard/")
        return ModelName(full, rest, hint, is_path=mark == "/")
    return None


def _read_bedrock_route(full: str, rest: str) -> ModelName:
    """Read what gateways write behind `bedrock/`: a way to call it, a region, the model."""
    if (inner := _read_resource(rest)) is not None:
        return inner
    route = _BEDROCK_ROUTE.match(rest)
    model = rest[route.end() :] if route else rest
    if "commitment/" in model:
        return ModelName(full, rest, _AWS, refusal="committed throughput is billed by the hour, not by token")
    named = _bedrock(model, route["region"] if route else None)
    return ModelName(full, named.rest, _AWS, is_path=True, region=named.region)


def _bedrock(model: str, region: str | None = None) -> ModelName:
    """Read a Bedrock model's own name; a region before its first point says most precisely where it runs."""
    prefix = _REGION_PREFIX.match(model)
    return ModelName(model, model, _AWS, region=prefix["region"] if prefix else region)


def _read_shape(full: str) -> ModelName | None:
    if _BEDROCK.match(full):
        return _bedrock(full)
    if full.startswith("@cf/"):
        return ModelName(full, full, Hint("cloudflare", "vendor"))
    if full.startswith(("databricks-", "system.ai.")):
        return ModelName(full, full, Hint("databricks", "vendor"))
    return None


_OPEN_WEIGHTS = re.compile(
    r"^(?:gpt-?oss|llama|meta-llama|codellama|gemma|codegemma|qwen|qwq|mixtral|mistral-(?:7b|nemo|tiny|small-\d*\.?\d*-?24b)"
    r"|open-mi[sx]tral|ministral|devstral-small(?!-latest)|magistral-small(?!-latest)|pixtral-12b|voxtral"
    r"|deepseek-(?:r1|v2|v3|coder|llm|math|ocr|prover|vl)|kimi-(?!latest)|moonlight|glm-|chatglm|minimax-|phi-|aya"
    r"|c4ai-|jamba|falcon|yi-|granite|nemotron|llama-nemotron|olmo|smollm|starcoder|zephyr|vicuna|wizard|nous-|hermes"
    r"|dbrx|solar|orca|bge-|e5-|gte-|nomic-|mxbai-|all-minilm|r1-1776|step-|ernie-\d|hunyuan-)"
)


def is_open_weights(rest: str) -> bool:
    """Whether anyone may serve a model of that name, at any price, so that its name alone is no offer."""
    return bool(_OPEN_WEIGHTS.match(rest.rsplit("/", 1)[-1]))


_COMPACT = re.compile(r"(?<=[-@])(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=$|[-:@])")
_DASHED = re.compile(r"(?<=[-@])(20\d\d)-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(?=$|[-:@])")
_CLAUDE = re.compile(
    r"^claude-(?P<version>[4-9](?:[.-]\d)?)-(?P<name>sonnet|opus|haiku|fable|mythos)(?=$|[-@:])"
)
_POINT = re.compile(r"(?<=[a-z]-)(\d)\.(\d)(?=$|[-@:])")
_DASH = re.compile(r"(?<=[a-z]-)(\d)-(\d)(?=$|[-@:])")
_FINE_TUNED = re.compile(r"^(?P<base>ft:[^:]+):.*$")
_RENAMED = {"gemini-1.5-flash-8b": "gemini-flash-1.5-8b"}


def other_spellings(ref: str) -> Iterator[str]:
    """Yield a name and then other ways to write the same one, the likeliest first, none twice.

    Only rewritings that cannot lead to another model: separators, the form of a date, the order of a
    Claude's name and version. A date is never dropped, since dated versions of a model differ in price.
    """
    seen: set[str] = set()
    for rewritten in _rewritings(ref):
        if rewritten not in seen:
            seen.add(rewritten)
            yield rewritten


def _rewritings(ref: str) -> Iterator[str]:
    yield ref
    plain = re.sub(r"@(?:default|latest)$", "", ref)
    if plain.startswith("gpt-35-"):
        plain = f"gpt-3.5-{plain.removeprefix('gpt-35-')}"
    if fine_tuned := _FINE_TUNED.match(plain):
        yield plain
        yield fine_tuned["base"]
        return
    if claude := _CLAUDE.match(plain):
        plain = f"claude-{claude['name']}-{claude['version']}{plain[claude.end() :]}"
    for start in (plain, _RENAMED.get(plain, plain)):
        for form in (start, _POINT.sub(r"\1-\2", start), _DASH.sub(r"\1.\2", start)):
            yield form
            yield _COMPACT.sub(r"\1-\2-\3", form)
            yield _DASHED.sub(r"\1\2\3", form)
            yield form.replace("@", "-")
            if form.startswith(("claude-", "gemini-", "grok-")):
                yield form.removesuffix("-latest")
