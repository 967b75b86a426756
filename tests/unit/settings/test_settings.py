"""Settings are read whole: each default, each fault by name, no value ever shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from handler.errors import ErrorCode, Misconfigured
from handler.settings import (
    NAMES,
    CatalogChoice,
    InvokeAuth,
    ServerCheck,
    Settings,
    SweepSettings,
    read_settings,
)
from handler.settings.openstack import OpenStackCloud
from handler.settings.opt_in import LiveMode, LiveSettings, RecoverMode, RecoverSettings
from handler.settings.scope import Scope
from handler.settings.secret_reference import SecretReference, Store
from handler.settings.trust import Trust, system_store
from handler.settings.vault import VaultSettings

VENDOR = {
    "DETACH_REGION": "ap-southeast-3",
    "DETACH_TOKEN_SECRET": "context:",
    "DETACH_INVOKE_SECRET": "env:KEY",
}
PRIVATE = {
    "DETACH_VOLUME_ENDPOINT": "https://cinder.example/v3",
    "DETACH_COMPUTE_ENDPOINT": "https://nova.example/v2.1",
    "DETACH_TOKEN_SECRET": "env:TOKEN",
    "DETACH_INVOKE_AUTH": "platform",
}


def _faults(environment: dict[str, str], *, network: bool = True) -> str:
    with pytest.raises(Misconfigured) as raised:
        read_settings(environment, network=network)
    assert (raised.value.code, raised.value.retryable) == (ErrorCode.CONFIGURATION, False)
    return raised.value.message


def _read(**more: str) -> Settings:
    return read_settings({**PRIVATE, **more})


def test_every_default_is_as_documented() -> None:
    settings = read_settings(VENDOR)

    assert settings._asdict() == {
        "region": "ap-southeast-3",
        "domain": None,
        "project_id": None,
        "volume_endpoint": "https://evs.ap-southeast-3.myhuaweicloud.com/v2",
        "compute_endpoint": "https://ecs.ap-southeast-3.myhuaweicloud.com/v2.1",
        "identity_endpoint": "https://iam.ap-southeast-3.myhuaweicloud.com/v3",
        "csms_endpoint": "https://kms.ap-southeast-3.myhuaweicloud.com",
        "endpoints_set": frozenset(),
        "trust_endpoints": False,
        "catalog": CatalogChoice("ap-southeast-3", "public"),
        "openstack": OpenStackCloud(),
        "http_hosts": frozenset(),
        "token_secret": SecretReference(Store.CONTEXT, ""),
        "invoke_auth": InvokeAuth.BEARER,
        "invoke_secret": SecretReference(Store.ENV, "KEY"),
        "webhook_origins": frozenset(),
        "vault": VaultSettings(),
        "secret_ttl": 300.0,
        "scope": Scope.PROJECT,
        "server_check": ServerCheck.GONE,
        "live": LiveSettings(LiveMode.OFF, None),
        "recover": RecoverSettings(RecoverMode.OFF, 3600),
        "timeout": 25.0,
        "connect_timeout": 3.0,
        "read_timeout": 10.0,
        "max_targets": 100,
        "max_body_bytes": 262_144,
        "concurrency": 8,
        "sweep": SweepSettings(dry_run=True, limit=20, min_age_seconds=900, max_fraction=0.5),
        "fanout_sink": None,
        "trust": system_store(),
        "log_level": "INFO",
    }


def test_a_private_cloud_needs_no_region() -> None:
    settings = read_settings(PRIVATE)

    assert (settings.volume_endpoint, settings.compute_endpoint) == (
        "https://cinder.example/v3",
        "https://nova.example/v2.1",
    )
    assert (settings.region, settings.identity_endpoint, settings.csms_endpoint) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        (
            "DETACH_PROJECT_ID",
            "5F1C8B2AD9E34C7AB0D6E1F2A3B4C5D6",
            "project_id",
            "5f1c8b2ad9e34c7ab0d6e1f2a3b4c5d6",
        ),
        (
            "DETACH_PROJECT_ID",
            "5f1c8b2a-d9e3-4c7a-b0d6-e1f2a3b4c5d6",
            "project_id",
            "5f1c8b2a-d9e3-4c7a-b0d6-e1f2a3b4c5d6",
        ),
        (
            "DETACH_VOLUME_ENDPOINT",
            " https://cinder.example:8776/v3/ ",
            "volume_endpoint",
            "https://cinder.example:8776/v3",
        ),
        ("DETACH_VOLUME_ENDPOINT", "http://127.0.0.1:8776/v3", "volume_endpoint", "http://127.0.0.1:8776/v3"),
        ("DETACH_VOLUME_ENDPOINT", "http://[::1]:8776/v3", "volume_endpoint", "http://[::1]:8776/v3"),
        ("DETACH_VOLUME_ENDPOINT", "http://localhost/v3", "volume_endpoint", "http://localhost/v3"),
        (
            "DETACH_COMPUTE_ENDPOINT",
            "https://nova.example/v2.1//",
            "compute_endpoint",
            "https://nova.example/v2.1",
        ),
        (
            "DETACH_IDENTITY_ENDPOINT",
            "https://keystone.example/v3",
            "identity_endpoint",
            "https://keystone.example/v3",
        ),
        (
            "DETACH_TOKEN_SECRET",
            "file:/run/secrets/token",
            "token_secret",
            SecretReference(Store.FILE, "/run/secrets/token"),
        ),
        ("DETACH_SECRET_TTL", "0", "secret_ttl", 0.0),
        ("DETACH_SERVER_CHECK", "recorded", "server_check", ServerCheck.RECORDED),
        ("DETACH_SERVER_CHECK", "not-held", "server_check", ServerCheck.NOT_HELD),
        ("DETACH_SERVER_CHECK", "off", "server_check", ServerCheck.OFF),
        ("DETACH_TIMEOUT", "60.5", "timeout", 60.5),
        ("DETACH_TIMEOUT", "10", "read_timeout", 4.0),
        ("DETACH_TIMEOUT", "259200", "read_timeout", 10.0),
        ("DETACH_CONNECT_TIMEOUT", "1", "connect_timeout", 1.0),
        ("DETACH_READ_TIMEOUT", "24", "read_timeout", 24.0),
        ("DETACH_MAX_TARGETS", "1", "max_targets", 1),
        ("DETACH_MAX_BODY_BYTES", "1024", "max_body_bytes", 1024),
        ("DETACH_CONCURRENCY", "1", "concurrency", 1),
        ("DETACH_SWEEP_DRY_RUN", "False", "sweep", SweepSettings(dry_run=False)),
        ("DETACH_SWEEP_DRY_RUN", "1", "sweep", SweepSettings(dry_run=True)),
        ("DETACH_SWEEP_LIMIT", "0", "sweep", SweepSettings(limit=0)),
        ("DETACH_SWEEP_MIN_AGE_SECONDS", "60", "sweep", SweepSettings(min_age_seconds=60)),
        ("DETACH_SWEEP_MAX_FRACTION", "1", "sweep", SweepSettings(max_fraction=1.0)),
        (
            "DETACH_FANOUT_SINK",
            "http://broker.default.svc/ns/default",
            "fanout_sink",
            "http://broker.default.svc/ns/default",
        ),
        ("DETACH_INVOKE_AUTH", "platform", "invoke_auth", InvokeAuth.PLATFORM),
        ("DETACH_LOG_LEVEL", "debug", "log_level", "DEBUG"),
        ("DETACH_LOG_LEVEL", "  ", "log_level", "INFO"),
        ("DETACH_CA_BUNDLE", __file__, "trust", Trust(file=__file__)),
        ("DETACH_CA_BUNDLE", str(Path(__file__).parent), "trust", Trust(folder=str(Path(__file__).parent))),
        ("DETACH_DOMAIN", "OTC.T-Systems.com.", "domain", "otc.t-systems.com"),
        ("DETACH_TRUST_ENDPOINTS", "true", "trust_endpoints", True),
        ("OS_REGION_NAME", "RegionOne", "catalog", CatalogChoice("RegionOne", "public")),
        ("OS_INTERFACE", "internalURL", "catalog", CatalogChoice(None, "internal")),
        ("DETACH_ALLOW_HTTP", "Cinder. ::1,[fd00::1]", "http_hosts", {"cinder", "::1", "fd00::1"}),
    ],
)
def test_each_setting_is_read(name: str, value: str, field: str, expected: Any) -> None:
    assert getattr(_read(**{name: value}), field) == expected


def test_http_is_taken_for_the_hosts_that_it_is_allowed_for() -> None:
    plain = {
        "DETACH_VOLUME_ENDPOINT": "http://Cinder.example/v3",
        "DETACH_COMPUTE_ENDPOINT": "http://nova/v2.1",
    }

    settings = _read(**plain, DETACH_ALLOW_HTTP="cinder.example, NOVA")

    assert settings.volume_endpoint == "http://Cinder.example/v3"
    assert "DETACH_COMPUTE_ENDPOINT" in _faults({**PRIVATE, **plain, "DETACH_ALLOW_HTTP": "cinder.example"})


WRONG = {
    "DETACH_REGION": ["EU", "eu west", "eu.west", "-eu", "x" * 64, "eu/../iam"],
    "DETACH_PROJECT_ID": [
        "p-1",
        "5f1c8b2ad9e34c7ab0d6e1f2a3b4c5d",
        "{5f1c8b2a-d9e3-4c7a-b0d6-e1f2a3b4c5d6}",
        "../" * 11,
    ],
    "DETACH_VOLUME_ENDPOINT": [
        "http://cinder.example/v3",
        "ftp://cinder.example/v3",
        "cinder.example/v3",
        "https:///v3",
        "https://user:planted@cinder.example/v3",
        "https://cinder.example/v3?planted",
        "https://cinder.example/v3?",
        "https://cinder.example/v3#",
        "https://cinder.example/v3#planted",
        "https://cinder.example/v 3",
        "https://cinder.example\\@elsewhere.example/",
        "https://cinder.example:99999/v3",
        "https://cinder.example:port/v3",
        "https://[::1/v3",
        "http://127.0.0.1.example/v3",
        "http://0.0.0.0/v3",
    ],
    "DETACH_COMPUTE_ENDPOINT": ["http://169.254.169.254/v2.1"],
    "DETACH_IDENTITY_ENDPOINT": ["http://keystone.example/v3"],
    "DETACH_CSMS_ENDPOINT": ["http://kms.example"],
    "VAULT_ADDR": ["http://vault.example:8200"],
    "DETACH_TOKEN_SECRET": [
        "planted-token",
        "env:",
        "env",
        "file:",
        "context:planted",
        "context",
        "csms:",
        "csms:a b",
        "csms:name@",
        "csms:name@v/1",
        "csms:" + "x" * 65,
        "vault:secret",
        "vault:secret/",
        "vault:/path",
        "vault:secret/path#",
        "vault:secret/../sys",
        "vault:secret//",
        "vault://path",
        "vault:a//b//c",
        "vault:a/./b",
        "vault:secret/pa%2Fth",
        "aws:planted",
    ],
    "DETACH_INVOKE_SECRET": ["planted-key", "context:"],
    "DETACH_SECRET_TTL": ["-1", "86401", "five", "nan"],
    "DETACH_SERVER_CHECK": ["GONE", "on", "none", "not_held"],
    "DETACH_TIMEOUT": ["0", "inf", "nan", "259201", "25s", "-5"],
    "DETACH_CONNECT_TIMEOUT": ["0", "301", "x"],
    "DETACH_READ_TIMEOUT": ["0", "25", "30", "x"],
    "DETACH_MAX_TARGETS": ["0", "10001", "1.5", "x"],
    "DETACH_MAX_BODY_BYTES": ["0", "99999999"],
    "DETACH_CONCURRENCY": ["0", "65", "-1"],
    "DETACH_SWEEP_DRY_RUN": ["nope", "2", "flase"],
    "DETACH_SWEEP_LIMIT": ["-1", "x"],
    "DETACH_SWEEP_MIN_AGE_SECONDS": ["-1", "15m"],
    "DETACH_SWEEP_MAX_FRACTION": ["-0.1", "1.1", "50%", "nan"],
    "DETACH_DOMAIN": ["https://planted", "a b", "planted/", "a..b"],
    "DETACH_TRUST_ENDPOINTS": ["planted", "2"],
    "OS_INTERFACE": ["planted", "publicURLs"],
    "VAULT_K8S_MOUNT": ["a b", "../planted", "/", "a//b"],
    "VAULT_CACERT": ["/no/such/planted.pem"],
    "DETACH_ALLOW_HTTP": ["http://planted", "planted:8776", "cinder.example,-planted"],
    "DETACH_FANOUT_SINK": ["broker", "ftp://broker/", "http://user:planted@broker/"],
    "DETACH_INVOKE_AUTH": ["none", "BEARER", "off"],
    "DETACH_CA_BUNDLE": ["/no/such/planted.pem"],
    "DETACH_LOG_LEVEL": ["LOUD", "10"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_a_wrong_value_is_named_and_not_shown(name: str, value: str) -> None:
    message = _faults({**PRIVATE, name: value})

    assert name in message
    assert "planted" not in message


@pytest.mark.parametrize("name", WRONG)
def test_what_is_said_of_a_wrong_value_does_not_depend_on_it(name: str) -> None:
    messages = {_faults({**PRIVATE, name: value}) for value in WRONG[name]}

    assert len(messages) <= 2, "out of its bounds, or at odds with another setting"


def test_all_faults_are_named_in_one_message() -> None:
    wrong = {name: values[-1] for name, values in WRONG.items()}

    message = _faults(wrong)

    assert [name for name in WRONG if name not in message] == []


def test_nothing_set_names_all_that_is_missing() -> None:
    message = _faults({})

    for name in (
        "DETACH_VOLUME_ENDPOINT",
        "DETACH_COMPUTE_ENDPOINT",
        "DETACH_TOKEN_SECRET",
        "DETACH_INVOKE_SECRET",
    ):
        assert f"{name} is missing" in message


@pytest.mark.parametrize("name", sorted(PRIVATE.keys() - {"DETACH_INVOKE_AUTH"}))
def test_a_setting_that_must_be_there_is_named_alone(name: str) -> None:
    message = _faults({key: value for key, value in PRIVATE.items() if key != name})

    assert [other for other in NAMES if f"{other} is missing" in message] == [name]


def test_the_callers_key_is_needed_where_callers_come_over_a_network_and_we_check_them() -> None:
    bearer = {**PRIVATE, "DETACH_INVOKE_AUTH": "bearer"}

    assert "DETACH_INVOKE_SECRET is missing" in _faults(bearer)
    assert read_settings(bearer, network=False).invoke_secret is None
    assert read_settings(PRIVATE).invoke_secret is None


def test_callers_keys_are_kept_where_a_secret_can_be() -> None:
    read_settings({**VENDOR, "DETACH_INVOKE_SECRET": "csms:callers"})
    for store in ("context:", "openstack:"):
        wrong = {**VENDOR, "DETACH_INVOKE_SECRET": store}
        said = f"DETACH_INVOKE_SECRET can't be {store}, which is for the cloud's token"
        assert said in _faults(wrong)
        assert said in _faults(wrong, network=False)


@pytest.mark.parametrize("level", ["debug", "Info", "WARNING", "error", "CRITICAL"])
def test_a_log_level_may_be_written_in_any_case(level: str) -> None:
    assert _read(DETACH_LOG_LEVEL=level).log_level == level.upper()


def test_a_wrong_log_level_is_told_those_that_there_are() -> None:
    """In lower case: an alarm on the log knows a line's level by its name, which is in upper case."""
    said = "DETACH_LOG_LEVEL must be debug, info, warning, error or critical"
    assert said in _faults({**PRIVATE, "DETACH_LOG_LEVEL": "verbose"})


def test_no_compute_endpoint_is_needed_where_no_server_is_checked() -> None:
    without = {key: value for key, value in PRIVATE.items() if key != "DETACH_COMPUTE_ENDPOINT"}

    assert read_settings({**without, "DETACH_SERVER_CHECK": "off"}).compute_endpoint is None


def test_a_store_s_own_settings_are_needed_with_it() -> None:
    csms = {**PRIVATE, "DETACH_TOKEN_SECRET": "csms:evs-detach"}
    vault = {**PRIVATE, "DETACH_TOKEN_SECRET": "vault:secret/evs/detach#token"}

    assert "DETACH_CSMS_ENDPOINT is missing" in _faults(csms)
    message = _faults(vault)
    assert "VAULT_ADDR is missing" in message
    assert "VAULT_TOKEN, VAULT_TOKEN_FILE or VAULT_ROLE is missing" in message


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("env:A=B", SecretReference(Store.ENV, "A=B")),
        ("file:relative/path:with-colon", SecretReference(Store.FILE, "relative/path:with-colon")),
        ("csms:evs-detach@v1", SecretReference(Store.CSMS, "evs-detach", "v1")),
        ("csms:evs-detach", SecretReference(Store.CSMS, "evs-detach")),
        ("vault:secret/evs/detach#token", SecretReference(Store.VAULT, "evs/detach", "token", "secret")),
        ("vault:secret/evs", SecretReference(Store.VAULT, "evs", None, "secret")),
        (
            "vault:kv2/on/nested/path//evs",
            SecretReference(Store.VAULT, "evs", None, "kv2/on/nested/path"),
        ),
        ("vault:kv2//evs/a#b", SecretReference(Store.VAULT, "evs/a", "b", "kv2")),
        ("context:", SecretReference(Store.CONTEXT, "")),
    ],
)
def test_a_secret_reference_is_parsed(text: str, reference: SecretReference) -> None:
    more = {
        "DETACH_CSMS_ENDPOINT": "https://kms.example",
        "VAULT_ADDR": "https://vault",
        "VAULT_ROLE": "detach",
    }

    assert _read(DETACH_TOKEN_SECRET=text, **more).token_secret == reference


def test_the_vault_s_usual_names_are_read() -> None:
    vault = _read(
        DETACH_TOKEN_SECRET="vault:secret/evs",
        VAULT_ADDR="https://vault.example:8200/",
        VAULT_TOKEN="hvs.planted",
        VAULT_TOKEN_FILE="/run/token",
        VAULT_ROLE="detach",
        VAULT_NAMESPACE="team/a",
        VAULT_K8S_MOUNT="/kubernetes-dev/eu/",
        VAULT_CACERT=__file__,
    ).vault

    assert (vault.address, vault.token_file, vault.role, vault.namespace) == (
        "https://vault.example:8200",
        "/run/token",
        "detach",
        "team/a",
    )
    assert (vault.kubernetes_mount, vault.trust) == ("kubernetes-dev/eu", Trust(file=__file__))
    assert vault.token is not None
    assert vault.token.reveal() == "hvs.planted"
    assert "planted" not in repr(vault)


@pytest.mark.parametrize("service", ["VOLUME", "COMPUTE", "IDENTITY", "CSMS"])
def test_a_vendor_s_endpoint_of_another_region_is_a_fault(service: str) -> None:
    name = f"DETACH_{service}_ENDPOINT"

    message = _faults({**VENDOR, name: "https://ECS.ap-southeast-1.myhuaweicloud.com/v2"})

    assert f"{name} is of another region than DETACH_REGION" in message


def test_vendor_s_endpoints_of_two_regions_are_a_fault_without_a_region_too() -> None:
    split = {
        "DETACH_VOLUME_ENDPOINT": "https://evs.eu-west-101.myhuaweicloud.eu/v2",
        "DETACH_COMPUTE_ENDPOINT": "https://ecs.eu-west-0.myhuaweicloud.eu/v2.1",
    }

    message = _faults({**PRIVATE, **split})

    assert "DETACH_VOLUME_ENDPOINT and DETACH_COMPUTE_ENDPOINT are not of one region" in message
    assert _read(DETACH_COMPUTE_ENDPOINT=split["DETACH_COMPUTE_ENDPOINT"]).region is None


def test_an_endpoint_of_one_s_own_beside_a_region_is_taken() -> None:
    settings = read_settings({**VENDOR, "DETACH_VOLUME_ENDPOINT": "https://evs-proxy.example/v2"})

    assert settings.volume_endpoint == "https://evs-proxy.example/v2"


def test_endpoints_may_come_from_the_catalog_where_there_is_an_identity_service() -> None:
    asked = {"DETACH_TOKEN_SECRET": "env:TOKEN", "DETACH_INVOKE_AUTH": "platform"}

    settings = read_settings({**asked, "DETACH_IDENTITY_ENDPOINT": "https://keystone.example/v3"})

    assert (settings.volume_endpoint, settings.compute_endpoint) == (None, None)
    message = _faults(asked)
    assert "DETACH_VOLUME_ENDPOINT is missing" in message
    assert "DETACH_COMPUTE_ENDPOINT is missing" in message


def test_which_endpoints_are_set_is_known() -> None:
    assert read_settings(PRIVATE).endpoints_set == {"DETACH_VOLUME_ENDPOINT", "DETACH_COMPUTE_ENDPOINT"}
    one = {**VENDOR, "DETACH_COMPUTE_ENDPOINT": "https://ecs.ap-southeast-3.myhuaweicloud.com/v2.1"}
    assert read_settings(one).endpoints_set == {"DETACH_COMPUTE_ENDPOINT"}


@pytest.mark.parametrize(
    "host",
    [
        "ECS.ap-southeast-1.myhuaweicloud.com.",
        "ecs.ap-southeast-1.myhuaweicloud.com:443",
        "ecs.AP-SOUTHEAST-1.MyHuaweiCloud.eu.",
    ],
)
def test_a_vendor_s_host_is_known_in_every_spelling(host: str) -> None:
    message = _faults({**VENDOR, "DETACH_COMPUTE_ENDPOINT": f"https://{host}/v2.1"})

    assert "DETACH_COMPUTE_ENDPOINT is of another region than DETACH_REGION" in message


def test_the_domain_of_one_s_own_is_the_vendor_s_too() -> None:
    own = {**VENDOR, "DETACH_REGION": "eu-de", "DETACH_DOMAIN": "otc.t-systems.com"}

    settings = read_settings(own)

    assert settings.volume_endpoint == "https://evs.eu-de.otc.t-systems.com/v2"
    assert settings.identity_endpoint == "https://iam.eu-de.otc.t-systems.com/v3"
    message = _faults({**own, "DETACH_COMPUTE_ENDPOINT": "https://ecs.eu-nl.otc.t-systems.com/v2.1"})
    assert "DETACH_COMPUTE_ENDPOINT is of another region than DETACH_REGION" in message


def test_a_read_that_takes_all_of_the_time_is_a_fault() -> None:
    assert "DETACH_READ_TIMEOUT must be less than DETACH_TIMEOUT" in _faults(
        {**PRIVATE, "DETACH_READ_TIMEOUT": "10", "DETACH_TIMEOUT": "10"}
    )


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("DETACH_SERVERCHECK", "DETACH_SERVER_CHECK"),
        ("DETACH_SERVER_CHEKC", "DETACH_SERVER_CHECK"),
        ("DETACH_SWEEP_DRYRUN", "DETACH_SWEEP_DRY_RUN"),
        ("DETACH_SWEEP_LIMITS", "DETACH_SWEEP_LIMIT"),
        ("DETACH_TIME_OUT", "DETACH_TIMEOUT"),
        ("DETACH_TOKEN_SECRETS", "DETACH_TOKEN_SECRET"),
        ("detach_server_check", "DETACH_SERVER_CHECK"),
        ("Detach_Read_Timeout", "DETACH_READ_TIMEOUT"),
        ("DETACH_DRY_RUN", "DETACH_SWEEP_DRY_RUN"),
        ("DETACH_SWEEP_MIN_AGE", "DETACH_SWEEP_MIN_AGE_SECONDS"),
        ("DETACH_MIN_AGE", "DETACH_SWEEP_MIN_AGE_SECONDS"),
        ("DETACH_CHECK", "DETACH_SERVER_CHECK"),
        ("DETACH_SWEEP_MAX", "DETACH_SWEEP_MAX_FRACTION"),
        ("detach_fraction", "DETACH_SWEEP_MAX_FRACTION"),
        ("DETACH_TARGETS_AT_MOST", "DETACH_MAX_TARGETS"),
        ("DETACH_NAME_OF_REGION", "DETACH_REGION"),
        ("EVS_DETACH_SWEEP_DRY_RUN", "DETACH_SWEEP_DRY_RUN"),
        ("evs_detach_live", "DETACH_LIVE"),
    ],
)
def test_a_misspelt_name_is_a_fault(typed: str, meant: str) -> None:
    assert _faults({**PRIVATE, typed: "planted"}).endswith(f"wrong: {typed} is not a setting, {meant} is.")


@pytest.mark.parametrize(
    "name", ["DETACH_PROOF", "DETACH_CLOUD", "detach_x", "DETACH__", "DETACH_PORTS", "detach_port"]
)
def test_so_is_one_that_no_setting_is_near(name: str) -> None:
    assert _faults({**PRIVATE, name: ""}).endswith(f"wrong: {name} is not a setting.")


def test_all_that_are_unknown_are_named() -> None:
    faults = _faults({**PRIVATE, "DETACH_PROOF": "x", "DETACH_CHECK": "x"})
    assert faults.endswith(
        "wrong: DETACH_CHECK is not a setting, DETACH_SERVER_CHECK is; DETACH_PROOF is not a setting."
    )


_OF_KUBERNETES = [
    "SERVICE_HOST",
    "SERVICE_PORT",
    "SERVICE_PORT_HTTP",
    "SERVICE_PORT_HTTP_QUEUE",
    "PORT",
    "PORT_8080_TCP",
    *(f"PORT_8080_{kind}_{what}" for kind in ("TCP", "UDP", "SCTP") for what in ("PROTO", "PORT", "ADDR")),
]


@pytest.mark.parametrize("service", ["DETACH", "DETACH_SWEEP", "DETACH_DRY_RUN_00001_PRIVATE"])
@pytest.mark.parametrize("of", _OF_KUBERNETES)
def test_what_kubernetes_tells_of_a_service_is_no_setting(service: str, of: str) -> None:
    assert read_settings({**PRIVATE, f"{service}_{of}": "10.0.0.1"}) == read_settings(PRIVATE)


@pytest.mark.parametrize(
    "name",
    [
        "DETACH_SERVICE_HOSTS",
        "DETACH_SERVICE_PORT_",
        "DETACH_PORT_TCP",
        "DETACH_PORT_80_HTTP",
        "DETACH_PORT_80_TCP_HOST",
        "DETACH__SERVICE_HOST",
        "DETACHSERVICE_HOST_DETACH_PORT",
    ],
)
def test_what_only_looks_so_is_none_of_it(name: str) -> None:
    environment = {**PRIVATE, name: "10.0.0.1"}
    if name.startswith("DETACH_"):
        assert f"{name} is not a setting" in _faults(environment)
    else:
        assert read_settings(environment) == read_settings(PRIVATE)


@pytest.mark.parametrize(
    "name",
    [
        "VAULT_SKIP_VERIFY",
        "OS_DETACH_LIVE",
        "EVS_DETACH_SERVICE_HOST",
        "EVS_DETACH_00001_PRIVATE_SERVICE_PORT_HTTP",
        "EVS_DETACH_COLOUR",
        "MY_EVS_DETACH_LIVE",
        "DETACHED",
        "DETACH",
        "DETACH_",
    ],
)
def test_what_is_somebody_else_s_is_left_alone(name: str) -> None:
    assert read_settings({**PRIVATE, name: "1"}) == read_settings(PRIVATE)


def test_settings_show_no_secret() -> None:
    settings = _read(VAULT_TOKEN="hvs.planted")

    assert "planted" not in repr(settings)
