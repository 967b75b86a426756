"""A real Keystone, Placement, Cinder and Nova on loopback, from PyPI and Debian's packages: see README.md."""

from __future__ import annotations

from tests.integration.openstack.rig import OpenStack, borrow
from tests.integration.openstack.trouble import RigError

__all__ = ["OpenStack", "RigError", "borrow"]
