"""From ``pillarbox.toml`` and the environment to ``Settings``.

A wrong key or value stops the start: SettingsError names the file (or the variable), the key, the value and what would be right.
``PILLARBOX_SECTION__KEY`` overrides the file; ``PILLARBOX_DATA``, ``PILLARBOX_CONFIG`` and ``PILLARBOX_PORT_OFFSET`` are the command
line's twins. Lists in a variable are separated by commas.
"""

import difflib
import ipaddress
import socket
import tomllib
import types
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, get_args, get_origin

import attrs

from shared.config.destinations import DestinationSettings, read_destinations
from shared.config.dns_list import parse_dns_list
from shared.config.keys import DNS_LISTS, HOST_PORTS, MAXIMUM, MINIMUM, NETWORKS
from shared.config.schema import SECTIONS, Settings
from shared.config.smtp import TlsRequirement

PREFIX: Final = "PILLARBOX_"
DEFAULT_DATA: Final = "data"
FILE_NAME: Final = "pillarbox.toml"
_OWN_VARIABLES: Final = {"DATA", "CONFIG", "PORT_OFFSET"}
_TRUE: Final = {"1", "true", "yes", "on"}
_FALSE: Final = {"0", "false", "no", "off"}


class SettingsError(Exception):
    """One line for the person who starts the server."""


def load_settings(path: str | None, environ: Mapping[str, str]) -> Settings:
    """Read file and environment. No path: ``PILLARBOX_CONFIG``, else ``pillarbox.toml`` in the data directory if there is one.

    Raises SettingsError.
    """
    data_dir = str(Path(environ.get(PREFIX + "DATA") or DEFAULT_DATA).absolute())
    raw, source = _read_file(path or environ.get(PREFIX + "CONFIG") or None, data_dir)
    values: dict[str, dict[str, Any]] = {}
    for section, content in raw.items():
        if section not in SECTIONS:
            raise SettingsError(f"{source}: unknown section [{section}]{_meant(section, SECTIONS)}")
        if not isinstance(content, dict):
            raise SettingsError(f"{source}: {section} must be a section, written [{section}]")
        for name, value in content.items():
            field = _field(section, name, f"{source}: [{section}]")
            values.setdefault(section, {})[name] = _convert(field, value, f"{source}: {section}.{name}")
    for variable, text in environ.items():
        target = _target(variable)
        if target is not None:
            section, name = target
            field = _field(section, name, variable)
            values.setdefault(section, {})[name] = _convert(field, _from_text(field.type, text), variable)
    sections = {name: cls(**values.get(name, {})) for name, cls in SECTIONS.items()}
    settings = Settings(data_dir=data_dir, port_offset=_port_offset(environ), **sections)
    _check_together(settings, source)
    return settings


def _read_file(path: str | None, data_dir: str) -> tuple[dict[str, Any], str]:
    file = Path(path) if path else Path(data_dir) / FILE_NAME
    try:
        with file.open("rb") as stream:
            return tomllib.load(stream), str(file)
    except FileNotFoundError:
        if path:
            raise SettingsError(f"{file}: no such file") from None
        return {}, "settings"
    except PermissionError:
        raise SettingsError(f"{file}: may not be read") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: not TOML: {error}") from None


def _target(variable: str) -> tuple[str, str] | None:
    """Section and key of a PILLARBOX_SECTION__KEY variable. Raises SettingsError for an unknown section."""
    if not variable.startswith(PREFIX) or "__" not in variable:
        return None
    section, _, name = variable.removeprefix(PREFIX).lower().partition("__")
    if section not in SECTIONS:
        raise SettingsError(f"{variable}: unknown section {section}{_meant(section, SECTIONS)}")
    return section, name


def _field(section: str, name: str, where: str) -> Any:
    fields = attrs.fields_dict(SECTIONS[section])
    if name not in fields:
        raise SettingsError(f"{where}: unknown key {name}{_meant(name, fields)}")
    return fields[name]


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(sorted(known))}"


def _from_text(hint: Any, text: str) -> Any:
    """What TOML would have given; text that does not fit is left for ``_convert`` to refuse."""
    if get_origin(hint) is tuple:
        return [item.strip() for item in text.split(",") if item.strip()]
    if hint is bool:
        folded = text.strip().lower()
        return True if folded in _TRUE else False if folded in _FALSE else text
    if hint in (int, float):
        try:
            return hint(text)
        except ValueError:
            return text
    return text


def _convert(field: Any, value: Any, where: str) -> Any:
    hint = field.type
    converted = _by_type(hint, value, where)
    minimum, maximum = field.metadata.get(MINIMUM), field.metadata.get(MAXIMUM)
    if minimum is not None and converted < minimum:
        raise SettingsError(f"{where} = {value!r}: must be at least {minimum:g}")
    if maximum is not None and converted > maximum:
        raise SettingsError(f"{where} = {value!r}: must be at most {maximum:g}")
    form = field.metadata.get("form")
    for item in converted if form and isinstance(converted, tuple) else ():
        _check_form(form, item, where)
    return converted


def _by_type(hint: Any, value: Any, where: str) -> Any:
    if hint == tuple[DestinationSettings, ...]:
        return _destinations(value, where)
    if hint is bool and type(value) is bool:
        return value
    if hint is int and type(value) is int:
        return value
    if hint is float and type(value) in (int, float):
        return float(value)
    if hint is str and type(value) is str:
        return value
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        if value in list(hint):
            return hint(value)
        raise SettingsError(f"{where} = {value!r}: must be one of {', '.join(hint)}")
    if get_origin(hint) is tuple and isinstance(value, list) and all(type(item) is str for item in value):
        return tuple(value)
    raise SettingsError(f"{where} = {value!r}: must be {_type_words(hint)}")


def _destinations(value: Any, where: str) -> tuple[DestinationSettings, ...]:
    try:
        return read_destinations(value)
    except ValueError as error:
        raise SettingsError(f"{where}{error}") from None


def _type_words(hint: Any) -> str:
    if get_origin(hint) is tuple:
        return 'a list of strings, like ["a", "b"]'
    if isinstance(hint, types.UnionType):
        return " or ".join(_type_words(part) for part in get_args(hint))
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}[hint]


def _check_form(form: str, item: str, where: str) -> None:
    if form == NETWORKS:
        try:
            ipaddress.ip_network(item)
        except ValueError:
            raise SettingsError(f"{where}: {item!r} is no network; write for example 192.168.1.0/24") from None
    elif form == DNS_LISTS:
        try:
            parse_dns_list(item)
        except ValueError:
            raise SettingsError(f"{where}: {item!r} is no DNS list; write zone or zone=127.0.0.2-11") from None
    elif form == HOST_PORTS:
        split_host_port(item, where)


def split_host_port(text: str, where: str) -> tuple[str, int]:
    """``host:port`` or ``[v6]:port``. Raises SettingsError."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise SettingsError(f"{where} = {text!r}: must be host:port")
    return host.strip("[]"), int(port)


def _port_offset(environ: Mapping[str, str]) -> int:
    text = environ.get(PREFIX + "PORT_OFFSET") or "0"
    if not text.isdecimal() or int(text) > 64000:
        raise SettingsError(f"{PREFIX}PORT_OFFSET = {text!r}: must be a whole number from 0 to 64000")
    return int(text)


def _check_together(settings: Settings, source: str) -> None:
    """What one key alone cannot show."""
    out = settings.smtp_out
    if out.smart_host:
        host, _ = split_host_port(out.smart_host, f"{source}: smtp_out.smart_host")
        if out.smart_host_tls is TlsRequirement.NONE and not _is_loopback(host):
            raise SettingsError(
                f"{source}: smtp_out.smart_host_tls = 'none': only for a smart host on loopback, not {host}"
            )
    if out.smart_host_username and not out.smart_host_password_file:
        raise SettingsError(f"{source}: smtp_out.smart_host_username needs smtp_out.smart_host_password_file")
    if out.last_retry_seconds < out.first_retry_seconds:
        raise SettingsError(f"{source}: smtp_out.last_retry_seconds must be at least smtp_out.first_retry_seconds")
    if not settings.server.listen:
        raise SettingsError(f"{source}: server.listen must name an address")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def server_hostname(settings: Settings) -> str:
    """The configured name, else the machine's fully qualified one as far as it is known without asking DNS."""
    return settings.server.hostname or socket.gethostname() or "localhost"
