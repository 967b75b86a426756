"""A stateful volume, compute, identity and secret service on loopback, faithful to recorded answers."""

from tests.cloud.cloud import Cloud
from tests.cloud.messages import Answer, Call
from tests.cloud.misbehaviour import Rule
from tests.cloud.records import Attachment, Server, Volume

__all__ = ["Answer", "Attachment", "Call", "Cloud", "Rule", "Server", "Volume"]
