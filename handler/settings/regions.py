"""Huawei Cloud's hosts, by service and region.

Source: the region files of the vendor's Python SDK 3.1.219 (`huaweicloudsdkevs`, `-ecs`, `-iam`, `-kms`,
`-csms`: `region/*_region.py`). There every host is `{service}.{region}.myhuaweicloud.com` (CSMS's is KMS's),
but for IAM and KMS of eu-west-101. The vendor's Terraform provider has all of eu-west-1xx under the other
domain (`prefixEuropeRegion`), so those two services are looked for there in further such regions, too.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from handler.model.addresses import address_of

DOMAIN = "myhuaweicloud.com"
_EUROPE = "myhuaweicloud.eu"
_EXCEPTIONS = {"iam": (re.compile(r"eu-west-1\d\d"), _EUROPE), "kms": (re.compile(r"eu-west-1\d\d"), _EUROPE)}
_DOMAINS = (r"myhuaweicloud\.[a-z]{2,}",)


class VendorHost(NamedTuple):
    """The parts of a vendor's host."""

    service: str
    region: str
    domain: str


def vendor_url(service: str, region: str, domain: str | None) -> str:
    """The address of a service in a region. `domain` is the deployment's own, where it has one."""
    regions, exception = _EXCEPTIONS.get(service, (None, DOMAIN))
    if domain is None:
        domain = exception if regions is not None and regions.fullmatch(region) else DOMAIN
    return f"https://{service}.{region}.{domain}"


def vendor_host(url: str, domain: str | None) -> VendorHost | None:
    """What a URL's host says of service and region, None where it is not one of the vendor's."""
    try:
        address = address_of(url)
    except ValueError:
        return None
    domains = "|".join((*_DOMAINS, *([re.escape(domain)] if domain else [])))
    found = re.fullmatch(rf"([a-z0-9-]+)\.([a-z0-9-]+)\.({domains})", address.host)
    return VendorHost(*found.groups()) if found and address.port is None else None
