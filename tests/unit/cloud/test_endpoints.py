"""Where a token's services are, and what is known of them without asking: catalogs of every shape."""

from __future__ import annotations

from typing import Any

import pytest

from handler.cloud.catalog import COMPUTE_TYPES, CatalogEndpoint, place_of, read_catalog, regions_of
from handler.cloud.endpoints import Endpoints, Together, find_endpoints, find_scopes_endpoints
from handler.errors import Misconfigured
from handler.settings import read_settings

PROJECT = "0123456789abcdef0123456789abcdef"
VOLUME, COMPUTE = "https://volume.example/v3", "https://compute.example/v2.1"
SET = {"DETACH_VOLUME_ENDPOINT": VOLUME, "DETACH_COMPUTE_ENDPOINT": COMPUTE}
IDENTITY = {"DETACH_IDENTITY_ENDPOINT": "https://keystone.example/v3"}


def row(type_: str, url: str, region: str = "r1", interface: str = "public") -> dict[str, Any]:
    return {"type": type_, "endpoints": [{"interface": interface, "region_id": region, "url": url}]}


def found(catalog: object, **environment: str) -> Endpoints:
    settings = read_settings({"DETACH_TOKEN_SECRET": "env:T", **environment}, network=False)
    return find_endpoints(settings, read_catalog(catalog), PROJECT)


def places(endpoints: Endpoints) -> tuple[str, str | None, Together | None]:
    return endpoints.volume, endpoints.compute, endpoints.together


BOTH = [row("volumev3", f"{VOLUME}/{PROJECT}"), row("compute", COMPUTE)]


# Which address is taken.


def test_what_is_not_set_comes_from_the_catalog() -> None:
    assert places(found(BOTH, **IDENTITY)) == (VOLUME, COMPUTE, Together.ONE_SOURCE)


def test_what_is_set_wins_over_the_catalog_and_the_catalog_over_the_region() -> None:
    region = {"DETACH_REGION": "ap-southeast-3"}
    listed = [
        row("volumev2", f"{VOLUME}/{PROJECT}", "ap-southeast-3"),
        row("compute", COMPUTE, "ap-southeast-3"),
    ]
    assert places(found(listed, **region)) == (VOLUME, COMPUTE, Together.ONE_SOURCE)
    own = "https://evs-proxy.example/v2"
    assert found(listed, **region, DETACH_VOLUME_ENDPOINT=own).volume == own
    by_region = (
        "https://evs.ap-southeast-3.myhuaweicloud.com/v2",
        "https://ecs.ap-southeast-3.myhuaweicloud.com/v2.1",
        Together.ONE_SOURCE,
    )
    for nothing in (None, [], listed[:1], listed[1:], BOTH):
        assert places(found(nothing, **region)) == by_region


@pytest.mark.parametrize(
    ("listed", "volume"),
    [
        (["volume", "volumev2", "block-storage", "volumev3"], "volumev3"),
        (["volume", "volumev2", "block-storage"], "block-storage"),
        (["volume", "volumev2"], "volumev2"),
        (["volume"], "volume"),
    ],
)
def test_the_newest_type_of_a_service_is_preferred(listed: list[str], volume: str) -> None:
    rows = [row(type_, f"https://{type_}.example/v3") for type_ in listed]
    assert found([*rows, BOTH[1]], **IDENTITY).volume == f"https://{volume}.example/v3"


@pytest.mark.parametrize(
    "url",
    [
        f"{VOLUME}/{PROJECT}",
        f"{VOLUME}/{PROJECT}/",
        f"{VOLUME}/{PROJECT.upper()}",
        f"{VOLUME}/01234567-89ab-cdef-0123-456789abcdef",
        VOLUME,
        f"{VOLUME}/",
    ],
)
def test_a_project_behind_the_address_is_cut(url: str) -> None:
    assert found([row("volumev3", url), BOTH[1]], **IDENTITY).volume == VOLUME


def test_so_it_is_from_addresses_that_are_set() -> None:
    with_project = {name: f"{url}/{PROJECT}" for name, url in SET.items()}
    assert places(found(BOTH, **with_project)) == (VOLUME, COMPUTE, Together.CATALOG)


def test_an_address_without_a_version_is_of_no_use() -> None:
    listed = [
        row("volumev3", "https://volume.example"),
        row("volumev2", "https://volume.example/v2"),
        BOTH[1],
    ]
    assert found(listed, **IDENTITY).volume == "https://volume.example/v2"
    with pytest.raises(
        Misconfigured, match="DETACH_VOLUME_ENDPOINT is missing, and the token's catalog does"
    ):
        found(listed[:1], **IDENTITY)


INSIDE = [
    row("volumev3", "https://inside.example/v3", interface="internal"),
    row("compute", "https://inside.example/v2.1", interface="internal"),
]


def test_the_interface_is_the_one_that_is_named_else_the_public_one() -> None:
    assert found([*INSIDE, *BOTH], **IDENTITY).volume == VOLUME
    assert found([*INSIDE, *BOTH], **IDENTITY, OS_INTERFACE="internal").volume == "https://inside.example/v3"
    with pytest.raises(Misconfigured, match="catalog does not list the services"):
        found(INSIDE, **IDENTITY)


ELSEWHERE = [
    row("volumev3", "https://two.example/v3", "r2"),
    row("compute", "https://two.example/v2.1", "r2"),
]


def test_the_region_is_the_one_that_is_named_or_the_only_one_never_the_first() -> None:
    assert found([*BOTH, *ELSEWHERE], **IDENTITY, OS_REGION_NAME="r2").volume == "https://two.example/v3"
    assert found([*BOTH, *ELSEWHERE], **IDENTITY, OS_REGION_NAME="r1").volume == VOLUME
    assert found([*BOTH, ELSEWHERE[0]], **IDENTITY).volume == VOLUME
    with pytest.raises(Misconfigured, match=r"in several regions \(r1, r2\).*OS_REGION_NAME"):
        found([*BOTH, *ELSEWHERE], **IDENTITY)
    with pytest.raises(Misconfigured, match="in the region that OS_REGION_NAME names"):
        found([*BOTH, *ELSEWHERE], **IDENTITY, OS_REGION_NAME="r3")
    with pytest.raises(Misconfigured, match="catalog does not list the services"):
        found([BOTH[0], ELSEWHERE[1]], **IDENTITY)


def test_a_region_that_is_no_plain_word_is_not_repeated() -> None:
    odd = [
        row(kind, url, name)
        for name in ("\x1b[2J", "süd")
        for kind, url in (("volumev3", VOLUME), ("compute", COMPUTE))
    ]
    with pytest.raises(Misconfigured, match=r"in several regions \(r1\):"):
        found([*BOTH, *odd], **IDENTITY)


def test_our_own_region_s_setting_comes_before_the_ecosystem_s() -> None:
    more = {"DETACH_REGION": "r1", "OS_REGION_NAME": "r2"}
    assert found([*BOTH, *ELSEWHERE], **more).volume == VOLUME


def test_a_plain_address_must_be_allowed_like_any_other() -> None:
    plain = [row("volumev3", "http://Cinder.example./v3"), row("compute", "http://localhost:8774/v2.1")]
    with pytest.raises(Misconfigured, match=r"gives the volume service an http address.*DETACH_ALLOW_HTTP"):
        found(plain, **IDENTITY)
    allowed = found(plain, **IDENTITY, DETACH_ALLOW_HTTP="cinder.example")
    assert places(allowed) == (
        "http://Cinder.example./v3",
        "http://localhost:8774/v2.1",
        Together.ONE_SOURCE,
    )


@pytest.mark.parametrize(
    "url", ["https://a b/v3", "https://user@volume.example/v3", "ftp://volume.example/v3"]
)
def test_an_odd_address_is_never_asked(url: str) -> None:
    with pytest.raises(Misconfigured, match="an address that can't be used"):
        found([row("volumev3", url), BOTH[1]], **IDENTITY)


@pytest.mark.parametrize(
    "catalog",
    [
        "none",
        {"volume": VOLUME},
        [None, 5, {"endpoints": None}, {"type": "volumev3", "endpoints": [None, {"url": 5}]}],
        [{"type": 5, "endpoints": [{"interface": "public", "region_id": "r1", "url": VOLUME}]}],
        [{"type": "volumev3", "endpoints": [{"interface": "public", "url": VOLUME}]}],
        [
            {"type": kind, "endpoints": [{"interface": "public", "region_id": 5, "url": url}]}
            for kind, url in (("volumev3", VOLUME), ("compute", COMPUTE))
        ],
    ],
)
def test_what_is_no_catalog_lists_nothing(catalog: object) -> None:
    known = "does not list the services" if isinstance(catalog, list) else "is not known"
    with pytest.raises(Misconfigured, match=f"DETACH_VOLUME_ENDPOINT is missing, .* catalog {known}"):
        found(catalog, **IDENTITY)
    assert found(catalog, **SET).together is None


def test_without_a_compute_service_the_catalog_need_not_list_one() -> None:
    alone = found(BOTH[:1], **IDENTITY, DETACH_SERVER_CHECK="off")
    assert places(alone) == (VOLUME, None, Together.ONE_SOURCE)
    assert found(BOTH, **IDENTITY, DETACH_SERVER_CHECK="off").compute is None
    with pytest.raises(ValueError, match="no compute service is asked"):
        alone.of("compute")


# What is known of addresses that are set.


@pytest.mark.parametrize(
    ("volume", "compute"),
    [
        (f"{VOLUME}/{PROJECT}", COMPUTE),
        ("https://VOLUME.example.:443/v2", "http://compute.example:80"),
        ("http://volume.example/v1/0123456789ABCDEF0123456789ABCDEF/", "https://Compute.example/v2"),
        ("http://volume.example:443/v3", COMPUTE),
        ("https://volume.example", COMPUTE),
    ],
)
@pytest.mark.parametrize(
    "types", [("volumev3", "internal"), ("block-storage", "admin"), ("volume", "public")]
)
def test_addresses_that_the_catalog_lists_in_one_region_belong_together(
    volume: str, compute: str, types: tuple[str, str]
) -> None:
    listed = [row(types[0], volume, interface=types[1]), row("compute", compute)]
    assert places(found(listed, **SET)) == (VOLUME, COMPUTE, Together.CATALOG)


@pytest.mark.parametrize(
    "listed",
    [
        None,
        [],
        BOTH[:1],
        BOTH[1:],
        [row("volumev3", "https://volume.example:8776/v3"), BOTH[1]],
        [row("volumev3", "https://volume.example.evil/v3"), BOTH[1]],
        [row("volumev3", "https://volume.example/volume/v3"), BOTH[1]],
        [row("volumev3", "https://volume.example/v3/elsewhere"), BOTH[1]],
        [BOTH[0], row("computev2", COMPUTE)],
        [row("object-store", VOLUME), BOTH[1]],
        [row("compute", VOLUME), row("volumev3", COMPUTE)],
        [BOTH[0], row("compute", COMPUTE, "")],
        [
            {"type": kind, "endpoints": [{"interface": "public", "region": "", "url": url}]}
            for kind, url in (("volumev3", VOLUME), ("compute", COMPUTE))
        ],
    ],
)
def test_what_the_catalog_does_not_list_is_not_known(listed: object) -> None:
    endpoints = found(listed, **SET)
    assert (endpoints.together, len(endpoints.tried)) == (None, 2)


@pytest.mark.parametrize(
    ("volume", "compute"),
    [
        (f"{VOLUME}/{PROJECT}", COMPUTE),
        ("https://Volume.example.:443/v2", "http://COMPUTE.example./v2.1"),
    ],
)
def test_addresses_of_two_regions_are_a_fault_that_names_both(volume: str, compute: str) -> None:
    listed = [row("volumev3", volume, "r1"), row("compute", compute, "r2")]
    with pytest.raises(Misconfigured, match="of different regions by the token's catalog") as caught:
        found(listed, **SET)
    for said in ("volume.example", "compute.example", "DETACH_TRUST_ENDPOINTS"):
        assert said in caught.value.message
    assert found(listed, **SET, DETACH_TRUST_ENDPOINTS="true").together is None
    assert found([*listed, row("volume", VOLUME, "r2")], **SET).together is Together.CATALOG


SHARED = [*BOTH, row("volumev3", VOLUME, "r2")]
"""The volume service serves two regions."""


@pytest.mark.parametrize("environment", [SET, {**IDENTITY, "OS_REGION_NAME": "r1"}])
def test_a_volume_service_beside_another_region_s_compute_service_is_a_fault(
    environment: dict[str, str],
) -> None:
    another = row("compute", "https://elsewhere.example/v2.1", "r2")
    with pytest.raises(Misconfigured, match=r"volume\.example.*another compute.*compute\.example") as caught:
        found([*SHARED, another], **environment)
    assert "DETACH_TRUST_ENDPOINTS" in caught.value.message
    known_better = found([*SHARED, another], **environment, DETACH_TRUST_ENDPOINTS="true")
    assert places(known_better) == (VOLUME, COMPUTE, None), "it is logged that it was trusted"
    assert found([*SHARED, another], **environment, DETACH_SERVER_CHECK="off").compute is None
    both_there = row("compute", COMPUTE, "r2", "internal")
    assert found([*SHARED, another, both_there], **environment).together is not None


def test_so_it_is_where_the_catalog_does_not_list_the_compute_service_that_is_asked() -> None:
    another = row("compute", "https://elsewhere.example/v2.1", "r2")
    inside = {**SET, "DETACH_COMPUTE_ENDPOINT": "https://inside.example/v2.1"}
    assert found(SHARED, **inside).together is None, "a witness can tell"
    with pytest.raises(Misconfigured, match="another compute service"):
        found([*SHARED, another], **inside)


@pytest.mark.parametrize(
    "more",
    [
        [],  # nobody's servers there
        [row("compute", f"{COMPUTE}/{PROJECT}", "r2")],
        [row("compute", COMPUTE, "r2"), row("compute", "https://inside.example/v2.1", "r2", "internal")],
        [row("orchestration", "https://elsewhere.example/v2.1", "r2")],
        [row("compute", "https://elsewhere.example/v2.1", "r3")],
    ],
)
@pytest.mark.parametrize("environment", [SET, {**IDENTITY, "OS_REGION_NAME": "r1"}])
def test_a_volume_service_of_two_regions_with_one_compute_service_is_none(
    environment: dict[str, str], more: list[dict[str, Any]]
) -> None:
    assert found([*SHARED, *more], **environment).together is not None


def test_one_that_only_the_other_region_lacks_is_a_fault() -> None:
    both = [row("compute", "https://elsewhere.example/v2.1", region, "internal") for region in ("r1", "r2")]
    with pytest.raises(Misconfigured, match=r"volume\.example.*another compute.*compute\.example"):
        found([*SHARED, *both], **SET)


TWO = [*BOTH, *ELSEWHERE]
"""Two regions, each with services of its own."""

ANOTHER = "another compute service"
NEAR = {**IDENTITY, "OS_REGION_NAME": "r1"}
INSIDE_STORE = "https://store.inside.example/v3"


def of_r1_and_r2(type_: str, url: str, interface: str = "internal") -> list[dict[str, Any]]:
    return [row(type_, url, region, interface) for region in ("r1", "r2")]


@pytest.mark.parametrize("environment", [SET, NEAR])
@pytest.mark.parametrize(
    "more",
    [
        of_r1_and_r2("volumev3", INSIDE_STORE),
        of_r1_and_r2("volume", INSIDE_STORE, "admin"),
        [row("volumev2", INSIDE_STORE, "r1", "internal"), row("block-storage", INSIDE_STORE, "r2", "admin")],
        [row("block-store", VOLUME, "r2")],
        [row("block-store", INSIDE_STORE, "r1"), row("volumev3", INSIDE_STORE, "r2", "internal")],
        [row("what-is-this", VOLUME, "r2")],
        [row("volumev3", VOLUME, "")],
        [{"type": "volumev3", "endpoints": [{"url": VOLUME}]}],
        [row("compute", "https://two.example/v2.1", "")],
        [
            {
                "type": "compute",
                "endpoints": [{"interface": "public", "region": 5, "url": "https://x.example"}],
            }
        ],
        [row("volumev3", "https://[", "r2")],
        [{"type": "volumev3", "endpoints": [{"interface": "public", "region": "r2"}]}],
        [row("compute", "https://[", "r1")],
        [row("compute", "https://near.example/v2.1")],
        [row("compute_legacy", "https://near.example/v2")],
        [
            row("volumev3", INSIDE_STORE, "r1", "internal"),
            row("volumev3", INSIDE_STORE, "r3", "internal"),
            row("volumev3", "https://far.example/v3", "r3"),
            row("volumev2", "https://far.example/v2", "r2"),
        ],
    ],
)
def test_whatever_the_catalog_shows_it_by_another_compute_service_is_a_fault(
    environment: dict[str, str], more: list[dict[str, Any]]
) -> None:
    assert found(TWO, **environment).together is not None
    for listed in ([*TWO, *more], [*more, *TWO]):
        with pytest.raises(Misconfigured, match=f"{ANOTHER}|several services"):
            found(listed, **environment)
        assert found(listed, **SET, DETACH_TRUST_ENDPOINTS="true").together is None


@pytest.mark.parametrize("environment", [SET, NEAR])
@pytest.mark.parametrize(
    "more",
    [
        [row("compute", "https://inside.example/v2.1", interface="internal")],
        [row("compute", "https://Compute.example.:443/v2"), row("compute_legacy", f"{COMPUTE}/{PROJECT}")],
        [row("volumev3", "https://[", "r1")],
        [row("volumev3", "https://[", "r3")],
        [row("volumev3", INSIDE_STORE, interface="internal"), row("volumev2", "https://old.example/v2")],
        [row("orchestration", "https://near.example/v1")],
        [row("volumev3", INSIDE_STORE, "r2", "internal"), row("volumev3", INSIDE_STORE, "r3", "internal")],
        [row("compute", "https://[", "r2")],
    ],
)
def test_one_compute_service_by_several_addresses_is_none(
    environment: dict[str, str], more: list[dict[str, Any]]
) -> None:
    assert found([*TWO, *more], **environment).together is not None


def test_of_several_services_in_one_region_none_is_the_first() -> None:
    computes = [*BOTH, row("compute", "https://near.example/v2.1")]
    stores = [*BOTH, row("volumev3", "https://near.example/v3")]
    with pytest.raises(
        Misconfigured, match=r"several services of type compute .*: set DETACH_COMPUTE_ENDPOINT"
    ):
        found(computes, **IDENTITY)
    with pytest.raises(
        Misconfigured, match=r"several services of type volumev3 .*: set DETACH_VOLUME_ENDPOINT"
    ):
        found(stores, **IDENTITY)
    assert places(found(stores, **SET)) == (VOLUME, COMPUTE, Together.CATALOG)
    twice = [*BOTH, row("volumev3", "http://Volume.example/v3/"), row("compute", f"{COMPUTE}/{PROJECT}")]
    assert places(found(twice, **IDENTITY)) == (VOLUME, COMPUTE, Together.ONE_SOURCE)


ALIAS = {**SET, "DETACH_VOLUME_ENDPOINT": "https://alias.example/v3"}
ALIASES = {**ALIAS, "DETACH_COMPUTE_ENDPOINT": "https://alias.example/v2.1"}


@pytest.mark.parametrize(
    ("listed", "environment"),
    [
        ([*TWO, row("volumev3", VOLUME, "r2")], ALIAS),
        (TWO[1:], ALIAS),
        ([BOTH[1], ELSEWHERE[1]], ALIAS),
        ([row("volumev3", "https://[", "r1"), BOTH[1], ELSEWHERE[1]], ALIAS),
        (TWO, ALIASES),
        ([*BOTH, ELSEWHERE[1]], ALIASES),
        ([*BOTH, row("compute", "https://[", "r2")], ALIASES),
        (
            [
                row("volumev3", VOLUME, ""),
                row("compute", COMPUTE, ""),
                row("compute", "https://x.example", ""),
            ],
            SET,
        ),
    ],
)
def test_an_address_that_is_not_listed_may_be_that_of_what_is_shared(
    listed: list[dict[str, Any]], environment: dict[str, str]
) -> None:
    with pytest.raises(Misconfigured, match=ANOTHER):
        found(listed, **environment)
    assert found(listed, **environment, DETACH_TRUST_ENDPOINTS="true").together is None


@pytest.mark.parametrize(
    ("listed", "environment"),
    [
        (TWO, ALIAS),
        (BOTH, ALIAS),
        (BOTH[1:], ALIAS),
        (BOTH, ALIASES),
        (BOTH[:1], ALIASES),
        ([], ALIASES),
        ([row("compute", COMPUTE, ""), row("volumev3", VOLUME, "")], ALIASES),
        ([row("volumev3", VOLUME, ""), BOTH[1], row("compute", "https://x.example", "", "internal")], SET),
        (TWO, {**SET, "DETACH_COMPUTE_ENDPOINT": "https://alias.example/v2.1"}),
    ],
)
def test_else_a_witness_can_tell(listed: list[dict[str, Any]], environment: dict[str, str]) -> None:
    assert found(listed, **environment).together is None


def test_two_addresses_that_nobody_can_read_are_not_one() -> None:
    unreadable = "https://[compute/v2.1"
    listed = CatalogEndpoint("compute", "public", "r1", unreadable)
    assert place_of(unreadable, PROJECT) is None
    assert regions_of((listed,), COMPUTE_TYPES, "https://[another/v2.1", PROJECT) == set()


def test_a_scheme_s_own_port_tells_no_place_from_another() -> None:
    usual = [
        f"{scheme}://compute.example{port}/v2.1"
        for scheme in ("http", "https")
        for port in ("", ":80", ":443")
    ]
    place = place_of(f"{COMPUTE}/{PROJECT}", PROJECT)
    assert {place_of(url, PROJECT) for url in usual} == {place}
    assert place_of("https://compute.example:8774/v2.1", PROJECT) != place


def test_a_path_is_compared_by_whole_segments() -> None:
    places = {
        "DETACH_VOLUME_ENDPOINT": "https://cloud.example/volume/v3",
        "DETACH_COMPUTE_ENDPOINT": "https://cloud.example/compute/v2.1",
    }
    near = [
        row("volumev3", "https://cloud.example/volumes/v3"),
        row("compute", "https://cloud.example/compute"),
    ]
    assert found(near, **places).together is None
    assert found([row("volumev3", "https://cloud.example/volume"), near[1]], **places).together


@pytest.mark.parametrize(
    ("volume", "compute", "together"),
    [
        (
            "https://evs.r-1.myhuaweicloud.com/v2",
            "https://ECS.r-1.myhuaweicloud.com.:443/v2.1",
            Together.VENDOR,
        ),
        ("https://evs.r-1.myhuaweicloud.eu/v2", "https://ecs.r-1.myhuaweicloud.com/v2.1", None),
        ("https://ecs.r-1.myhuaweicloud.com/v2", "https://evs.r-1.myhuaweicloud.com/v2.1", None),
        ("https://evs.r-1.myhuaweicloud.com/v2", "https://ecs-proxy.example/v2.1", None),
        ("https://evs.r-1.myhuaweicloud.com:8443/v2", "https://ecs.r-1.myhuaweicloud.com/v2.1", None),
    ],
)
def test_the_vendor_s_hosts_of_one_region_and_domain_belong_together(
    volume: str, compute: str, together: Together | None
) -> None:
    set_ = {"DETACH_VOLUME_ENDPOINT": volume, "DETACH_COMPUTE_ENDPOINT": compute}
    assert found(None, **set_).together is together


def test_a_catalog_that_does_not_list_the_vendor_s_hosts_says_nothing_of_them() -> None:
    host = "https://{}.eu-west-101.myhuaweicloud.eu/v2".format
    set_ = {"DETACH_VOLUME_ENDPOINT": host("evs"), "DETACH_COMPUTE_ENDPOINT": host("ecs")}
    assert found(TWO, **set_).together is Together.VENDOR
    assert found(TWO, DETACH_REGION="eu-west-101").together is Together.ONE_SOURCE


def test_one_address_that_is_set_is_compared_with_the_other_s() -> None:
    vendor = {"DETACH_REGION": "r-1", "DETACH_VOLUME_ENDPOINT": "https://evs.r-1.myhuaweicloud.com/v2"}
    assert found(None, **vendor).together is Together.VENDOR
    own = {**vendor, "DETACH_VOLUME_ENDPOINT": "https://evs-proxy.example/v2"}
    assert found(None, **own).together is None
    listed = [row("volumev3", "https://evs-proxy.example/v2", "r-1"), row("compute", COMPUTE, "r-1")]
    assert places(found(listed, **own)) == ("https://evs-proxy.example/v2", COMPUTE, Together.CATALOG)


def test_one_endpoint_that_is_set_is_not_enough_where_servers_are_looked_up() -> None:
    alone = {"DETACH_VOLUME_ENDPOINT": VOLUME, "DETACH_IDENTITY_ENDPOINT": "https://identity.example/v3"}
    with pytest.raises(Misconfigured, match="DETACH_COMPUTE_ENDPOINT is missing"):
        found(None, **alone)
    assert found(None, **alone, DETACH_SERVER_CHECK="off").compute is None
    with pytest.raises(Misconfigured, match="DETACH_VOLUME_ENDPOINT is missing"):
        found(None, **IDENTITY, DETACH_COMPUTE_ENDPOINT=COMPUTE)


def test_of_a_region_nobody_asks_the_compute_service_where_servers_are_not_looked_up() -> None:
    volume = "https://evs.ap-southeast-3.myhuaweicloud.com/v2"
    off = {"DETACH_REGION": "ap-southeast-3", "DETACH_SERVER_CHECK": "off"}
    assert places(found(None, **off)) == (volume, None, Together.ONE_SOURCE)


def test_a_compute_endpoint_that_is_set_is_compared_with_the_volume_endpoint_that_was_found() -> None:
    own = {"DETACH_COMPUTE_ENDPOINT": "https://nova.example/v2.1"}
    assert places(found(BOTH, **IDENTITY, **own)) == (VOLUME, "https://nova.example/v2.1", None)
    with pytest.raises(Misconfigured, match="of different regions"):
        found([*BOTH, row("compute", "https://nova.example/v2.1", "r2")], **IDENTITY, **own)


@pytest.mark.parametrize(
    ("volume", "catalog", "together"),
    [
        (VOLUME, BOTH, Together.CATALOG),
        (VOLUME, BOTH[:1], Together.CATALOG),
        (VOLUME, BOTH[1:], None),
        (VOLUME, None, None),
        ("https://evs.r-1.myhuaweicloud.com/v2", None, Together.VENDOR),
    ],
)
def test_without_a_look_at_servers_the_volume_endpoint_alone_is_compared(
    volume: str, catalog: object, together: Together | None
) -> None:
    off = {"DETACH_VOLUME_ENDPOINT": volume, "DETACH_SERVER_CHECK": "off"}
    assert places(found(catalog, **off)) == (volume, None, together)
    ignored = found(catalog, **off, DETACH_COMPUTE_ENDPOINT="https://ignored.example/v2.1")
    assert places(ignored) == (volume, None, together)


# A whole cloud.

CLOUD = {"DETACH_SCOPE": "cloud"}


def found_for_all(catalog: object, **environment: str) -> Endpoints:
    settings = read_settings({"DETACH_TOKEN_SECRET": "env:T", **CLOUD, **environment}, network=False)
    return find_scopes_endpoints(settings, read_catalog(catalog), PROJECT)


def test_a_whole_cloud_takes_what_one_project_takes() -> None:
    assert places(found_for_all(BOTH, **IDENTITY)) == (VOLUME, COMPUTE, Together.ONE_SOURCE)
    assert places(found_for_all(BOTH, **SET)) == places(found(BOTH, **SET))


def test_the_vendor_s_hosts_are_no_whole_cloud() -> None:
    vendors = [
        row("volumev2", f"https://evs.cn-north-4.myhuaweicloud.com/v2/{PROJECT}"),
        row("compute", "https://ecs.cn-north-4.myhuaweicloud.com/v2.1"),
    ]
    with pytest.raises(Misconfigured, match=r"^DETACH_SCOPE=cloud is for OpenStack's own services"):
        found_for_all(vendors, **IDENTITY)
    assert found(vendors, **IDENTITY).together is Together.ONE_SOURCE
    for one in ([vendors[0], BOTH[1]], [BOTH[0], vendors[1]]):
        with pytest.raises(Misconfigured, match=r"^DETACH_SCOPE=cloud is for OpenStack's own services"):
            found_for_all(one, **IDENTITY)


def test_without_a_catalog_no_cloud_is_known_to_be_whole() -> None:
    with pytest.raises(Misconfigured, match=r"needs the token's catalog"):
        found_for_all(None, **SET)
    trusted = {**SET, "DETACH_TRUST_ENDPOINTS": "true"}
    assert found_for_all(None, **trusted).volume == VOLUME
    assert found(None, **SET).volume == VOLUME
