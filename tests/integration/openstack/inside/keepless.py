"""A volume driver that keeps no bytes: what Cinder records about a volume is all there is of it.

It runs in the services' environment, which has Cinder; the environment that checks types has not.
"""

from __future__ import annotations

from typing import Any

from cinder.volume import driver  # type: ignore[import-not-found]


class KeeplessDriver(driver.VolumeDriver):  # type: ignore[misc]
    """Says yes to what a driver must do and does nothing."""

    VERSION = "1"

    def check_for_setup_error(self) -> None:
        """There is nothing to set up."""

    def _update_volume_stats(self) -> None:
        self._stats = {
            "volume_backend_name": self.configuration.safe_get("volume_backend_name"),
            "vendor_name": "none",
            "driver_version": self.VERSION,
            "storage_protocol": "none",
            "total_capacity_gb": "infinite",
            "free_capacity_gb": "infinite",
            "multiattach": True,
        }

    def create_volume(self, volume: Any) -> None: ...

    def delete_volume(self, volume: Any) -> None: ...

    def ensure_export(self, context: Any, volume: Any) -> None: ...

    def create_export(self, context: Any, volume: Any, connector: Any) -> None: ...

    def remove_export(self, context: Any, volume: Any) -> None: ...

    def initialize_connection(self, volume: Any, connector: Any) -> dict[str, Any]:  # noqa: ARG002
        return {"driver_volume_type": "fake", "data": {"volume_id": volume["id"]}}

    def terminate_connection(self, volume: Any, connector: Any, **_: Any) -> None: ...
