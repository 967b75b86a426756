"""A stateful volume, compute, identity and secret service on loopback, faithful to recorded answers."""

from tests.embedded_cloud.cloud import Cloud
from tests.embedded_cloud.messages import Answer, Call
from tests.embedded_cloud.misbehaviour import Rule
from tests.embedded_cloud.records import Attachment, Server, Volume

__all__ = ["Answer", "Attachment", "Call", "Cloud", "Rule", "Server", "Volume"]
