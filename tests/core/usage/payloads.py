"""Random provider payloads that are consistent, in the providers' own JSON."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

counts = st.integers(min_value=0, max_value=2_000_000)


@st.composite
def openai_chat(draw: st.DrawFn) -> dict[str, Any]:
    """A chat completion's JSON; details may be absent, as on older servers."""
    prompt, completion = draw(st.integers(1, 2_000_000)), draw(counts)
    read = draw(st.integers(0, prompt))
    written = draw(st.integers(0, prompt - read))
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if draw(st.booleans()):
        usage["prompt_tokens_details"] = {
            "cached_tokens": read,
            "cache_write_tokens": draw(st.sampled_from([None, written])),
            "audio_tokens": draw(st.integers(0, prompt)),
        }
        usage["completion_tokens_details"] = {
            "reasoning_tokens": draw(st.integers(0, completion)),
            "audio_tokens": draw(st.integers(0, completion)),
        }
    tier = draw(st.sampled_from([None, "default", "flex", "priority"]))
    return {"object": "chat.completion", "model": "gpt-4o-2024-08-06", "service_tier": tier, "usage": usage}


@st.composite
def openai_responses(draw: st.DrawFn) -> dict[str, Any]:
    """A Responses answer's JSON."""
    told, said = draw(st.integers(1, 2_000_000)), draw(counts)
    read = draw(st.integers(0, told))
    return {
        "object": "response",
        "model": "gpt-5.2",
        "service_tier": draw(st.sampled_from([None, "default", "flex", "priority"])),
        "output": [],
        "usage": {
            "input_tokens": told,
            "input_tokens_details": {
                "cached_tokens": read,
                "cache_write_tokens": draw(st.integers(0, told - read)),
            },
            "output_tokens": said,
            "output_tokens_details": {"reasoning_tokens": draw(st.integers(0, said))},
            "total_tokens": told + said,
        },
    }


@st.composite
def anthropic_message(draw: st.DrawFn) -> dict[str, Any]:
    """A Messages answer's JSON; the split by lifetime may be absent, as it was before 2025."""
    said = draw(counts)
    five, hour = draw(counts), draw(counts)
    usage: dict[str, Any] = {
        "input_tokens": draw(st.integers(1, 2_000_000)),
        "cache_read_input_tokens": draw(st.one_of(st.none(), counts)),
        "cache_creation_input_tokens": draw(st.one_of(st.none(), counts)),
        "output_tokens": said,
        "service_tier": draw(st.sampled_from([None, "standard", "priority"])),
    }
    if draw(st.booleans()):
        usage["cache_creation_input_tokens"] = five + hour
        usage["cache_creation"] = {"ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": hour}
    if draw(st.booleans()):
        usage["output_tokens_details"] = {"thinking_tokens": draw(st.integers(0, said))}
    if draw(st.booleans()):
        usage["server_tool_use"] = {"web_search_requests": draw(st.integers(0, 9)), "web_fetch_requests": 1}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }


@st.composite
def gemini_answer(draw: st.DrawFn) -> dict[str, Any]:
    """A generateContent answer's JSON."""
    prompt, answer = draw(st.integers(1, 2_000_000)), draw(st.integers(1, 2_000_000))
    thoughts, tools = draw(st.one_of(st.none(), st.integers(1, 9_999))), draw(st.sampled_from([None, 7]))
    audio, audio_out = draw(st.integers(0, prompt)), draw(st.integers(0, answer))
    usage: dict[str, Any] = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": answer,
        "totalTokenCount": prompt + answer + (thoughts or 0) + (tools or 0),
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": prompt - audio},
            {"modality": "AUDIO", "tokenCount": audio},
        ],
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": audio_out}],
    }
    if thoughts is not None:
        usage["thoughtsTokenCount"] = thoughts
    if tools is not None:
        usage["toolUsePromptTokenCount"] = tools
    if draw(st.booleans()):
        read = draw(st.integers(0, prompt))
        usage["cachedContentTokenCount"] = read
        usage["cacheTokensDetails"] = [{"modality": "AUDIO", "tokenCount": draw(st.integers(0, read))}]
    return {"modelVersion": "gemini-2.5-pro", "usageMetadata": usage}


@st.composite
def bedrock_converse(draw: st.DrawFn) -> dict[str, Any]:
    """A Converse answer's JSON."""
    fresh, said, read = draw(st.integers(1, 2_000_000)), draw(counts), draw(counts)
    five, hour = draw(counts), draw(counts)
    usage: dict[str, Any] = {
        "inputTokens": fresh,
        "outputTokens": said,
        "totalTokens": fresh + said + read + five + hour,
        "cacheReadInputTokens": read,
        "cacheWriteInputTokens": five + hour,
    }
    if draw(st.booleans()):
        usage["cacheDetails"] = [{"ttl": "1h", "inputTokens": hour}, {"ttl": "5m", "inputTokens": five}]
    return {"model": "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "usage": usage}
