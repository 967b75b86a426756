"""Who may see other projects' things: what a real Nova's and Cinder's policy files decide, by role."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.embedded_cloud.identity import Token
    from tests.embedded_cloud.records import Server, Volume


def _admin() -> set[str]:
    return {"admin"}


@dataclass
class Policies:
    """Roles by rule; the default is the services' own, by which an administrator of any project sees all.

    compute_admins      ``context_is_admin`` at Nova: single servers of others, whatever their own rules say
    lists_all_servers   ``servers:detail:get_all_tenants`` and ``servers:index:get_all_tenants``
    filters_servers     ``servers:allow_all_filters``: ``uuid`` and the like are ignored for all others
    finds_by_uuid       the filter ``uuid`` finds what there is: not so of a cell that is down, nor of a
                        service that takes an unknown filter for one that nothing passes
    volume_admins       ``context_is_admin`` at Cinder: lists of all projects, and os-detach
    shows_volumes       ``volume:get`` of others
    tells_volume_owner  ``volume_extension:volume_tenant_attribute``
    unlisted, hidden    servers that no list of all projects, or no call by id, shows: no policy file can say
                        so (Nova lists all or nothing), but what stands in front of a service can
    unlisted_volumes, hidden_volumes  the same of volumes
    """

    compute_admins: set[str] = field(default_factory=_admin)
    lists_all_servers: set[str] = field(default_factory=_admin)
    filters_servers: set[str] = field(default_factory=_admin)
    volume_admins: set[str] = field(default_factory=_admin)
    shows_volumes: set[str] = field(default_factory=_admin)
    finds_by_uuid: bool = True
    tells_volume_owner: bool = True
    unlisted: Callable[[Server], bool] = lambda _server: False
    hidden: Callable[[Server], bool] = lambda _server: False
    unlisted_volumes: Callable[[Volume], bool] = lambda _volume: False
    hidden_volumes: Callable[[Volume], bool] = lambda _volume: False

    def see_server(self, token: Token, server: Server) -> bool:
        """Say whether a single server is shown to this token."""
        if server.project_id == token.project_id:
            return True
        return token.role in self.compute_admins and not self.hidden(server)

    def see_volume(self, token: Token, volume: Volume) -> bool:
        """Say whether a single volume is shown to this token."""
        if token.project_id in volume.seen_by:
            return True
        return token.role in self.shows_volumes and not self.hidden_volumes(volume)
