"""docs/operating.md against the code: settings and their defaults, calls, log events, error codes."""

from __future__ import annotations

import inspect
import json
import re
import sys

from handler.errors import ErrorCode
from handler.otel.meters import Meters
from handler.settings import NAMES, Settings, read_settings
from handler.settings.cloud_loader import load_region
from handler.settings.environment import EnvironmentReader
from handler.settings.openstack import OpenStackCloud
from handler.settings.regions import DOMAIN
from handler.settings.secret_reference import Store
from handler.settings.trust import Trust
from handler.settings.vault import VaultSettings
from handler.telemetry import Event
from tests.unit.pages import ROOT, Page

OPERATING = Page("docs/operating.md")


def test_the_settings_table_names_every_setting_in_order() -> None:
    assert [row[0] for row in OPERATING.table("settings")] == list(NAMES)


def test_the_settings_table_gives_the_real_defaults() -> None:
    settings = read_settings(
        {"DETACH_REGION": "R".lower(), "DETACH_TOKEN_SECRET": "env:T", "DETACH_INVOKE_SECRET": "env:K"}
    )
    told = {name: default for name, default, _ in OPERATING.table("settings")}
    real: dict[str, object] = {
        "DETACH_VOLUME_ENDPOINT": settings.volume_endpoint,
        "DETACH_COMPUTE_ENDPOINT": settings.compute_endpoint,
        "DETACH_IDENTITY_ENDPOINT": settings.identity_endpoint,
        "DETACH_CSMS_ENDPOINT": settings.csms_endpoint,
        "VAULT_K8S_MOUNT": settings.vault.kubernetes_mount,
        "OS_INTERFACE": settings.catalog.interface,
        "DETACH_TRUST_ENDPOINTS": settings.trust_endpoints,
        "DETACH_DOMAIN": DOMAIN,
        "DETACH_SECRET_TTL": settings.secret_ttl,
        "DETACH_SERVER_CHECK": settings.server_check.value,
        "DETACH_TIMEOUT": settings.timeout,
        "DETACH_CONNECT_TIMEOUT": settings.connect_timeout,
        "DETACH_READ_TIMEOUT": settings.read_timeout,
        "DETACH_MAX_TARGETS": settings.max_targets,
        "DETACH_MAX_BODY_BYTES": settings.max_body_bytes,
        "DETACH_CONCURRENCY": settings.concurrency,
        "DETACH_SWEEP_DRY_RUN": settings.sweep.dry_run,
        "DETACH_SWEEP_LIMIT": settings.sweep.limit,
        "DETACH_SWEEP_MIN_AGE_SECONDS": settings.sweep.min_age_seconds,
        "DETACH_SWEEP_MAX_FRACTION": settings.sweep.max_fraction,
        "DETACH_INVOKE_AUTH": settings.invoke_auth.value,
        "DETACH_LOG_LEVEL": settings.log_level,
    }
    for name, value in real.items():
        text = f"{value:g}" if isinstance(value, float) else str(value)
        assert told[name].replace("{region}", "r").lower() == text.lower(), name


def test_every_setting_in_the_code_is_in_the_table() -> None:
    parts = (Settings, EnvironmentReader, Trust, VaultSettings, OpenStackCloud)
    modules = (*(part.__module__ for part in parts), load_region.__module__)
    source = "".join(inspect.getsource(sys.modules[name]) for name in modules)
    assert set(re.findall(r'"((?:DETACH|VAULT|OS)_[A-Z0-9_]+)"', source)) == set(NAMES)


def test_every_store_has_its_reference() -> None:
    named = re.findall(r"^\| `([a-z]+):[^`]*` \|", OPERATING.text, re.MULTILINE)
    assert named == [store.value for store in Store]


def test_the_table_of_codes_has_every_code_once() -> None:
    assert [row[0] for row in OPERATING.table("codes")] == [code.value for code in ErrorCode]


def test_the_table_of_events_has_every_event_once() -> None:
    assert [row[0] for row in OPERATING.table("events")] == [event.value for event in Event]


def test_the_table_of_calls_is_the_list_that_the_policy_is_built_from() -> None:
    calls = json.loads((ROOT / "infra" / "huaweicloud" / "calls.json").read_text(encoding="utf-8"))["calls"]
    assert OPERATING.table("calls") == [
        [call["name"], call["method"], call["path"], "yes" if call["changes"] else "no"] for call in calls
    ]


def test_the_table_of_metrics_has_every_metric_as_prometheus_names_it() -> None:
    code = inspect.getsource(sys.modules[Meters.__module__])
    made = re.findall(r'create_(counter|gauge|histogram)\(\s*"([a-z_.]+)",\s*"([^"]+)"', code)
    named = []
    for kind, name, unit in made:
        units = "" if unit.startswith("{") else {"s": "_seconds"}[unit]
        named.append([name, name.replace(".", "_") + units + "_total" * (kind == "counter")])
    assert len(named) == len(re.findall(r"\.create_", code)) > 10
    assert sorted(row[:2] for row in OPERATING.table("metrics")) == sorted(named)
