"""Every setting: section, key, type, default, and the line that documents it.

Accounts, domains and aliases are data in the store, not settings. A section is a frozen attrs class; ``key(default, doc)`` declares
one key. Types that are understood: bool, int, float, str, a StrEnum, tuples of str, and ``| None`` of these. Sizes are in octets, times in
seconds. ``minimum`` and ``maximum`` are inclusive.
"""

from enum import StrEnum
from typing import Any, Final

import attrs

from shared.config.keys import HOST_PORTS, KIB, MIB, NETWORKS, key, port_key
from shared.config.smtp import AuthenticitySettings, SmtpInSettings, SmtpOutSettings
from shared.model.language import Language
from shared.model.pop3 import Dele


class LogFormat(StrEnum):
    AUTO = "auto"
    HUMAN = "human"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class MaildropLock(StrEnum):
    SHARED = "shared"
    """Several sessions of a maildrop at once, each with its snapshot."""
    EXCLUSIVE = "exclusive"
    """RFC 1939 §4: one session at a time, the others get [IN-USE]."""


@attrs.frozen
class ServerSettings:
    hostname: str = key("", "name of this server in greetings and Received fields; empty: the machine's own")
    language: Language = key(
        Language.ENGLISH, "en or ko: language of reports to senders whose message does not show theirs (Accept-Language, Hangul)"
    )
    listen: tuple[str, ...] = key(("0.0.0.0", "::"), "addresses that the mail ports listen on")
    proxy_networks: tuple[str, ...] = key(
        (),
        "networks (CIDR) of proxies that announce their clients by the PROXY protocol (v1 or v2); from them the header is "
        "required on every mail port, from others it is never looked at",
        form=NETWORKS,
    )
    proxy_seconds: float = key(5.0, "how long a proxy may take for that header", minimum=0.1, maximum=60)
    drain_seconds: float = key(
        10.0, "how long a stopping service lets what is under way finish", minimum=0, maximum=600
    )


@attrs.frozen
class AuthSettings:
    administrators: tuple[str, ...] = key(
        (), "addresses of accounts that may see and set everybody's quota over IMAP (SETQUOTA), and hear of domains without a postmaster"
    )
    plaintext_networks: tuple[str, ...] = key(
        (), "networks (CIDR) from which a password is accepted without TLS; empty: from nowhere", form=NETWORKS
    )
    attempts_per_connection: int = key(3, "failed logins before the connection is closed", minimum=1, maximum=100)
    grant_seconds: float = key(
        7 * 86400.0, "how long a login's grant lasts without a new one", minimum=60, maximum=90 * 86400
    )
    remember_seconds: float = key(
        60.0, "how long a verified password is remembered as a keyed hash; 0: not", minimum=0, maximum=3600
    )
    devices_per_account: int = key(32, "app passwords of one account, one per device", minimum=1, maximum=1000)
    hashes_at_once: int = key(
        2, "password hashes computed side by side (64 MiB each at the most)", minimum=1, maximum=64
    )


@attrs.frozen
class BansSettings:
    """What failed logins lead to, at all services together; the store judges."""

    failures: int = key(
        10, "failed logins within window_seconds that ban an address (IPv4, or IPv6 /64)", minimum=1, maximum=1000
    )
    network_failures: int = key(
        50, "failed logins that ban the network around it (IPv4 /24, IPv6 /48)", minimum=1, maximum=10_000
    )
    account_failures: int = key(
        20,
        "failed logins at one account, from wherever, that shut it to addresses it did not log in from lately",
        minimum=1,
        maximum=1000,
    )
    window_seconds: float = key(600.0, "how long a failed login counts", minimum=1, maximum=86400)
    first_seconds: float = key(
        600.0, "how long the first ban lasts; each further one twice as long", minimum=1, maximum=30 * 86400
    )
    longest_seconds: float = key(
        86400.0, "longest ban, and how long after its end it is remembered", minimum=1, maximum=365 * 86400
    )
    delay_seconds: float = key(
        0.5, "how long the answer to an address's second failed login is held back, doubling; 0: not", minimum=0, maximum=10
    )
    longest_delay_seconds: float = key(8.0, "longest such delay", minimum=0, maximum=20)
    never_networks: tuple[str, ...] = key(
        ("127.0.0.0/8", "::1/128"),
        "networks (CIDR) from which failed logins are neither counted nor banned, besides limits.exempt_networks",
        form=NETWORKS,
    )
    known_days: float = key(
        30.0, "how long an address that an account logged in from is never shut out of that account", minimum=0, maximum=3650
    )
    known_addresses: int = key(32, "such addresses of one account", minimum=1, maximum=1000)
    subjects: int = key(
        10_000, "addresses, networks and user names (each) whose failures are counted", minimum=100, maximum=1_000_000
    )
    most: int = key(10_000, "bans that are kept", minimum=100, maximum=1_000_000)


@attrs.frozen
class DnsSettings:
    resolvers: tuple[str, ...] = key((), "DNS resolvers as host:port; empty: the system's", form=HOST_PORTS)
    validating: bool = key(
        False,
        "whether the resolvers check DNSSEC and nobody can change their answers on the way here (as on this machine): then "
        "domains' TLSA records are kept to (DANE)",
    )
    timeout_seconds: float = key(5.0, "for one question to one resolver", minimum=0.1, maximum=60)
    lifetime_seconds: float = key(15.0, "for one question altogether", minimum=0.1, maximum=120)
    cache_entries: int = key(10_000, "answers kept, by their TTL", minimum=0, maximum=1_000_000)


@attrs.frozen
class LogSettings:
    format: LogFormat = key(LogFormat.AUTO, "human, json, or auto: human on a terminal, json elsewhere")
    level: LogLevel = key(LogLevel.INFO, "debug, info, warning or error")


@attrs.frozen
class ObserveSettings:
    address: str = key("127.0.0.1", "internal address of /healthz and /metrics")
    store_port: int = port_key(9180, "of the store's /healthz and /metrics")
    smtp_in_port: int = port_key(9181, "of smtp_in's")
    smtp_out_port: int = port_key(9182, "of smtp_out's")
    imap_port: int = port_key(9183, "of imap's")
    pop3_port: int = port_key(9184, "of pop3's")


@attrs.frozen
class LimitSettings:
    exempt_networks: tuple[str, ...] = key(
        (),
        "networks (CIDR) to which limits per client and the daily ones of accounts do not apply; for load tests and trusted relays",
        form=NETWORKS,
    )
    connections: int = key(1000, "connections of one process at once", minimum=1, maximum=1_000_000)
    connections_per_address: int = key(
        50, "connections of one client (IPv4 address or IPv6 /64) at once", minimum=1, maximum=1_000_000
    )
    message_octets: int = key(50 * MIB, "largest message", minimum=64 * KIB, maximum=2**31 - 1)
    messages_per_day: int = key(
        1000,
        "messages that an account may send to recipients elsewhere on one day (of UTC), each recipient counts; 0: no limit",
        minimum=0,
        maximum=100_000_000,
    )
    quota_warning_percent: int = key(
        80, "how much of its quota an account or a domain uses when its owner is warned by mail; 0: never", minimum=0, maximum=99
    )
    quota_last_warning_percent: int = key(
        95, "when for the second time; 0: never", minimum=0, maximum=99
    )
    new_recipients_per_day: int = key(
        200,
        "recipients elsewhere that an account has not sent to before, on one day; 0: no limit",
        minimum=0,
        maximum=100_000_000,
    )
    known_recipients: int = key(
        20_000, "recipients that are remembered for an account", minimum=1000, maximum=1_000_000
    )
    known_recipient_days: int = key(
        400, "how long a recipient that is not sent to is remembered", minimum=1, maximum=36_500
    )
    send_seconds: float = key(120.0, "how long a client may leave our output unread", minimum=1, maximum=3600)
    tls_handshake_seconds: float = key(20.0, "for a TLS handshake", minimum=1, maximum=300)


@attrs.frozen
class TlsSettings:
    certificate: str = key("", "PEM file with the chain; empty: tls/cert.pem of the data directory")
    private_key: str = key("", "PEM file with the key; empty: tls/key.pem of the data directory")


class SubaddressSeparator(StrEnum):
    """What stands between user and detail in a local part (RFC 5233)."""

    PLUS = "+"
    HYPHEN = "-"
    EQUALS = "="
    UNDERSCORE = "_"
    HASH = "#"
    NONE = ""


@attrs.frozen
class StoreSettings:
    wait_seconds: float = key(
        30.0,
        "how long the other services wait for an absent store before they answer 'try later'",
        minimum=0,
        maximum=300,
    )
    pack_octets: int = key(64 * MIB, "size at which a pack file is sealed", minimum=64 * KIB, maximum=4096 * MIB)
    reader_threads: int = key(2, "threads that read the database", minimum=1, maximum=32)
    group_writes: int = key(256, "writes that share one commit at the most", minimum=1, maximum=10_000)
    waiting_writes: int = key(4096, "writes that may wait before callers are held back", minimum=1, maximum=100_000)
    content_cache_octets: int = key(
        16 * MIB, "decompressed contents kept for ranged reads", minimum=0, maximum=4096 * MIB
    )
    uploads: int = key(512, "uploads under way at once", minimum=1, maximum=100_000)
    upload_octets: int = key(4096 * MIB, "disk that uploads under way may take", minimum=MIB, maximum=2**40)
    mailboxes_per_account: int = key(100_000, "mailboxes of one account", minimum=10, maximum=1_000_000)
    mailbox_depth: int = key(20, "levels of a mailbox name", minimum=1, maximum=100)
    mailbox_name_octets: int = key(400, "UTF-8 length of a mailbox name", minimum=20, maximum=1000)
    annotation_octets: int = key(16 * 1024, "size of one annotation (METADATA)", minimum=1024, maximum=64 * 1024)
    annotations_octets: int = key(
        256 * 1024, "annotations of one user (or the shared ones) on one mailbox", minimum=64 * 1024, maximum=384 * 1024
    )
    annotations_per_mailbox: int = key(
        100, "annotations of one user (or shared ones) on one mailbox", minimum=10, maximum=1000
    )
    alias_targets: int = key(100, "targets of one alias", minimum=1, maximum=10_000)
    subaddress_separator: SubaddressSeparator = key(
        SubaddressSeparator.PLUS, "between user and detail in a local part (user+detail): + - = _ #; empty: no details"
    )
    alias_depth: int = key(10, "aliases that lead to aliases", minimum=1, maximum=50)
    operation_seconds: float = key(
        3600.0, "how long results of writes are remembered for repeated calls", minimum=600, maximum=30 * 86400
    )
    journal_days: float = key(14.0, "how long the journal of changes is kept", minimum=0, maximum=3650)
    undo_days: float = key(
        14.0, "how far back an account can be brought to how it was (pillarbox undo); 0: what goes is gone", minimum=0, maximum=3650
    )
    undo_rows: int = key(
        1_000_000, "the most that is kept for it: messages that went, and changes of flags", minimum=1000, maximum=100_000_000
    )
    undo_free_octets: int = key(
        1024 * MIB, "what of it is oldest is let go sooner when the disk has less free than this", minimum=0, maximum=2**50
    )
    wild_percent: int = key(
        50, "messages of a mailbox that a client has to delete within a minute for its owner to be told, percent; 0: never told",
        minimum=0,
        maximum=100,
    )
    wild_messages: int = key(50, "and no fewer than this", minimum=1, maximum=1_000_000)
    history_days: float = key(
        30.0, "how long it is kept what happened to each message (pillarbox trace)", minimum=0, maximum=3650
    )
    history_rows: int = key(1_000_000, "the most that is kept of it, in rows", minimum=1000, maximum=100_000_000)
    history_dialogues: int = key(100_000, "the most SMTP dialogues that are kept with it", minimum=0, maximum=10_000_000)
    housekeeping_seconds: float = key(60.0, "how often it is looked for what is old", minimum=0.1, maximum=3600)
    expunged_seconds: float = key(
        3600.0, "how long an expunged message stays readable for sessions that have not been told yet", minimum=0, maximum=30 * 86400
    )
    retention_seconds: float = key(
        3600.0, "how often it is looked for what the rules let go (pillarbox retention)", minimum=0.1, maximum=86400
    )
    rejects_messages: int = key(
        200, "refused messages kept for an account (smtp_in.keep_rejects_days); for a newer one the oldest goes", minimum=1, maximum=100_000
    )
    rejects_octets: int = key(20 * MIB, "octets of these", minimum=64 * KIB, maximum=2**40)
    retention_rules: int = key(1000, "rules of retention", minimum=1, maximum=100_000)
    compact_live_percent: int = key(
        50, "a pack of which less than this is still needed is written anew to give back its space; 0: never", minimum=0, maximum=90
    )
    compact_octets_per_second: int = key(
        4 * MIB, "how fast packs are written anew", minimum=64 * KIB, maximum=4096 * MIB
    )
    compact_seconds: float = key(60.0, "how often it is looked for such packs", minimum=0.1, maximum=86400)
    compact_keep_seconds: float = key(
        600.0, "how long the file of a pack that nothing needs any more stays for who reads it now", minimum=0, maximum=7 * 86400
    )
    search_index: bool = key(True, "whether an index for text search is kept; without it a search reads all messages")
    search_wait_seconds: float = key(
        60.0, "how long a new message waits for the search index when few do", minimum=0, maximum=86400
    )
    verify_days: float = key(
        30.0, "days from one verification of everything on the disk to the next; 0: never by itself", minimum=0, maximum=3650
    )
    verify_octets_per_second: int = key(
        20 * MIB, "how fast a verification reads", minimum=64 * KIB, maximum=2**40
    )
    tombstones_per_mailbox: int = key(50_000, "expunged UIDs remembered per mailbox", minimum=0, maximum=10_000_000)


@attrs.frozen
class ImapSettings:
    port: int = port_key(143, "with STARTTLS")
    tls_port: int = port_key(993, "with TLS from the first byte")
    workers: int = key(1, "processes that share the ports", minimum=1, maximum=64)
    line_octets: int = key(64 * KIB, "longest command line, literals apart", minimum=8192, maximum=16 * MIB)
    command_octets: int = key(
        1 * MIB, "longest command with its literals, APPEND's message apart", minimum=64 * KIB, maximum=64 * MIB
    )
    unauthenticated_octets: int = key(8192, "longest command before login", minimum=1024, maximum=1 * MIB)
    nesting: int = key(30, "depth of parentheses and search keys", minimum=5, maximum=100)
    search_mailboxes: int = key(1000, "mailboxes one ESEARCH looks into (RFC 7377)", minimum=1, maximum=100_000)
    messages_per_command: int = key(
        1_000_000,
        "messages one command works on (RFC 9738 MESSAGELIMIT); the rest is for the next",
        minimum=1,
        maximum=2**32 - 1,
    )
    idle_seconds: float = key(
        1800.0, "silence before log-out (RFC 3501 §5.4: 30 minutes or more)", minimum=1, maximum=86400
    )
    unauthenticated_seconds: float = key(60.0, "time to log in", minimum=1, maximum=3600)
    bad_commands: int = key(50, "BAD answers before the connection is closed", minimum=1, maximum=10_000)
    connections_per_account: int = key(50, "connections of one account at once", minimum=1, maximum=100_000)
    view_octets: int = key(
        64 * MIB, "rendered metadata kept for fast FETCH, all mailboxes together", minimum=0, maximum=4096 * MIB
    )
    spool_octets: int = key(
        1 * MIB, "APPENDed message size up to which it is kept in memory", minimum=64 * KIB, maximum=64 * MIB
    )
    append_messages: int = key(1000, "messages of one APPEND (RFC 3502)", minimum=1, maximum=100_000)
    append_octets: int = key(
        256 * MIB,
        "octets of all messages of one APPEND; one message alone may always be message_octets",
        minimum=MIB,
        maximum=2**40,
    )


@attrs.frozen
class BackupSettings:
    directory: str = key("", "folder of the backups, as the store sees it: the newest there is tested; empty: none is")
    test_days: float = key(7.0, "days from one test of a backup to the next; 0: none", minimum=0, maximum=3650)
    keep_daily: int = key(7, "days of which the newest backup stays", minimum=0, maximum=10_000)
    keep_weekly: int = key(4, "weeks of which the newest backup stays", minimum=0, maximum=10_000)
    keep_monthly: int = key(12, "months of which the newest backup stays; all three 0: every backup stays", minimum=0, maximum=10_000)
    octets_per_second: int = key(0, "how fast a backup reads; 0: as fast as it can", minimum=0, maximum=2**40)


@attrs.frozen
class Pop3Settings:
    port: int = port_key(110, "with STLS")
    tls_port: int = port_key(995, "with TLS from the first byte")
    workers: int = key(1, "processes that share the ports", minimum=1, maximum=64)
    maildrop_lock: MaildropLock = key(MaildropLock.SHARED, "shared, or exclusive as RFC 1939 says")
    dele: Dele = key(
        Dele.DELETE, "what DELE means: delete for good, move to the trash, or hide from that device (pillarbox account pop3)"
    )
    keep_days: int = key(0, "days after which what was hidden is removed; 0: it stays for IMAP", minimum=0, maximum=36_500)
    idle_seconds: float = key(
        600.0, "silence before the connection is closed (RFC 1939 §3: 10 minutes or more)", minimum=1, maximum=86400
    )
    unauthenticated_seconds: float = key(60.0, "time to log in", minimum=1, maximum=3600)
    errors: int = key(20, "refused commands before the connection is closed", minimum=1, maximum=10_000)


@attrs.frozen
class Settings:
    """All sections. ``data_dir`` and ``port_offset`` come from the command line or the environment."""

    data_dir: str
    port_offset: int = 0
    server: ServerSettings = attrs.field(factory=ServerSettings)
    auth: AuthSettings = attrs.field(factory=AuthSettings)
    bans: BansSettings = attrs.field(factory=BansSettings)
    dns: DnsSettings = attrs.field(factory=DnsSettings)
    log: LogSettings = attrs.field(factory=LogSettings)
    observe: ObserveSettings = attrs.field(factory=ObserveSettings)
    limits: LimitSettings = attrs.field(factory=LimitSettings)
    tls: TlsSettings = attrs.field(factory=TlsSettings)
    store: StoreSettings = attrs.field(factory=StoreSettings)
    backup: BackupSettings = attrs.field(factory=BackupSettings)
    authenticity: AuthenticitySettings = attrs.field(factory=AuthenticitySettings)
    smtp_in: SmtpInSettings = attrs.field(factory=SmtpInSettings)
    smtp_out: SmtpOutSettings = attrs.field(factory=SmtpOutSettings)
    imap: ImapSettings = attrs.field(factory=ImapSettings)
    pop3: Pop3Settings = attrs.field(factory=Pop3Settings)

    def listen_port(self, configured: int) -> int:
        """A configured port with the offset; 0 stays 0."""
        return configured + self.port_offset if configured else 0


SECTIONS: Final[dict[str, Any]] = {
    field.name: field.default.factory  # type: ignore[union-attr]  # only fields with a factory pass the condition
    for field in attrs.fields(Settings)
    if isinstance(field.default, attrs.Factory)  # type: ignore[arg-type]  # attrs.Factory is a class at run time
}
