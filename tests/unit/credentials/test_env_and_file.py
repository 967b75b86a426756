"""`env:` and `file:`: what is read, when it is read anew, and what is said when it can't be."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handler.credentials.stores.base import CachedSecret
from handler.credentials.stores.env import EnvStore
from handler.credentials.stores.file import FileStore
from handler.errors import Failure, Misconfigured, SecretUnavailable, TokenRejected
from handler.secret import Secret
from handler.settings.secret_reference import SecretReference, Store
from tests.embedded_cloud import Cloud
from tests.unit.contexts import call_context
from tests.unit.credentials.deployment import Clock, Deployment, password

Deploy = Callable[[dict[str, str]], Deployment]


class Mount:
    """A Kubernetes Secret, mounted: the file is a symlink through `..data`, which is swapped as a whole."""

    def __init__(self, folder: Path, content: str) -> None:
        self._folder = folder
        self._count = 0
        self.rotate(content)
        self.file = folder / "secret"
        self.file.symlink_to(Path("..data") / "secret")

    def rotate(self, content: str) -> None:
        self._count += 1
        made = self._folder / f"..{self._count}"
        made.mkdir()
        (made / "secret").write_text(content, encoding="utf-8")
        fresh = self._folder / "..data_tmp"
        fresh.symlink_to(made.name)
        fresh.rename(self._folder / "..data")


@pytest.fixture
def warm(cloud: Cloud, deploy: Deploy, tmp_path: Path) -> tuple[Deployment, Mount]:
    """A deployment that has already used the bare token of its mounted secret."""
    mount = Mount(tmp_path, cloud.token() + "\n")
    deployment = deploy({**cloud.environment(), "DETACH_TOKEN_SECRET": f"file:{mount.file}"})
    deployment.invoke()
    return deployment, mount


def test_a_token_in_a_variable_is_used_without_what_surrounds_it(cloud: Cloud, deploy: Deploy) -> None:
    token = cloud.token()
    deployment = deploy({**cloud.environment(), "DETACH_TOKEN_SECRET": "env:T", "T": f"\n {token}\n"})
    deployment.invoke()
    assert cloud.calls[-1].headers["x-auth-token"] == token


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "DETACH_TOKEN_SECRET names an environment variable that is not set."),
        ("", "The secret that DETACH_TOKEN_SECRET names is empty."),
        (" \n", "The secret that DETACH_TOKEN_SECRET names is empty."),
        ("\udcff", "The secret that DETACH_TOKEN_SECRET names is not UTF-8 of at most 65536 characters."),
        ("a" * 65537, "The secret that DETACH_TOKEN_SECRET names is not UTF-8 of at most 65536 characters."),
    ],
)
def test_a_variable_that_gives_no_secret(cloud: Cloud, deploy: Deploy, value: str | None, said: str) -> None:
    environment = {**cloud.environment(), "DETACH_TOKEN_SECRET": "env:T"}
    deployment = deploy(environment if value is None else {**environment, "T": value})
    with pytest.raises(SecretUnavailable) as caught:
        deployment.invoke()
    assert (caught.value.message, caught.value.retryable) == (said, False)
    assert cloud.calls == []


def test_a_rotated_file_is_read_when_its_time_is_over(
    cloud: Cloud, warm: tuple[Deployment, Mount], clock: Clock
) -> None:
    deployment, mount = warm
    fresh = cloud.token()
    mount.rotate(fresh)
    clock.passes(299)
    deployment.invoke()
    assert cloud.calls[-1].headers["x-auth-token"] != fresh
    clock.passes(1)
    deployment.invoke()
    assert cloud.calls[-1].headers["x-auth-token"] == fresh


def test_a_rotated_file_is_read_at_once_when_the_old_token_is_refused(
    cloud: Cloud, warm: tuple[Deployment, Mount]
) -> None:
    deployment, mount = warm
    cloud.expire_all_tokens()
    fresh = cloud.token()
    mount.rotate(fresh)
    deployment.invoke(calls=2)
    assert [call.status for call in cloud.calls if call.service == "volume"] == [200, 401, 200, 200]
    assert cloud.calls[-1].headers["x-auth-token"] == fresh


def test_a_secret_may_flight_from_a_token_into_a_password(
    cloud: Cloud, warm: tuple[Deployment, Mount]
) -> None:
    deployment, mount = warm
    cloud.add_user("robot", "pw")
    cloud.expire_all_tokens()
    mount.rotate(password("pw"))
    deployment.invoke(calls=2)
    assert cloud.tokens_issued == 1


def test_a_refused_token_that_the_file_still_holds_is_an_answer(
    cloud: Cloud, warm: tuple[Deployment, Mount], log: Callable[[], list[dict[str, Any]]]
) -> None:
    deployment, _ = warm
    cloud.expire_all_tokens()
    cloud.clear_calls()
    with pytest.raises(TokenRejected):
        deployment.invoke()
    assert [call.status for call in cloud.calls] == [401]
    assert [line["store"] for line in log() if line["event"] == "secret_read"] == ["file", "file"]


def test_a_clock_that_is_set_back_prolongs_nothing(
    cloud: Cloud, warm: tuple[Deployment, Mount], clock: Clock
) -> None:
    deployment, mount = warm
    fresh = cloud.token()
    mount.rotate(fresh)
    clock.passes(-3600)
    deployment.invoke()
    assert cloud.calls[-1].headers["x-auth-token"] == fresh


def test_what_was_held_for_a_moment_has_its_whole_time_once_it_is_read_anew(
    clock: Clock,
) -> None:
    reference = SecretReference(Store.ENV, "T")
    environment = {"T": "a-token"}
    secret = CachedSecret("S", reference, EnvStore("S", reference, environment), 300, clock)
    secret.hold(30)
    assert not secret.fresh, "nothing was read yet"
    assert secret.current(call_context()) == Secret("a-token")
    environment["T"] = "another"
    assert secret.current(call_context()) == Secret("a-token")
    secret.hold(30)
    clock.passes(30)
    secret.current(call_context())
    clock.passes(299)
    assert secret.fresh
    clock.passes(1)
    assert not secret.fresh


def test_a_file_that_is_gone_when_its_time_is_over_is_missed(
    warm: tuple[Deployment, Mount], clock: Clock
) -> None:
    deployment, mount = warm
    mount.file.unlink()
    clock.passes(300)
    with pytest.raises(SecretUnavailable, match="names a file that does not exist"):
        deployment.invoke()


def _make_nothing(_path: Path) -> None:
    pass


def _make_folder(path: Path) -> None:
    path.mkdir()


def _make_pipe(path: Path) -> None:
    os.mkfifo(path)


def _make_loop(path: Path) -> None:
    path.symlink_to(path)


def _make_large(path: Path) -> None:
    path.write_text("a" * 65537, encoding="utf-8")


def _make_empty(path: Path) -> None:
    path.touch()


def _make_latin(path: Path) -> None:
    path.write_bytes(b"\xe9t\xe9")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_make_nothing, "DETACH_TOKEN_SECRET names a file that does not exist."),
        (_make_folder, "DETACH_TOKEN_SECRET names something that is not a regular file."),
        (_make_pipe, "DETACH_TOKEN_SECRET names something that is not a regular file."),
        (_make_loop, "DETACH_TOKEN_SECRET names no possible file."),
        (_make_large, "DETACH_TOKEN_SECRET names a file of more than 65536 bytes."),
        (_make_empty, "The secret that DETACH_TOKEN_SECRET names is empty."),
        (_make_latin, "The secret that DETACH_TOKEN_SECRET names is not UTF-8 of at most 65536 characters."),
    ],
)
def test_a_file_that_gives_no_secret(
    cloud: Cloud, deploy: Deploy, tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    path = tmp_path / "secret"
    make(path)
    deployment = deploy({**cloud.environment(), "DETACH_TOKEN_SECRET": f"file:{path}"})
    with pytest.raises(SecretUnavailable) as caught:
        deployment.invoke()
    assert (caught.value.message, caught.value.retryable) == (said, False)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("number", "said", "retryable"),
    [
        (errno.EACCES, "DETACH_TOKEN_SECRET names a file that this process may not read.", False),
        (errno.EIO, "DETACH_TOKEN_SECRET names a file that could not be read (EIO).", True),
        (errno.ESTALE, "DETACH_TOKEN_SECRET names a file that could not be read (ESTALE).", True),
    ],
)
def test_a_file_that_the_system_does_not_give(
    cloud: Cloud,
    deploy: Deploy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    said: str,
    *,
    retryable: bool,
) -> None:
    def refuse(path: Path, *_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number), str(path))

    path = tmp_path / "secret"
    path.write_text("token", encoding="utf-8")
    deployment = deploy({**cloud.environment(), "DETACH_TOKEN_SECRET": f"file:{path}"})
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SecretUnavailable) as caught:
        deployment.invoke()
    assert (caught.value.message, caught.value.retryable) == (said, retryable)


def test_a_path_that_no_file_can_have(cloud: Cloud, deploy: Deploy) -> None:
    deployment = deploy({**cloud.environment(), "DETACH_TOKEN_SECRET": "file:a\0b"})
    with pytest.raises(SecretUnavailable, match="names no possible file"):
        deployment.invoke()


def test_a_writer_is_given_time_between_emptying_the_file_and_filling_it(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.touch()
    pauses = []

    def write(pause: float) -> None:
        pauses.append(pause)
        if len(pauses) == 2:
            path.write_text("token", encoding="utf-8")

    store = FileStore("DETACH_TOKEN_SECRET", SecretReference(Store.FILE, str(path)), sleep=write)
    assert store.read(call_context()) == "token"
    assert pauses == [0.02, 0.08]


def test_no_writer_is_waited_for_beyond_the_deadline(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.touch()
    pauses: list[float] = []
    store = FileStore("DETACH_TOKEN_SECRET", SecretReference(Store.FILE, str(path)), sleep=pauses.append)
    assert store.read(call_context(0)) == ""
    assert pauses == []


def test_a_mark_at_the_start_of_the_file_is_not_part_of_the_token(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"\xef\xbb\xbftoken\r\n")
    store = FileStore("DETACH_TOKEN_SECRET", SecretReference(Store.FILE, str(path)))
    assert store.read(call_context()).strip() == "token"


def test_a_new_secret_that_makes_no_sense_is_said_at_once(
    cloud: Cloud, warm: tuple[Deployment, Mount], clock: Clock
) -> None:
    deployment, mount = warm
    mount.rotate('{"user": "robot"}')
    clock.passes(300)
    for _ in range(2):
        with pytest.raises(Misconfigured, match="must be a bare token"):
            deployment.invoke()
    mount.rotate(cloud.token())
    clock.passes(300)
    deployment.invoke()


def test_a_disk_that_fails_takes_no_working_token_away(
    warm: tuple[Deployment, Mount],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    log: Callable[[], list[dict[str, Any]]],
) -> None:
    deployment, _ = warm
    clock.passes(300)

    def refuse(_path: Path, *_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, "")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        deployment.invoke()
        deployment.invoke()
        kept = [line for line in log() if line["event"] == "token_kept"]
        assert [(line["level"], line["error"]) for line in kept] == [("WARNING", "secret_unavailable")]
        clock.passes(30)
        deployment.invoke()
        assert len([line for line in log() if line["event"] == "token_kept"]) == 2
    clock.passes(30)
    deployment.invoke()
    assert log()[-1]["event"] == "call"


def test_reading_a_failure_again_gives_the_same_failure(cloud: Cloud, deploy: Deploy) -> None:
    deployment = deploy({**cloud.environment(), "DETACH_TOKEN_SECRET": "env:T"})
    auth = deployment.auth()
    seen: list[Failure] = []
    for _ in range(2):
        with pytest.raises(SecretUnavailable) as caught:
            _ = auth.project_id
        seen.append(caught.value)
    assert seen[0] is not seen[1]
    assert seen[0].message == seen[1].message
