"""`tokenomics prompt analyze` reads what people have and says where its tokens go."""

import json

import pytest

from tokenomics_core.cli import main

MESSAGES = [
    {
        "role": "system",
        "content": "Current time: 2026-03-04T10:22:07Z\nAnswer briefly. " + "Be kind to people. " * 9,
    },
    {"role": "user", "content": "How long can I return shoes?"},
]


@pytest.mark.parametrize("value", [MESSAGES, {"messages": MESSAGES, "tools": []}])
def test_messages_and_requests_are_analysed(tmp_path, capsys, value):
    path = tmp_path / "request.json"
    path.write_text(json.dumps(value))
    assert (
        main(
            [
                "prompt",
                "analyze",
                str(path),
                "--model",
                "gpt-4o",
                "--calls-per-month",
                "10k",
                "--format",
                "json",
            ]
        )
        == 0
    )
    report = json.loads(capsys.readouterr().out)
    assert report["suggestions"][0]["kind"] == "unstable_prefix"
    assert float(report["suggestions"][0]["usd_per_month"]) > 0
    assert sum(share["tokens"] for share in report["shares"]) <= report["tokens"]


def test_a_system_text_beside_the_messages_is_read(tmp_path, capsys):
    path = tmp_path / "request.json"
    path.write_text(json.dumps({"system": "Be brief.", "messages": MESSAGES[1:]}))
    assert main(["prompt", "analyze", str(path), "--model", "claude-sonnet-4-5", "--format", "json"]) == 0
    assert {share["source"] for share in json.loads(capsys.readouterr().out)["shares"]} == {
        "system",
        "question",
    }


def test_plain_text_is_a_prompt_too(tmp_path, capsys):
    path = tmp_path / "prompt.txt"
    path.write_text("Name three uses of baking soda.")
    assert main(["prompt", "analyze", str(path), "--model", "gpt-4o"]) == 0
    assert "Where they go" in capsys.readouterr().out


def test_what_is_no_text_is_refused(tmp_path, capsys):
    path = tmp_path / "prompt.bin"
    path.write_bytes(b"\xff\xfe\x00")
    assert main(["prompt", "analyze", str(path), "--model", "gpt-4o"]) == 2
    assert "nothing was analysed" in capsys.readouterr().err
