"""The wire formats that the stand-in speaks, one module each."""

from examples.provider.wire._common import Event, Stamp, Wire
from examples.provider.wire.chat import CHAT
from examples.provider.wire.messages import MESSAGES
from examples.provider.wire.responses import RESPONSES

__all__ = ["CHAT", "MESSAGES", "RESPONSES", "Event", "Stamp", "Wire"]
