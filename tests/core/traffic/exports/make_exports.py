"""Make the exports beside this file with the tools' own libraries, against the stand-in provider on loopback.

Run from the project's root, in an environment that has what README.md lists:
`PYTHONPATH=.:shared python tests/core/traffic/exports/make_exports.py`. Nothing leaves the machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

HERE = Path(__file__).parent
MODEL = "gpt-4.1-nano"
DATED = "gpt-4.1-nano-2025-04-14"
SYSTEM = {"role": "system", "content": "Answer briefly."}
PLAIN = [SYSTEM, {"role": "user", "content": "What is the capital of France?"}]
WITH_TOOL = [SYSTEM, {"role": "user", "content": "What is the weather in Paris?"}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Tells the weather.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


@contextlib.contextmanager
def provider() -> Iterator[str]:
    """Serve three answers: a plain one that reads 64 tokens from the cache, a tool call, and a refusal."""
    from examples.provider import (
        LoopbackProvider,
        ProviderAnswer,
        ProviderError,
        ProviderUsage,
        ScriptedEngine,
        ToolCall,
    )

    engine = ScriptedEngine(
        ProviderAnswer(
            text="Paris.",
            model=DATED,
            usage=ProviderUsage(input_tokens=120, output_tokens=8, cache_read_tokens=64),
        ),
        ProviderAnswer(
            tool_calls=(ToolCall(name="weather", arguments='{"city": "Paris"}', id="call_1"),),
            model=DATED,
            usage=ProviderUsage(input_tokens=90, output_tokens=20, reasoning_tokens=5),
        ),
        ProviderError(status=400, message="the prompt was refused"),
    )
    with LoopbackProvider(engine) as server:
        yield server.openai_url


def ask_three_times(client: Any, **more: Any) -> None:
    """Ask for the three answers; `more` goes with each request."""
    client.chat.completions.create(model=MODEL, messages=PLAIN, temperature=0.5, max_tokens=50, **more)
    client.chat.completions.create(model=MODEL, messages=WITH_TOOL, tools=TOOLS, **more)
    with contextlib.suppress(Exception):
        client.chat.completions.create(model=MODEL, messages=PLAIN, **more)


def plain(value: Any) -> Any:
    """Return plain JSON in which tracebacks do not name this machine's folders."""
    return json.loads(json.dumps(value, default=str).replace(sys.prefix, "/venv"))


def write_lines(name: str, rows: list[Any]) -> None:
    (HERE / name).write_text("".join(json.dumps(row) + "\n" for row in plain(rows)))


def otlp_of(spans: Any) -> dict[str, Any]:
    """Return spans as the JSON that OTLP prescribes: ids in hexadecimal digits, not in base 64."""
    import base64

    from google.protobuf.json_format import MessageToDict
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    told: dict[str, Any] = MessageToDict(encode_spans(spans))
    for batch in told["resourceSpans"]:
        for scope in batch["scopeSpans"]:
            for span in scope["spans"]:
                for field in ("traceId", "spanId", "parentSpanId"):
                    if field in span:
                        span[field] = base64.b64decode(span[field]).hex()
                span.pop("links", None)
    return dict(plain(told))


def tracing() -> tuple[Any, Any]:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    tracer_provider = TracerProvider(resource=Resource({"service.name": "travel-desk"}))
    tracer_provider.add_span_processor(SimpleSpanProcessor(kept))
    return tracer_provider, kept


def make_otlp() -> None:
    """OpenTelemetry's instrumentation of the OpenAI client, inside an agent's span that sums its usage."""
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
    os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "span_only"
    from openai import OpenAI
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

    tracer_provider, kept = tracing()
    OpenAIInstrumentor().instrument(tracer_provider=tracer_provider)
    tracer = tracer_provider.get_tracer("travel-desk")
    with provider() as url, tracer.start_as_current_span("plan a trip") as span:
        span.set_attributes(
            {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": "trip planner",
                "gen_ai.request.model": MODEL,
                "gen_ai.conversation.id": "talk-1",
                "user.id": "ada",
                "gen_ai.usage.input_tokens": 210,
                "gen_ai.usage.output_tokens": 28,
            }
        )
        ask_three_times(OpenAI(base_url=url, api_key="unused", max_retries=0))
    OpenAIInstrumentor().uninstrument()
    (HERE / "otlp_genai.json").write_text(json.dumps(otlp_of(kept.get_finished_spans()), indent=1))


def make_otlp_events() -> None:
    """The same instrumentation where content travels as log records beside the spans."""
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
    os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "event_only"
    os.environ["OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"] = "true"
    import base64

    from google.protobuf.json_format import MessageToDict
    from openai import OpenAI
    from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

    tracer_provider, kept = tracing()
    logger_provider, kept_logs = LoggerProvider(), InMemoryLogRecordExporter()
    logger_provider.add_log_record_processor(SimpleLogRecordProcessor(kept_logs))
    OpenAIInstrumentor().instrument(tracer_provider=tracer_provider, logger_provider=logger_provider)
    tracer = tracer_provider.get_tracer("travel-desk")
    with provider() as url, tracer.start_as_current_span("trips") as span:
        span.set_attributes({"user.id": "ada", "session.id": "talk-1"})
        ask_three_times(OpenAI(base_url=url, api_key="unused", max_retries=0))
    OpenAIInstrumentor().uninstrument()
    logs = plain(MessageToDict(encode_logs(kept_logs.get_finished_logs())))
    for batch in logs["resourceLogs"]:
        for scope in batch["scopeLogs"]:
            for record in scope["logRecords"]:
                for field in ("traceId", "spanId"):
                    record[field] = base64.b64decode(record[field]).hex()
    write_lines("otlp_genai_events.jsonl", [logs, otlp_of(kept.get_finished_spans())])


def make_phoenix() -> None:
    """OpenInference's instrumentation: as OTLP, as spans of Phoenix's web interface, and as its tables."""
    import pandas as pd
    from openai import OpenAI
    from openinference.instrumentation import using_attributes
    from openinference.instrumentation.openai import OpenAIInstrumentor

    tracer_provider, kept = tracing()
    OpenAIInstrumentor().instrument(tracer_provider=tracer_provider)
    tracer = tracer_provider.get_tracer("travel-desk")
    with (
        provider() as url,
        using_attributes(
            session_id="talk-1", user_id="ada", metadata={"feature": "trips"}, tags=["plan:free"]
        ),
        tracer.start_as_current_span("plan a trip") as span,
    ):
        span.set_attribute("openinference.span.kind", "CHAIN")
        ask_three_times(OpenAI(base_url=url, api_key="unused", max_retries=0))
    OpenAIInstrumentor().uninstrument()
    spans = kept.get_finished_spans()
    (HERE / "openinference_otlp.jsonl").write_text(json.dumps(otlp_of(spans)) + "\n")
    rows = plain([phoenix_span_of(span) for span in spans])
    write_lines("phoenix_spans.jsonl", rows)
    frame = pd.json_normalize([{**row, "attributes": unflattened(row["attributes"])} for row in rows])
    frame["start_time"] = pd.to_datetime(frame["start_time"])
    frame["end_time"] = pd.to_datetime(frame["end_time"])
    frame.to_parquet(HERE / "phoenix_frame.parquet")
    frame.to_csv(HERE / "phoenix_frame.csv", index=False)


def phoenix_span_of(span: Any) -> dict[str, Any]:
    """Return a span in the shape of `phoenix.client`'s `Span`, which is checked."""
    from phoenix.client.__generated__ import v1

    told = {
        "name": span.name,
        "context": {
            "trace_id": format(span.context.trace_id, "032x"),
            "span_id": format(span.context.span_id, "016x"),
        },
        "span_kind": span.attributes["openinference.span.kind"],
        "parent_id": None if span.parent is None else format(span.parent.span_id, "016x"),
        "start_time": iso(span.start_time),
        "end_time": iso(span.end_time),
        "status_code": span.status.status_code.name,
        "status_message": span.status.description or "",
        "attributes": dict(span.attributes),
        "events": [
            {"name": event.name, "timestamp": iso(event.timestamp), "attributes": dict(event.attributes)}
            for event in span.events
        ],
    }
    checked = {name: value for name, value in told.items() if value is not None}
    assert set(checked) <= set(v1.Span.__annotations__)
    return told


def iso(nanoseconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat()


def unflattened(attributes: dict[str, Any]) -> dict[str, Any]:
    """Nest attributes as Phoenix keeps them: `llm.input_messages` becomes a list of messages."""
    tree: dict[str, Any] = {}
    for name, value in attributes.items():
        node = tree
        *path, last = name.split(".")
        for part in path:
            node = node.setdefault(part, {})
        node[last] = list(value) if isinstance(value, tuple) else value
    return listed(tree)


def listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(name.isdigit() for name in value):
        return [listed(value[name]) for name in sorted(value, key=int)]
    return {name: listed(inner) for name, inner in value.items()}


def make_langfuse() -> None:
    """Langfuse's OpenAI client; its spans, turned into the library's own type of an exported observation."""
    from langfuse import Langfuse, propagate_attributes
    from langfuse.openai import OpenAI

    tracer_provider, kept = tracing()
    client = Langfuse(
        public_key="pk-unused",
        secret_key="sk-unused",
        base_url="http://127.0.0.1:9",
        tracer_provider=tracer_provider,
    )
    with (
        provider() as url,
        client.start_as_current_observation(as_type="span", name="plan a trip"),
        propagate_attributes(
            user_id="ada", session_id="talk-1", tags=["plan:free"], metadata={"feature": "trips"}
        ),
    ):
        ask_three_times(OpenAI(base_url=url, api_key="unused", max_retries=0))
    spans = kept.get_finished_spans()
    (HERE / "langfuse_sdk_otlp.json").write_text(json.dumps(otlp_of(spans)))
    observations = [observation_of(span) for span in spans]
    (HERE / "langfuse_observations.json").write_text(
        json.dumps([json.loads(item.json(by_alias=True)) for item in observations], indent=1)
    )
    rows = [bucket_row_of(item) for item in observations]
    write_lines("langfuse_blob.jsonl", rows)
    write_csv("langfuse_blob.csv", rows)


def observation_of(span: Any) -> Any:
    from langfuse.api import ObservationV2

    told = span.attributes
    kind = str(told.get("langfuse.observation.type", "span")).upper()
    usage = json.loads(told.get("langfuse.observation.usage_details", "{}"))
    return ObservationV2(
        id=format(span.context.span_id, "016x"),
        trace_id=format(span.context.trace_id, "032x"),
        project_id="project-1",
        parent_observation_id=None if span.parent is None else format(span.parent.span_id, "016x"),
        type=kind,
        name=span.name,
        start_time=iso(span.start_time),
        end_time=iso(span.end_time),
        level=told.get("langfuse.observation.level", "DEFAULT"),
        status_message=told.get("langfuse.observation.status_message"),
        user_id=told.get("user.id"),
        session_id=told.get("session.id"),
        input=decoded(told.get("langfuse.observation.input")),
        output=decoded(told.get("langfuse.observation.output")),
        metadata={"feature": "trips"},
        tags=list(told.get("langfuse.trace.tags", ())),
        model=told.get("langfuse.observation.model.name"),
        model_parameters=decoded(told.get("langfuse.observation.model.parameters")),
        usage_details=buckets_of(usage),
        total_cost=0.0,
    )


def buckets_of(usage: dict[str, Any]) -> dict[str, int]:
    """Split OpenAI's usage into buckets that exclude each other, as Langfuse does when it takes it in."""
    if not usage:
        return {}
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens", 0)
    return {
        "input": usage["prompt_tokens"] - cached,
        "output": usage["completion_tokens"] - reasoning,
        "total": usage["total_tokens"],
        "input_cached_tokens": cached,
        "output_reasoning_tokens": reasoning,
    }


def bucket_row_of(item: Any) -> dict[str, Any]:
    """Return the row of the documented export of enriched observations."""
    told = json.loads(item.json(by_alias=True))

    def stamp(text: str | None) -> str | None:
        return None if text is None else text.replace("T", " ").removesuffix("Z").removesuffix("+00:00")

    return {
        "id": told["id"],
        "trace_id": told["traceId"],
        "project_id": told["projectId"],
        "environment": "default",
        "type": told["type"],
        "parent_observation_id": told.get("parentObservationId") or "",
        "start_time": stamp(told["startTime"]),
        "end_time": stamp(told["endTime"]),
        "name": told["name"],
        "metadata": told["metadata"],
        "level": told["level"],
        "status_message": told.get("statusMessage") or "",
        "input": json.dumps(told["input"]) if told.get("input") is not None else "",
        "output": json.dumps(told["output"]) if told.get("output") is not None else "",
        "provided_model_name": told.get("model") or "",
        "model_parameters": json.dumps(told["modelParameters"]) if told.get("modelParameters") else "",
        "usage_details": told["usageDetails"],
        "cost_details": {},
        "total_cost": 0,
        "latency": None,
        "user_id": told.get("userId") or "",
        "session_id": told.get("sessionId") or "",
        "trace_name": "plan a trip",
        "tags": told.get("tags") or [],
    }


def decoded(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text


def write_csv(name: str, rows: list[dict[str, Any]]) -> None:
    import csv

    with (HERE / name).open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in row.items()})


class Inbox(BaseHTTPRequestHandler):
    """Takes what a client sends to its server, and keeps it."""

    kept: ClassVar[list[tuple[str, str, Any]]] = []

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.kept.append((self.command, self.path, json.loads(body) if body else None))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_PATCH = do_GET = _take  # noqa: N815 - the names that the server calls

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


def make_langsmith() -> None:
    """LangChain and a wrapped OpenAI client, traced by LangSmith's client to a server that keeps the runs."""
    inbox = ThreadingHTTPServer(("127.0.0.1", 0), Inbox)
    threading.Thread(target=inbox.serve_forever, daemon=True).start()
    from langchain_core.tracers.langchain import LangChainTracer
    from langchain_openai import ChatOpenAI
    from langsmith import Client, traceable, tracing_context
    from langsmith.wrappers import wrap_openai
    from openai import OpenAI

    client = Client(
        api_url=f"http://127.0.0.1:{inbox.server_port}", api_key="unused", auto_batch_tracing=False, info={}
    )
    metadata = {"user_id": "ada", "session_id": "talk-1", "feature": "trips"}
    with provider() as url, tracing_context(enabled=True, client=client, project_name="travel-desk"):
        model = ChatOpenAI(model=MODEL, base_url=url, api_key="unused", temperature=0.5, max_tokens=50)
        tracer = LangChainTracer(project_name="travel-desk", client=client)
        model.invoke(
            [("system", SYSTEM["content"]), ("human", PLAIN[1]["content"])],
            {"callbacks": [tracer], "metadata": metadata, "tags": ["plan:free"]},
        )
        wrapped = wrap_openai(OpenAI(base_url=url, api_key="unused", max_retries=0))

        @traceable(name="plan a trip", run_type="chain", metadata=metadata, tags=["plan:free"])
        def plan(question: str) -> None:
            wrapped.chat.completions.create(model=MODEL, messages=WITH_TOOL, tools=TOOLS)
            with contextlib.suppress(Exception):
                wrapped.chat.completions.create(model=MODEL, messages=PLAIN)

        plan("weather", langsmith_extra={"client": client, "project_name": "travel-desk"})
        client.flush()
        time.sleep(1)
    runs: dict[str, dict[str, Any]] = {}
    for command, path, body in Inbox.kept:
        if command == "POST" and path.endswith("/runs"):
            runs.setdefault(body["id"], {}).update(body)
        elif command == "PATCH" and "/runs/" in path:
            runs.setdefault(path.rsplit("/", 1)[1], {}).update(
                {k: v for k, v in body.items() if v is not None}
            )
    from langsmith.schemas import Run

    rows = []
    for run in runs.values():
        run.pop("events", None)
        run.pop("serialized", None)
        (run.get("extra") or {}).pop("runtime", None)
        run.get("extra", {}).get("metadata", {}).pop("revision_id", None)
        whole = {**run, "session_id": "9f0b8c6e-0000-4000-8000-000000000000"}
        rows.append(json.loads(Run(**whole).model_dump_json()))
    write_lines("langsmith_runs.jsonl", rows)


def make_litellm() -> None:
    """LiteLLM's completion with a logger that keeps its standard payload, and its proxy's row of it."""
    import litellm
    from litellm.integrations.custom_logger import CustomLogger
    from litellm.proxy.spend_tracking.spend_tracking_utils import get_logging_payload

    payloads: list[Any] = []
    seen: list[tuple[Any, Any, Any, Any]] = []

    class Keep(CustomLogger):
        def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            payloads.append(kwargs["standard_logging_object"])
            seen.append((kwargs, response_obj, start_time, end_time))

        def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            payloads.append(kwargs["standard_logging_object"])

    litellm.callbacks = [Keep()]
    with provider() as url:
        more = {
            "api_base": url,
            "api_key": "unused",
            "user": "ada",
            "num_retries": 0,
            "litellm_session_id": "talk-1",
            "metadata": {  # as the proxy fills it in from the key and the request
                "user_api_key_end_user_id": "ada",
                "user_api_key_team_alias": "travel-desk",
                "user_api_key_alias": "web",
                "spend_logs_metadata": {"feature": "trips"},
                "tags": ["plan:free"],
            },
        }
        litellm.completion(model=f"openai/{MODEL}", messages=PLAIN, temperature=0.5, max_tokens=50, **more)
        litellm.completion(model=f"openai/{MODEL}", messages=WITH_TOOL, tools=TOOLS, **more)
        with contextlib.suppress(Exception):
            litellm.completion(model=f"openai/{MODEL}", messages=PLAIN, **more)
        time.sleep(2)
    payloads.sort(key=lambda item: item["startTime"])
    write_lines("litellm_payload.jsonl", payloads)
    rows = [dict(get_logging_payload(*call)) for call in seen]
    rows.sort(key=lambda row: str(row["startTime"]))
    write_lines("litellm_spend_logs.jsonl", rows)
    write_csv("litellm_spend_logs.csv", plain(rows))


MAKERS: dict[str, Callable[[], None]] = {
    "otlp": make_otlp,
    "otlp_events": make_otlp_events,
    "phoenix": make_phoenix,
    "langfuse": make_langfuse,
    "langsmith": make_langsmith,
    "litellm": make_litellm,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or MAKERS:
        MAKERS[name]()
