"""An engine that caches the beginnings of prompts as their providers document it."""

import json

from examples.provider import ProviderAnswer, ProviderUsage

TTLS_S = {"5m": 300, "1h": 3600, "30m": 1800}


def tokens_of(text):
    return len(text) // 4


class CachingEngine:
    """Reads the marks: Anthropic's find entries up to 20 blocks before them, OpenAI's only their own."""

    def __init__(self, clock, script=None):
        self.clock, self.script = clock, script
        self.alive = {}
        self.marks = []

    def answer(self, request):
        anthropic = request.api == "messages"
        prefix, ends = "", []
        for text, mark in self._units(request.body, anthropic=anthropic):
            prefix += text
            ends.append((prefix, mark))
        self.marks.append([mark for _, mark in ends if mark])
        assert len(self.marks[-1]) <= 4
        lives = [TTLS_S[mark] for mark in self.marks[-1]] if anthropic else []
        assert lives == sorted(lives, reverse=True)  # Anthropic refuses a longer lifetime behind a shorter
        read = written = 0
        for at, (prefix, mark) in enumerate(ends):
            if mark is None:
                continue
            back = range(max(0, at - 20), at + 1) if anthropic else [at]
            for place in back:
                if self.alive.get(ends[place][0], -1) >= self.clock():
                    read = max(read, tokens_of(ends[place][0]))
            ttl = mark if anthropic else "30m"
            if tokens_of(prefix) >= 1024:
                written = max(written, tokens_of(prefix))
        for prefix, mark in ends:
            if mark is not None and tokens_of(prefix) >= 1024:
                ttl = mark if anthropic else "30m"
                self.alive[prefix] = max(self.clock() + TTLS_S[ttl], self.alive.get(prefix, 0))
        total = tokens_of(ends[-1][0]) if ends else 0
        answer = self.script(request) if self.script else ProviderAnswer(text="Yes.")
        kind = "cache_write_1h_tokens" if "1h" in self.marks[-1] else "cache_write_5m_tokens"
        usage = ProviderUsage(
            input_tokens=total,
            output_tokens=5,
            cache_read_tokens=read,
            **{kind: max(written - read, 0)},
        )
        return ProviderAnswer(text=answer.text, tool_calls=answer.tool_calls, usage=usage)

    def _units(self, body, *, anthropic):
        key = "cache_control" if anthropic else "prompt_cache_breakpoint"
        for tool in body.get("tools", []):
            yield json.dumps({k: v for k, v in tool.items() if k != key}), self._mark(tool, key)
        messages = body["messages"]
        if anthropic and "system" in body:
            messages = [{"role": "system", "content": body["system"]}, *messages]
        for message in messages:
            content = message.get("content") or []
            blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
            rest = {k: v for k, v in message.items() if k != "content"}
            yield json.dumps(rest), None
            for block in blocks:
                yield json.dumps({k: v for k, v in block.items() if k != key}), self._mark(block, key)

    @staticmethod
    def _mark(block, key):
        mark = block.get(key)
        return None if mark is None else mark.get("ttl", "5m")
