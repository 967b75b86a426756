"""DETACH_SCOPE=cloud: what proves that a token sees everything, and what is cleared by it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from requests.models import PreparedRequest
from requests.structures import CaseInsensitiveDict

from handler.actions.dispatch import carry_out
from handler.actions.project import Project
from handler.actions.sweep import _dispatcher
from handler.actions.sweep_candidates import Census, Orphan
from handler.actions.whole_cloud import WholeCloud
from handler.cloud.volumes import Volume, Volumes
from handler.errors import ErrorCode, Misconfigured, TokenRejected
from handler.invocation import Invocation, Trigger
from handler.model.request import Batch, GoneServer, SweepBounds, Target, read_form
from handler.model.result import ManyResult, Outcome, TargetResult, to_json
from handler.runtime import Runtime
from handler.telemetry import configure
from tests.embedded_cloud import Cloud, Server
from tests.embedded_cloud.policies import Policies
from tests.unit.embedded_project import APPLY, EmbeddedProject, FixedToken

THIRD = uuid.UUID(int=3).hex


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """Two projects with a live server and its disk each. Cinder's own guard is off: ours must do."""
    with Cloud() as cloud:
        cloud.asks_compute = False
        for project_id in (cloud.project_id, cloud.other_project_id):
            live(cloud, project_id)
        yield cloud


@pytest.fixture
def project(cloud: Cloud) -> Iterator[EmbeddedProject]:
    project = EmbeddedProject(cloud)
    project.token = cloud.token(role="admin")
    project.settings = {**APPLY, "DETACH_SCOPE": "cloud", "DETACH_SWEEP_MIN_AGE_SECONDS": "0"}
    yield project
    project.close()


def live(cloud: Cloud, project_id: str, of: str | None = None) -> str:
    """A volume of a project at a server that lives, of the same project or another; the volume's id."""
    server = cloud.add_server(project_id=of or project_id)
    return cloud.add_volume(attachments=[server], project_id=project_id).id


def orphan(cloud: Cloud, project_id: str) -> str:
    return cloud.add_volume(attachments=[str(uuid.uuid4())], project_id=project_id).id


def one(project: EmbeddedProject, volume_id: str, services: Project | None = None) -> TargetResult:
    result = carry_out([Target(volume_id=volume_id)], services or project.services())
    assert isinstance(result, TargetResult)
    return result


def judged(result: TargetResult | ManyResult) -> tuple[str | None, str | None]:
    """Outcome and code, of one or of the whole."""
    outcome = result.outcome.value if isinstance(result, TargetResult) else None
    return outcome, result.error.code.value if result.error else None


CONFIGURATION = ErrorCode.CONFIGURATION.value


def test_what_is_orphaned_in_any_project_is_cleared_and_nothing_else(
    cloud: Cloud, project: EmbeddedProject
) -> None:
    ours, foreign = orphan(cloud, cloud.project_id), orphan(cloud, cloud.other_project_id)
    at_foreign = live(cloud, cloud.project_id, of=cloud.other_project_id)

    result = project.sweep()

    assert result.summary == {"detached": 2}
    assert {(part.volume_id, part.project_id) for part in result.results} == {
        (ours, cloud.project_id),
        (foreign, cloud.other_project_id),
    }
    assert cloud.volume(at_foreign).status == "in-use"
    assert result.projects == {
        cloud.project_id: {"detached": 1},
        cloud.other_project_id: {"detached": 1},
    }


def test_one_project_alone_takes_a_foreign_servers_disk_for_orphaned(
    cloud: Cloud, project: EmbeddedProject
) -> None:
    """The hole that a token of one project can't close: why there is a scope of the whole cloud."""
    at_foreign = live(cloud, cloud.project_id, of=cloud.other_project_id)
    project.token, project.settings = cloud.token(), APPLY

    assert one(project, at_foreign).outcome is Outcome.DETACHED


def test_the_vendor_s_services_under_another_name_show_no_other_project() -> None:
    """Whether a whole cloud is seen says what a token is shown, not a host."""
    with Cloud("huawei") as cloud:
        cloud.asks_compute = False
        for project_id in (cloud.project_id, cloud.other_project_id):
            live(cloud, project_id)
        project = EmbeddedProject(cloud)
        project.settings = {**APPLY, "DETACH_SCOPE": "cloud"}
        left = orphan(cloud, cloud.project_id)

        result = one(project, left)

        assert judged(result) == ("failed", CONFIGURATION)
        assert result.error is not None
        assert "can't be proved that the token sees all projects" in result.error.message
        assert cloud.posts() == []
        project.close()


FORMS: dict[str, Callable[[str, str], Any]] = {
    "one": lambda volume_id, _server: Target(volume_id=volume_id),
    "batch": lambda volume_id, _server: Batch(targets=[Target(volume_id=volume_id)]),
    "server": lambda _volume, server_id: GoneServer(server_id=server_id),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_judges_other_projects_volumes(cloud: Cloud, project: EmbeddedProject, form: str) -> None:
    volume = cloud.volume(orphan(cloud, cloud.other_project_id))
    server_id = volume.attachments[0].server_id or ""

    result = carry_out([FORMS[form](volume.id, server_id)], project.services())

    parts = result.results if isinstance(result, ManyResult) else (result,)
    assert [(part.outcome, part.project_id) for part in parts] == [(Outcome.DETACHED, cloud.other_project_id)]
    assert volume.status == "available"


@pytest.mark.parametrize("form", FORMS)
def test_no_form_clears_a_live_servers_disk(cloud: Cloud, project: EmbeddedProject, form: str) -> None:
    volume = cloud.volume(live(cloud, cloud.project_id, of=cloud.other_project_id))

    result = carry_out([FORMS[form](volume.id, volume.attachments[0].server_id or "")], project.services())

    parts = result.results if isinstance(result, ManyResult) else (result,)
    assert [part.error.code for part in parts if part.error] == [ErrorCode.SERVER_EXISTS]
    assert cloud.changes() == []


def lister(policies: Policies) -> None:
    """Nova lists all to it and shows nothing of others by id; Cinder takes it for an administrator."""
    policies.lists_all_servers.add("operator")
    policies.volume_admins.add("operator")
    policies.shows_volumes.add("operator")


def lister_who_filters(policies: Policies) -> None:
    lister(policies)
    policies.filters_servers.add("operator")


def only_single_servers(policies: Policies) -> None:
    policies.compute_admins.add("operator")
    policies.volume_admins.add("operator")
    policies.shows_volumes.add("operator")


def only_lists_of_volumes(policies: Policies) -> None:
    for rule in (policies.compute_admins, policies.lists_all_servers, policies.filters_servers):
        rule.add("operator")
    policies.volume_admins.add("operator")


def only_single_volumes(policies: Policies) -> None:
    for rule in (policies.compute_admins, policies.lists_all_servers, policies.filters_servers):
        rule.add("operator")
    policies.shows_volumes.add("operator")


def nothing_at_nova(policies: Policies) -> None:
    policies.volume_admins.add("operator")
    policies.shows_volumes.add("operator")


def owner_untold(policies: Policies) -> None:
    for rule in vars(policies).values():
        if isinstance(rule, set):
            rule.add("operator")
    policies.tells_volume_owner = False


PARTIAL = {
    policy.__name__: policy
    for policy in (
        lister,
        lister_who_filters,
        only_single_servers,
        only_lists_of_volumes,
        only_single_volumes,
        nothing_at_nova,
        owner_untold,
    )
}


def nothing_was_done(cloud: Cloud, *, of: str) -> None:
    """Nothing of the case's own volume was asked, let alone changed."""
    assert cloud.changes() == []
    assert [call.path for call in cloud.calls if of in call.path] == []


@pytest.mark.parametrize("policy", PARTIAL)
@pytest.mark.parametrize("form", [*FORMS, "sweep"])
def test_a_token_that_sees_a_part_judges_nothing(
    cloud: Cloud, project: EmbeddedProject, policy: str, form: str
) -> None:
    project.token = cloud.token(role="operator")
    PARTIAL[policy](cloud.policies)
    volume = cloud.volume(orphan(cloud, cloud.other_project_id))
    newer = live(cloud, cloud.other_project_id)  # what is looked at for the proof
    server_id = volume.attachments[0].server_id or ""
    newer_still = [live(cloud, cloud.other_project_id) for _ in range(9)]

    if form == "sweep":
        result: TargetResult | ManyResult = project.sweep()
    else:
        result = carry_out([FORMS[form](volume.id, server_id)], project.services())

    errors = [part.error for part in getattr(result, "results", ())] or [result.error]
    assert [error.code for error in errors if error] == [ErrorCode.CONFIGURATION]
    assert "can't be proved" in errors[0].message
    nothing_was_done(cloud, of=volume.id)
    assert {cloud.volume(id_).status for id_ in (newer, *newer_still)} == {"in-use"}


@pytest.mark.parametrize("role", ["member", "reader", "manager"])
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_project_s_own_roles_judge_nothing(
    cloud: Cloud, project: EmbeddedProject, role: str, *, dry_run: bool
) -> None:
    project.token = cloud.token(role=role)
    volume_id = orphan(cloud, cloud.project_id)

    result = carry_out([Target(volume_id=volume_id, dry_run=dry_run)], project.services())
    swept = project.sweep(dry_run=dry_run)

    assert judged(result) == ("failed", CONFIGURATION)
    assert judged(swept) == (None, CONFIGURATION)
    nothing_was_done(cloud, of=volume_id)


@pytest.mark.parametrize("missing", ["volume", "server"])
def test_a_cloud_of_one_project_proves_nothing(missing: str) -> None:
    with Cloud() as cloud:
        live(cloud, cloud.project_id)
        if missing == "server":
            orphan(cloud, cloud.other_project_id)
        project = EmbeddedProject(cloud)
        project.token = cloud.token(role="admin")
        project.settings = {**APPLY, "DETACH_SCOPE": "cloud"}
        assert judged(one(project, orphan(cloud, cloud.project_id))) == ("failed", CONFIGURATION)
        assert cloud.changes() == []
        project.close()


def test_servers_that_lists_hide_keep_their_disks(cloud: Cloud, project: EmbeddedProject) -> None:
    """What is hidden from lists alone: each is shown by its id."""
    volumes = [live(cloud, THIRD) for _ in range(3)]
    keep_the_proof(cloud)
    cloud.policies.unlisted = lambda server: server.project_id == THIRD

    assert {judged(part) for part in project.sweep().results} == {("refused", "server_exists")}
    assert judged(one(project, volumes[0])) == ("refused", "server_exists")
    assert cloud.changes() == []


def test_servers_that_are_hidden_by_id_keep_their_disks(cloud: Cloud, project: EmbeddedProject) -> None:
    """What is listed and not shown by its id: no sweep finds it, the other forms look into the list."""
    volumes = [live(cloud, THIRD) for _ in range(3)]
    keep_the_proof(cloud)
    cloud.policies.hidden = lambda server: server.project_id == THIRD

    assert project.sweep().results == ()
    result = one(project, volumes[0])
    assert judged(result) == ("refused", "server_unknown")
    assert result.error is not None
    assert "its list of all servers has it" in result.error.message
    assert cloud.changes() == []


def keep_the_proof(cloud: Cloud) -> None:
    """Make a disk in the second project newer than all others: the one that is looked at first."""
    live(cloud, cloud.other_project_id)


@pytest.mark.parametrize("form", ["one", "server"])
def test_the_whole_list_is_read_where_the_filter_is_not_minded(
    cloud: Cloud, project: EmbeddedProject, form: str
) -> None:
    cloud.policies.filters_servers.clear()
    for _ in range(5):
        live(cloud, THIRD)
    keep_the_proof(cloud)
    cloud.page_cap = 2
    hidden = cloud.volume(live(cloud, THIRD))
    keep_the_proof(cloud)
    cloud.policies.hidden = lambda server: server.project_id == THIRD
    gone = orphan(cloud, cloud.other_project_id)
    services = project.services()

    result = carry_out([FORMS[form](hidden.id, hidden.attachments[0].server_id or "")], services)
    cleared = one(project, gone, services)

    parts = result.results if isinstance(result, ManyResult) else (result,)
    assert [judged(part) for part in parts] == [("refused", "server_unknown")]
    assert cleared.outcome is Outcome.DETACHED
    assert hidden.status == "in-use"


def test_a_filter_that_is_no_longer_minded_hides_nothing(cloud: Cloud, project: EmbeddedProject) -> None:
    """From the proof on it lists everybody's, page by page."""
    hidden = cloud.volume(live(cloud, THIRD))
    for _ in range(3):
        keep_the_proof(cloud)
    services = project.services()
    assert services.whole_cloud is not None
    assert services.whole_cloud.sight().by_id is True
    cloud.policies.hidden = lambda server: server.project_id == THIRD
    cloud.policies.filters_servers.clear()
    cloud.page_cap = 2

    assert judged(one(project, hidden.id, services)) == ("refused", "server_unknown")
    assert hidden.status == "in-use"


def test_a_filter_that_shows_nothing_is_not_believed(cloud: Cloud, project: EmbeddedProject) -> None:
    """As a cell that is down hides its live servers from every list that is filtered (recorded)."""
    hidden = cloud.volume(live(cloud, THIRD))
    keep_the_proof(cloud)
    cloud.policies.hidden = lambda server: server.project_id == THIRD
    cloud.policies.finds_by_uuid = False

    assert judged(one(project, hidden.id)) == ("refused", "server_unknown")
    assert hidden.status == "in-use"


def test_a_cell_that_is_down_keeps_its_servers_disks(cloud: Cloud, project: EmbeddedProject) -> None:
    server = cloud.add_server(project_id=THIRD, host="far-1")
    cloud.host("far-1").cell = "cell2"
    volume = cloud.add_volume(attachments=[server], project_id=THIRD)
    keep_the_proof(cloud)
    cloud.cells_down.add("cell2")

    assert judged(one(project, volume.id))[0] == "failed"
    assert [judged(part)[0] for part in project.sweep().results] == ["failed"]
    assert cloud.changes() == []


def test_the_proof_is_made_once_a_token(cloud: Cloud, project: EmbeddedProject) -> None:
    services = project.services()
    first, second = orphan(cloud, cloud.other_project_id), orphan(cloud, cloud.project_id)
    keep_the_proof(cloud)

    assert one(project, first, services).calls == 5
    cold = len(cloud.calls)
    assert one(project, second, services).calls == 5  # its own four, and the list of servers
    assert len(cloud.calls) - cold == 5
    assert cold == 5 + 4  # a page of volumes, a volume, a server, the list by its id


def test_a_policy_that_changes_under_a_sweep_clears_nothing(
    cloud: Cloud, project: EmbeddedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the lists there is one orphan; from then on no server of others is shown any more."""
    monkeypatch.setattr("handler.actions.whole_cloud._STILL", 0.0)
    victim = cloud.volume(live(cloud, THIRD))
    keep_the_proof(cloud)
    cloud.policies.unlisted = lambda server: server.project_id == THIRD

    def tighten(call: Any) -> None:
        if call.method == "GET" and call.path.endswith(victim.id):  # its turn has come
            cloud.policies.compute_admins.clear()

    cloud.hook(tighten)
    assert [judged(part) for part in project.sweep().results] == [("failed", CONFIGURATION)]
    assert victim.status == "in-use"
    assert cloud.changes() == []


def of_operator(cloud: Cloud, project: EmbeddedProject) -> Runtime:
    """A deployment whose secret is an administrator's password, so that its token can be renewed."""
    cloud.add_user("operator", "correct-horse-battery", projects=[cloud.project_id], role="admin")
    environment = {
        **cloud.environment(),
        **project.settings,
        "DETACH_TOKEN_SECRET": "env:LOGIN",
        "LOGIN": json.dumps(
            {"username": "operator", "password": "correct-horse-battery", "domain": "Default"}
        ),
    }
    return Runtime(environment, network=False)


def test_a_renewed_token_that_sees_less_judges_nothing(cloud: Cloud, project: EmbeddedProject) -> None:
    """The role is taken away in the middle, which revokes the token; the next one sees its own project."""
    victim = cloud.volume(live(cloud, THIRD))
    keep_the_proof(cloud)
    runtime = of_operator(cloud, project)

    def degrade(call: Any) -> None:
        if call.method == "GET" and call.path.endswith(victim.id) and call.service == "volume":
            cloud.hooks.clear()
            cloud.identity.users["Default", "operator"].role = "member"
            for token in list(cloud.identity.tokens.values()):
                if token.user_name == "operator":
                    cloud.revoke(token.text)

    cloud.hook(degrade)
    result = runtime.carry_out([Target(volume_id=victim.id)], Invocation(Trigger.HTTP, "test"))

    assert judged(result) == ("failed", CONFIGURATION)
    assert cloud.tokens_issued >= 2
    assert cloud.changes() == []
    runtime.transport.close()


def test_our_own_server_with_anothers_disk_proves_nothing(cloud: Cloud, project: EmbeddedProject) -> None:
    """What is shown because it is the token's own says nothing of others."""
    project.token = cloud.token(role="operator")
    lister(cloud.policies)
    volume_id = orphan(cloud, cloud.project_id)
    for _ in range(9):
        live(cloud, cloud.other_project_id, of=cloud.project_id)

    assert judged(one(project, volume_id)) == ("failed", CONFIGURATION)
    assert cloud.changes() == []


def test_pages_of_one_still_prove_it(cloud: Cloud, project: EmbeddedProject) -> None:
    cloud.page_cap = 1
    services = project.services()
    assert one(project, orphan(cloud, cloud.other_project_id), services).outcome is Outcome.DETACHED
    assert services.whole_cloud is not None
    assert services.whole_cloud.sight().by_id is True


def test_a_first_page_of_the_server_alone_is_no_filter_that_is_minded(
    cloud: Cloud, project: EmbeddedProject
) -> None:
    cloud.policies.filters_servers.clear()
    keep_the_proof(cloud)
    cloud.page_cap = 1
    services = project.services()
    assert services.whole_cloud is not None
    assert services.whole_cloud.sight().by_id is False


def test_a_disk_at_a_host_names_no_server_that_the_proof_could_do_with(
    cloud: Cloud, project: EmbeddedProject
) -> None:
    cloud.volume(live(cloud, cloud.other_project_id)).attachments[0].server_id = None

    assert one(project, orphan(cloud, cloud.project_id)).outcome is Outcome.DETACHED


@pytest.mark.parametrize("named", [True, False])
def test_a_server_is_the_witness_of_both_services_where_a_volume_names_it(
    cloud: Cloud, project: EmbeddedProject, *, named: bool
) -> None:
    if not named:  # it is found in the list of servers alone
        for volume in cloud.volumes:
            volume.attachments[0].server_id = str(uuid.uuid4())
    services = project.services()
    assert services.whole_cloud is not None
    seen = services.whole_cloud.sight()

    assert services.whole_cloud.endpoints.witness == (seen.server_id if named else None)


def test_a_server_that_is_gone_is_looked_for_by_its_id_where_that_is_minded(
    cloud: Cloud, project: EmbeddedProject
) -> None:
    volume = cloud.volume(orphan(cloud, cloud.project_id))
    gone = volume.attachments[0].server_id
    services = project.services()
    assert services.whole_cloud is not None
    services.whole_cloud.sight()
    cloud.clear_calls()

    assert one(project, volume.id, services).outcome is Outcome.DETACHED
    listed = [call.query.get("uuid") for call in cloud.calls if call.path.endswith("/servers")]
    assert listed == [gone]


def _whole(services: Project) -> WholeCloud:
    assert services.whole_cloud is not None
    return services.whole_cloud


def _signed(whole: WholeCloud) -> PreparedRequest:
    request = PreparedRequest()
    request.headers = CaseInsensitiveDict()
    return whole(request)


def test_what_was_seen_counts_for_ten_seconds(cloud: Cloud, project: EmbeddedProject) -> None:
    services = project.services()
    whole, seconds = _whole(services), [100.0]
    whole._now = lambda: seconds[0]
    seen = whole.sight()
    cloud.clear_calls()

    def asked_after(pause: float) -> list[str]:
        seconds[0] += pause
        before = len(cloud.calls)
        whole.require_still(services.context)
        return [call.path.rpartition("/")[2] for call in cloud.calls[before:]]

    assert [asked_after(pause) for pause in (9.9, 0.1, 9.9, 0.1)] == [[], [seen.server_id]] * 2
    assert whole.endpoints.sight is seen


def test_a_server_that_is_shown_no_more_is_replaced_at_once_or_nothing_is_known(
    cloud: Cloud, project: EmbeddedProject
) -> None:
    keep_the_proof(cloud)
    services = project.services()
    whole, seconds = _whole(services), [100.0]
    whole._now = lambda: seconds[0]
    first = whole.sight().server_id
    cloud.delete_server(first)
    seconds[0] += 10

    whole.require_still(services.context)

    assert whole.endpoints.sight is not None
    assert whole.endpoints.sight.server_id != first
    cloud.delete_server(whole.endpoints.sight.server_id)
    seconds[0] += 10
    with pytest.raises(Misconfigured, match="can't be proved"):
        whole.require_still(services.context)


def test_what_another_thread_has_seen_meanwhile_is_not_looked_for_again(
    cloud: Cloud, project: EmbeddedProject
) -> None:
    whole = _whole(project.services())
    signed = _signed(whole)
    cloud.clear_calls()

    assert whole._prove(signed) is signed
    assert cloud.calls == []


def test_the_list_of_all_servers_is_read_once(cloud: Cloud, project: EmbeddedProject) -> None:
    cloud.policies.filters_servers.clear()
    orphans = [orphan(cloud, cloud.project_id) for _ in range(2)]
    keep_the_proof(cloud)
    services = project.services()
    _whole(services).sight()
    cloud.clear_calls()

    assert [one(project, id_, services).outcome for id_ in orphans] == [Outcome.DETACHED] * 2
    assert [call.path.endswith("/servers") for call in cloud.calls].count(True) == 1


def test_tokens_that_are_refused_one_after_the_other_prove_nothing(
    cloud: Cloud, project: EmbeddedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FixedToken, "renew", lambda *_: True)
    whole = _whole(project.services())
    cloud.misbehave("volume", "GET", times=None, status=401)

    with pytest.raises(TokenRejected, match="3 tokens in a row"):
        _signed(whole)
    assert len(cloud.calls) == 3, "each by one token that nothing renews"


def test_a_volume_that_is_shown_as_nobodys_is_no_other_projects(
    cloud: Cloud, project: EmbeddedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = Volumes.get

    def untold(volumes: Volumes, *asked: Any) -> Volume | None:
        found = get(volumes, *asked)
        return None if found is None else found._replace(project_id=None)

    monkeypatch.setattr(Volumes, "get", untold)

    with pytest.raises(Misconfigured, match="but does not show it by its id"):
        _whole(project.services()).sight()
    assert cloud.changes() == []


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ("hidden", "the compute service lists server .*, but does not show it by its id"),
        ("both", "no server of another project is found that the compute service shows by its id"),
        ("unlisted", "shows server .* of another project by its id, but does not list it"),
    ],
)
def test_what_is_missing_of_the_servers_is_said(
    cloud: Cloud, project: EmbeddedProject, policy: str, says: str
) -> None:
    def others(server: Server) -> bool:
        return server.project_id != cloud.project_id

    if policy != "unlisted":
        cloud.policies.hidden = others
    if policy != "hidden":
        cloud.policies.unlisted = others

    with pytest.raises(Misconfigured, match=says):
        _whole(project.services()).sight()


def test_the_proof_reads_no_page_that_it_does_not_need(cloud: Cloud, project: EmbeddedProject) -> None:
    for _ in range(7):
        live(cloud, cloud.other_project_id)
    cloud.page_cap = 2
    services = project.services()
    assert services.whole_cloud is not None
    services.whole_cloud.sight()
    assert len(cloud.calls) == 4


def test_what_could_not_be_proved_is_asked_once_an_invocation(cloud: Cloud, project: EmbeddedProject) -> None:
    project.token = cloud.token()
    targets = [Target(volume_id=orphan(cloud, cloud.project_id)) for _ in range(5)]

    result = carry_out([Batch(targets=targets)], project.services())

    assert isinstance(result, ManyResult)
    assert [judged(part) for part in result.results] == [("failed", CONFIGURATION)] * 5
    assert [call.query.get("status") for call in cloud.calls] == ["in-use", None]


@pytest.mark.parametrize("bounds", [{"project_ids": [THIRD]}, {"exclude_project_ids": [THIRD]}])
def test_a_volume_of_nobody_knows_whose_project_passes_no_filter(bounds: dict[str, Any]) -> None:
    untold = Volume(str(uuid.uuid4()), "in-use", None, ())
    assert not Census(read_form(SweepBounds, bounds)).wants(untold, ())
    assert Census(SweepBounds()).wants(untold, ())


def test_a_token_that_ends_amid_the_proof_is_renewed(cloud: Cloud, project: EmbeddedProject) -> None:
    gone = orphan(cloud, cloud.other_project_id)
    keep_the_proof(cloud)
    runtime = of_operator(cloud, project)

    def end(call: Any) -> None:
        if call.service == "compute":  # the second half of the proof
            cloud.hooks.clear()
            for token in list(cloud.identity.tokens.values()):
                if token.user_name == "operator":
                    cloud.revoke(token.text)

    cloud.hook(end)
    result = runtime.carry_out([Target(volume_id=gone)], Invocation(Trigger.HTTP, "test"))

    assert judged(result) == ("detached", None)
    assert cloud.tokens_issued == 2
    runtime.transport.close()


def test_an_expired_token_is_renewed_and_looked_at_anew(cloud: Cloud, project: EmbeddedProject) -> None:
    gone = orphan(cloud, cloud.other_project_id)
    keep_the_proof(cloud)
    runtime = of_operator(cloud, project)
    runtime.carry_out([Target(volume_id=gone, dry_run=True)], Invocation(Trigger.HTTP, "test"))
    for token in list(cloud.identity.tokens.values()):
        if token.user_name == "operator":
            cloud.revoke(token.text)

    result = runtime.carry_out([Target(volume_id=gone)], Invocation(Trigger.HTTP, "test"))

    assert judged(result) == ("detached", None)
    runtime.transport.close()


def test_the_path_keeps_the_token_s_own_project(cloud: Cloud, project: EmbeddedProject) -> None:
    orphan(cloud, cloud.other_project_id)
    project.sweep()
    asked = [call.path for call in cloud.calls if call.service in {"volume", "compute"}]
    assert asked
    assert all(cloud.project_id in path for path in asked)


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"project_ids": [THIRD]}, {THIRD}),
        ({"project_ids": [str(uuid.UUID(THIRD)).upper()]}, {THIRD}),
        ({"exclude_project_ids": [THIRD]}, {"ours", "other"}),
        ({"project_ids": [THIRD], "exclude_project_ids": [THIRD]}, set()),
        ({"project_ids": []}, set()),
    ],
)
def test_a_sweep_keeps_to_its_projects(
    cloud: Cloud, project: EmbeddedProject, bounds: dict[str, Any], expected: set[str]
) -> None:
    names = {cloud.project_id: "ours", cloud.other_project_id: "other", THIRD: THIRD}
    for project_id in names:
        live(cloud, project_id)
        orphan(cloud, project_id)
    keep_the_proof(cloud)

    result = project.sweep(**bounds)

    assert {names[part.project_id or ""] for part in result.results} == expected
    assert result.scanned is not None
    assert result.scanned.skipped.filtered == 3 - len(expected)
    assert result.scanned.candidates == 3


def test_a_project_none_of_whose_servers_is_shown_is_left_alone(
    cloud: Cloud, project: EmbeddedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """A view that is limited by domain or project, and shows the proof its server all the same."""
    hidden = [live(cloud, THIRD) for _ in range(10)]
    gone = orphan(cloud, cloud.other_project_id)
    for _ in range(12):
        live(cloud, cloud.other_project_id)
    cloud.policies.unlisted = cloud.policies.hidden = lambda server: server.project_id == THIRD
    configure("INFO")

    result = project.sweep()

    assert {part.volume_id for part in result.results if part.outcome is Outcome.DETACHED} == {gone}
    assert [judged(part) for part in result.results if part.project_id == THIRD] == [
        ("refused", "sweep_refused")
    ] * 10
    assert {cloud.volume(id_).status for id_ in hidden} == {"in-use"}
    assert result.complete is True
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["project_id"] for line in lines if line["event"] == "sweep_refused"] == [THIRD]


def test_as_many_of_a_project_may_look_orphaned_as_the_fraction_says(
    cloud: Cloud, project: EmbeddedProject
) -> None:
    project.settings["DETACH_SWEEP_MAX_FRACTION"] = "0.5"
    for _ in range(5):
        live(cloud, THIRD)
        orphan(cloud, THIRD)
    keep_the_proof(cloud)

    assert project.sweep().summary == {"detached": 5}
    orphan(cloud, THIRD)
    for _ in range(5):
        orphan(cloud, THIRD)
    assert project.sweep().summary == {"refused": 6}


@pytest.mark.parametrize(("sink", "outcome"), [(False, "detached"), (True, "dispatched")])
def test_a_sweep_looks_into_no_list_again(
    cloud: Cloud, project: EmbeddedProject, outcome: str, *, sink: bool
) -> None:
    if sink:
        project.settings["DETACH_FANOUT_SINK"] = cloud.sink_url
    orphan(cloud, cloud.other_project_id)
    services = project.services()
    _whole(services).sight()
    cloud.clear_calls()

    assert project.sweep(services).summary == {outcome: 1}
    assert [call.query.get("uuid") for call in cloud.calls if call.path.endswith("/servers")] == [None]


@pytest.mark.parametrize("said", [None, "", "a/b", "a\r\nb", "x" * 65])
def test_a_candidate_of_nobody_knows_whose_project_goes_to_the_broker_without(
    cloud: Cloud, project: EmbeddedProject, said: str | None
) -> None:
    project.settings["DETACH_FANOUT_SINK"] = cloud.sink_url
    services = project.services()
    volume_id = orphan(cloud, cloud.other_project_id)
    (link,) = cloud.volume(volume_id).attachments
    unknown = Orphan(
        volume_id,
        link.attachment_id,
        str(link.server_id),
        since=None,
        size=1,
        device="/dev/vdb",
        wanted=True,
        project_id=said,
    )

    result = _dispatcher(services, services.settings.sweep, cloud.sink_url)(unknown)

    assert result.outcome is Outcome.DISPATCHED
    assert ["ce-projectid" in headers for headers, _ in cloud.sunk] == [False]


def test_candidates_go_to_the_broker_with_their_project(cloud: Cloud, project: EmbeddedProject) -> None:
    project.settings["DETACH_FANOUT_SINK"] = cloud.sink_url
    gone = {orphan(cloud, id_): id_ for id_ in (cloud.project_id, cloud.other_project_id)}

    result = project.sweep()

    assert {part.volume_id: part.project_id for part in result.results} == gone
    assert {body["volume_id"]: headers["ce-projectid"] for headers, body in cloud.sunk} == gone


def test_a_scope_of_one_project_says_nothing_new(cloud: Cloud, project: EmbeddedProject) -> None:
    project.token, project.settings = cloud.token(), {**APPLY, "DETACH_FANOUT_SINK": cloud.sink_url}
    orphan(cloud, cloud.project_id)

    result = project.sweep()

    assert "projects" not in json.loads(to_json(result))
    assert [headers for headers, _ in cloud.sunk if "ce-projectid" in headers] == []
    assert [call.query for call in cloud.calls if "all_tenants" in call.query] == []
