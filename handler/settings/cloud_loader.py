"""Has openstacksdk's own loader read `OS_*`, clouds.yaml and secure.yaml, and takes nothing on trust from it.

Facts: openstacksdk, "Configuring OpenStack SDK Applications"; python-openstackclient, "Authentication", by
which a variable wins over a file. What the loader itself says is not quoted, since it may quote a file.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from handler.errors import Misconfigured

if TYPE_CHECKING:
    from openstack.config import OpenStackConfig
    from openstack.config.cloud_region import CloudRegion

INSTALL = "pip install 'evs-detach[openstack]'"
"""What brings the loader."""

KINDS = {
    "password": "password",
    "v3password": "password",
    "v3applicationcredential": "application credential",
    "token": "token",
    "v3token": "token",
}
"""The ways to log in, by their `auth_type`: what a Keystone offers its ordinary users."""

_FILE, _SECURE_FILE = "OS_CLIENT_CONFIG_FILE", "OS_CLIENT_SECURE_FILE"
_FILE_NAMES = ("clouds.yaml", "clouds.yml", "clouds.json")
_UNREADABLE = "{} can't be read: it is no YAML (or JSON), or not for this user."
_FROM_VARIABLES = "envvars"  # what the loader calls a cloud of variables alone
_LOGIN = re.compile(
    r"auth_url|username|password|(auth_)?token|passcode|system_scope|trust_id|"
    r"application_credential_(id|name|secret)|(user|tenant|((user|project|default)_)?domain|project)_(id|name)"
)
_MEANT = re.compile(
    r"auth_type|auth_plugin|(.+_)?(interface|endpoint_type|endpoint_override)|identity_api_version|default_domain|profile|"
    r"cacert|cert|key|insecure|verify"
)
"""The variables that count, by the loader's names: who logs in, and where and how."""


def openstack_is_there(environment: Mapping[str, str]) -> bool:
    """Whether there is anything for OpenStack's clients to log in by. Cheap: the loader is not imported."""
    if any(environment.get(name, "").strip() for name in ("OS_CLOUD", "OS_AUTH_URL", _FILE)):
        return True
    return any((folder / name).exists() for folder in usual_folders(environment) for name in _FILE_NAMES)


def usual_folders(environment: Mapping[str, str]) -> list[Path]:
    """Where the loader looks for its files on Linux, the first one first."""
    config = Path(environment.get("HOME") or "/") / ".config"
    home = Path(environment.get("XDG_CONFIG_HOME") or config)
    system = (environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)
    folders = [home, config, *map(Path, system), Path("/etc")]
    return [Path(), *(folder / "openstack" for folder in folders)]


def load_region(environment: Mapping[str, str], name: str) -> CloudRegion:
    """The cloud of this name (empty: that of `OS_CLOUD`, of the variables, or the only one there is).

    Its `config["auth_type"]` is one of `KINDS`, and what that needs is there. Raises Misconfigured.
    """
    told = _told(environment)
    config, key = _config(environment, name, told)
    cloud = config.cloud_config["clouds"].get(key, {})
    if not isinstance(cloud, dict) or not isinstance(cloud.get("auth") or {}, dict):
        raise Misconfigured(f"The cloud {shown(key)} is not described as clouds.yaml wants it.")
    # To the loader, what stands under auth counts more; so what a variable says is taken away there
    auth = {name: value for name, value in (cloud.get("auth") or {}).items() if name not in told}
    cloud = {**cloud, **told, "auth": auth}
    if urlsplit(str(cloud.get("profile") or cloud.get("cloud") or "")).netloc:
        raise Misconfigured("A profile that is a URL is not fetched: write down what it says.")
    config.cloud_config["clouds"] = {key: cloud}
    return _region(config, key, environment.get("OS_REGION_NAME", "").strip())


def _told(environment: Mapping[str, str]) -> dict[str, Any]:
    """What the variables say, by the loader's names. Other programs have variables that begin alike."""
    told = {name[3:].lower(): value for name, value in environment.items() if name.startswith("OS_")}
    return {
        name: value
        for name, value in told.items()
        if value.strip() and (_LOGIN.fullmatch(name) or _MEANT.fullmatch(name))
    }


def _config(
    environment: Mapping[str, str], name: str, told: Mapping[str, Any]
) -> tuple[OpenStackConfig, str]:
    """All that the files say, and the name of the cloud that is meant."""
    try:
        with _silent():  # 900 modules: only who names a cloud pays
            from keystoneauth1.loading import get_plugin_options  # noqa: PLC0415
            from openstack.config import loader  # noqa: PLC0415
    except ImportError:
        raise Misconfigured(f"OpenStack's credentials are read by what an extra brings: {INSTALL}.") from None
    except (RuntimeError, OSError):  # it asks for home and current folder when it is imported
        raise Misconfigured(
            "OpenStack's loader needs a home and a current folder: set HOME to any that is there."
        ) from None
    # It says on standard error which files it passes over, and quotes them. Here that is a fault.
    logging.getLogger("openstack.config").disabled = True
    meant = name or environment.get("OS_CLOUD", "").strip()
    from_variables = not meant and any(map(_LOGIN.fullmatch, told))
    files = [] if from_variables else _files(environment, _FILE, loader.CONFIG_FILES)
    secure = [] if from_variables else _files(environment, _SECURE_FILE, loader.SECURE_FILES)

    class Config(loader.OpenStackConfig):
        def auth_config_hook(self, config: dict[str, Any]) -> dict[str, Any]:
            _require_known(config)
            # What other ways to log in need does no harm: an openrc may be sourced over another one
            options = get_plugin_options(config["auth_type"])
            taken = {known.dest for option in options for known in (option, *option.deprecated)}
            return {**config, "auth": {name: config["auth"][name] for name in taken & config["auth"].keys()}}

    config: OpenStackConfig = _guarded(lambda: Config(files, secure_files=secure, load_envvars=False))
    for paths, taken in ((files, config.config_filename), (secure, config.secure_config_filename)):
        passed_over = next((path for path in paths if Path(path).exists()), None)
        if passed_over != taken:
            raise Misconfigured(_UNREADABLE.format(passed_over))
    if from_variables:
        return config, _FROM_VARIABLES
    if config.config_filename is None and config.secure_config_filename is None:
        raise Misconfigured(
            "There is no clouds.yaml where OpenStack's clients look, OS_CLIENT_CONFIG_FILE names none, "
            "and OS_AUTH_URL is not set."
        )
    names = _guarded(config.get_cloud_names)
    chosen = meant or (names[0] if len(names) == 1 else "")
    if chosen not in names:
        why = f"has no cloud {shown(chosen)}" if chosen else "has several clouds: name one by OS_CLOUD"
        raise Misconfigured(f"{config.config_filename} {why} (it has {_listed(names) or 'none'}).")
    return config, chosen


def _files(environment: Mapping[str, str], setting: str, usual: list[str]) -> list[str]:
    named = environment.get(setting, "").strip()
    if named and not os.access(named, os.R_OK):
        raise Misconfigured(f"{setting} must be a file that can be read.")
    return [named, *usual] if named else list(usual)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without the loader's warnings of its own parts that are to go."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _guarded(load: Callable[[], Any]) -> Any:
    """What the loader gives. Whatever it raises may quote a file, so that only its kind is said."""
    from keystoneauth1.exceptions import AuthPluginException  # noqa: PLC0415 (comes with the loader)

    try:
        with _silent():
            return load()
    except Misconfigured:
        raise
    except AuthPluginException as error:  # names options, no values
        raise Misconfigured(f"OpenStack's credentials are incomplete: {error}") from None
    except Exception as error:  # noqa: BLE001 (it meets odd files with whatever Python raises)
        kind = type(error).__name__
        file = getattr(getattr(error, "problem_mark", None), "name", None)  # where PyYAML says it is
    if file is not None:  # versions for Python 3.10 raise what newer ones pass over
        raise Misconfigured(_UNREADABLE.format(file))
    raise Misconfigured(
        f"OpenStack's loader can't use what clouds.yaml and OS_* say ({kind}): `openstack configuration "
        "show` meets the same."
    )


def _region(config: OpenStackConfig, name: str, meant: str) -> CloudRegion:
    """The cloud in the region that is meant."""
    # Of newer versions, it leaves out a region in which something to log in with is missing
    loaded: list[CloudRegion] = _guarded(config.get_all) or [_guarded(lambda: config.get_one(name))]
    regions = {region.config["region_name"]: region for region in loaded}
    if not meant and len(regions) > 1:
        raise Misconfigured(
            f"The cloud {shown(name)} has several regions ({_listed(regions)}): name one by OS_REGION_NAME."
        )
    found = regions.get(meant, regions.get("")) if meant else next(iter(regions.values()))
    if found is None:
        raise Misconfigured(
            f"The cloud {shown(name)} does not have the region of OS_REGION_NAME: it has {_listed(regions)}."
        )
    found.config["region_name"] = meant or found.config["region_name"]
    return found


def _require_known(config: Mapping[str, Any]) -> None:
    """Raise Misconfigured for a way to log in that is not ours."""
    kind, auth = str(config.get("auth_type")), config["auth"]
    if kind not in KINDS:
        raise Misconfigured(
            f"auth_type {shown(kind)} is not supported, only {', '.join(KINDS)}: make an application "
            "credential, or a user with a password."
        )
    there = {*auth, *config}
    if KINDS[kind] == "password" and not {"username", "user_name", "user_id"} & there:
        for key, other in (("application_credential_secret", "v3applicationcredential"), ("token", "token")):
            if key in there:
                raise Misconfigured(f"{key} is set, but auth_type (OS_AUTH_TYPE) is not {other}: set it.")
    if KINDS[kind] == "token" and "token" not in there:
        raise Misconfigured("token is missing (OS_TOKEN).")
    for key, whose in (("system_scope", "the whole system"), ("trust_id", "a trust")):
        if key in there:
            raise Misconfigured(f"{key} asks for a token of {whose}: one of a project is needed.")


def shown(name: str) -> str:
    """A name of a file's, as a message can bear it."""
    return repr(name[:60]) if name.isascii() and name.isprintable() else "of that name"


def _listed(names: Iterable[str]) -> str:
    return ", ".join([shown(str(name)) for name in names][:8])
