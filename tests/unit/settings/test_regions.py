"""The vendor's hosts, against what was recorded of its SDK."""

from __future__ import annotations

import pytest

from handler.settings.regions import VendorHost, vendor_host, vendor_url

# Recorded from huaweicloudsdkevs, -ecs, -iam, -kms and -csms 3.1.219, region/*_region.py: which services the
# SDK knows in which regions, and where a host is not {service}.{region}.myhuaweicloud.com (CSMS's being kms).
ALL_FIVE = [
    "ae-ad-1",
    "af-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "cn-east-2",
    "cn-east-3",
    "cn-east-4",
    "cn-east-5",
    "cn-north-1",
    "cn-north-12",
    "cn-north-2",
    "cn-north-4",
    "cn-north-9",
    "cn-south-1",
    "cn-south-2",
    "cn-southwest-2",
    "la-north-2",
    "la-south-2",
    "me-east-1",
    "my-kualalumpur-1",
    "na-mexico-1",
    "ru-moscow-1",
    "sa-brazil-1",
    "tr-west-1",
]
FEWER = {
    "af-north-1": "ecs evs kms",
    "ap-southeast-5": "ecs evs kms",
    "cn-north-11": "ecs evs kms",
    "cn-southwest-3": "ecs evs kms",
    "cn-south-4": "ecs evs kms",
    "eu-west-0": "ecs evs iam",
    "eu-west-101": "ecs evs iam kms",
    "ru-northwest-2": "evs",
}
OTHER_HOSTS = {
    ("iam", "eu-west-101"): "https://iam.eu-west-101.myhuaweicloud.eu",
    ("kms", "eu-west-101"): "https://kms.eu-west-101.myhuaweicloud.eu",
}
RECORDED = [(service, region) for region in ALL_FIVE for service in ("ecs", "evs", "iam", "kms")] + [
    (service, region) for region, services in FEWER.items() for service in services.split()
]


@pytest.mark.parametrize(("service", "region"), RECORDED)
def test_every_host_is_the_sdk_s(service: str, region: str) -> None:
    usual = f"https://{service}.{region}.myhuaweicloud.com"
    assert vendor_url(service, region, None) == OTHER_HOSTS.get((service, region), usual)


@pytest.mark.parametrize("region", ["eu-west-101", "ap-southeast-3"])
@pytest.mark.parametrize("service", ["evs", "ecs", "iam", "kms"])
def test_a_domain_of_one_s_own_is_every_service_s(service: str, region: str) -> None:
    assert vendor_url(service, region, "otc.example") == f"https://{service}.{region}.otc.example"


def test_what_is_true_of_one_european_region_is_taken_of_its_further_ones() -> None:
    assert vendor_url("iam", "eu-west-102", None) == "https://iam.eu-west-102.myhuaweicloud.eu"
    assert vendor_url("iam", "eu-west-1", None) == "https://iam.eu-west-1.myhuaweicloud.com"
    assert vendor_url("iam", "eu-west-1010", None) == "https://iam.eu-west-1010.myhuaweicloud.com"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://evs.r-1.myhuaweicloud.com/v2", VendorHost("evs", "r-1", "myhuaweicloud.com")),
        ("https://EVS.R-1.MyHuaweiCloud.EU.:443", VendorHost("evs", "r-1", "myhuaweicloud.eu")),
        ("https://ecs.r-1.otc.example/v2.1", VendorHost("ecs", "r-1", "otc.example")),
        ("https://evs.r-1.myhuaweicloud.com:8443/v2", None),
        ("https://evs.r-1.myhuaweicloud.com.evil.example/v2", None),
        ("https://evs.r-1.otcXexample/v2", None),
        ("https://evs.myhuaweicloud.com/v2", None),
        ("https://a.evs.r-1.myhuaweicloud.com/v2", None),
        ("https://cinder.example/v3", None),
        ("no url", None),
    ],
)
def test_which_hosts_are_the_vendor_s(url: str, host: VendorHost | None) -> None:
    assert vendor_host(url, "otc.example") == host
