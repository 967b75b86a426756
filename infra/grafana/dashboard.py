"""Writes the dashboard anew, to evs-detach.json: `python infra/grafana/dashboard.py`."""

from __future__ import annotations

import sys
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueGraphMode, LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)

OURS = 'job=~"$job"'
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDE, HALF, HIGH, LOW = 24, 12, 8, 5
DAY = 86400.0


def main() -> None:
    """Write it beside this file, or where the first word says."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("evs-detach.json")
    target.write_text(text(), encoding="utf-8")


def text() -> str:
    """The dashboard as Grafana imports it."""
    encoded: str = JSONEncoder(sort_keys=True, indent=2).encode(board().build())
    return encoded + "\n"


def board() -> dashboard.Dashboard:
    """The dashboard: what an operator looks at first on top."""
    made = (
        dashboard.Dashboard("EVS detach")
        .uid("evs-detach")
        .description(
            "Stale attachment records: what was found, cleared, refused; what calls to the cloud took."
        )
        .tags(["evs-detach"])
        .time("now-7d", "now")
        .refresh("1m")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").type("prometheus").label("Data source"))
        .with_variable(
            dashboard.QueryVariable("job")
            .label("Deployment")
            .datasource(SOURCE)
            .query("label_values(evs_detach_clearings_total, job)")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .multi(True)
            .include_all(True)
        )
    )
    for panel in (*_numbers(), *_courses()):
        made.with_panel(panel)
    return made


def _numbers() -> list[stat.Panel]:
    added = "max_over_time({0}[1d]) - (last_over_time({0}[1d] offset 1d) or max_over_time({0}[1d]) * 0)"
    return [
        _number(
            "Since a sweep went through",
            f"time() - max(max_over_time(evs_detach_last_sweep_timestamp_seconds{{{OURS}}}[8d]))",
            "s",
            26 * 3600,
        ),
        _number(
            "Orphans at the last sweep",
            f"max(last_over_time(evs_detach_candidates{{{OURS}}}[2d]))",
            "short",
            20,
        ),
        _number(
            "Cleared in 24 hours",
            f"sum({added.format(f'evs_detach_clearings_total{{{OURS}}}')})",
            "short",
            100,
        ),
        _number(
            "To be mended, in 24 hours",
            f"sum({added.format(f'evs_detach_errors_total{{{OURS}}}')}) or vector(0)",
            "short",
            1,
        ),
        _number(
            "Until the first secret ends",
            f"min(last_over_time(evs_detach_secret_end_timestamp_seconds{{{OURS}}}[2d])) - time()",
            "s",
            14 * DAY,
            below=True,
        ),
    ]


def _courses() -> list[timeseries.Panel]:
    def rate(metric: str, by: str, more: str = "") -> str:
        return f"sum by ({by}) (rate({metric}{{{OURS}{more}}}[$__rate_interval]))"

    def slowest(metric: str, by: str) -> str:
        buckets = rate(f"{metric}_bucket", f"le, {by}")
        return f"histogram_quantile(0.95, {buckets})"

    return [
        _course(
            "Targets by outcome",
            rate("evs_detach_targets_total", "evs_detach_outcome, evs_detach_code"),
            "{{evs_detach_outcome}} {{evs_detach_code}}",
            "ops",
        ),
        _course("Sweeps", rate("evs_detach_sweeps_total", "evs_detach_code"), "{{evs_detach_code}}", "ops"),
        _course("Invocations", rate("faas_invocations_total", "faas_trigger"), "{{faas_trigger}}", "ops"),
        _course(
            "Failed invocations",
            rate("faas_errors_total", "faas_trigger, evs_detach_code"),
            "{{faas_trigger}} {{evs_detach_code}}",
            "ops",
        ),
        _course(
            "Duration of invocations, 95 of 100",
            slowest("faas_invoke_duration_seconds", "faas_trigger"),
            "{{faas_trigger}}",
            "s",
        ),
        _course(
            "Duration of calls, 95 of 100",
            slowest("http_client_request_duration_seconds", "evs_detach_service"),
            "{{evs_detach_service}}",
            "s",
        ),
        _course(
            "Calls by service and status",
            rate(
                "http_client_request_duration_seconds_count", "evs_detach_service, http_response_status_code"
            ),
            "{{evs_detach_service}} {{http_response_status_code}}",
            "reqps",
        ),
        _course(
            "Tokens issued, processes begun",
            f"sum(increase(evs_detach_tokens_issued_total{{{OURS}}}[1h]))",
            "tokens",
            "short",
            ("processes", f"sum(increase(faas_coldstarts_total{{{OURS}}}[1h]))"),
        ),
    ]


def _number(title: str, expression: str, unit: str, bad: float, *, below: bool = False) -> stat.Panel:
    colors = ("red", "green") if below else ("green", "red")
    return (
        stat.Panel()
        .title(title)
        .datasource(SOURCE)
        .span(WIDE // 5)
        .height(LOW)
        .unit(unit)
        .graph_mode(BigValueGraphMode.NONE)
        .thresholds(
            dashboard.ThresholdsConfig()
            .mode(ThresholdsMode.ABSOLUTE)
            .steps([Threshold(color=colors[0]), Threshold(value=bad, color=colors[1])])
        )
        .with_target(_query("A", expression, "").instant())
    )


def _course(title: str, expression: str, legend: str, unit: str, *more: tuple[str, str]) -> timeseries.Panel:
    panel = (
        timeseries.Panel()
        .title(title)
        .datasource(SOURCE)
        .span(HALF)
        .height(HIGH)
        .unit(unit)
        .min(0)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .with_target(_query("A", expression, legend).range())
    )
    for letter, (name, query) in zip("BCD", more, strict=False):
        panel.with_target(_query(letter, query, name).range())
    return panel


def _query(letter: str, expression: str, legend: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().datasource(SOURCE).ref_id(letter).expr(expression).legend_format(legend)


if __name__ == "__main__":
    main()
