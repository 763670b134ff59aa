"""Every setting: section, key, type, default, and the line that documents it.

Accounts, domains and aliases are data in the store, not settings. A section is a frozen attrs class; ``key(default, doc)`` declares
one key. Types that are understood: bool, int, float, str, a StrEnum, tuples of str, and ``| None`` of these. Sizes are in octets, times in
seconds. ``minimum`` and ``maximum`` are inclusive.
"""

from enum import StrEnum
from typing import Any, Final

import attrs

DOC: Final = "doc"
MINIMUM: Final = "minimum"
MAXIMUM: Final = "maximum"
NETWORKS: Final = "networks"
HOST_PORTS: Final = "host_ports"

KIB: Final = 1024
MIB: Final = 1024 * KIB


def key(default: Any, doc: str, *, minimum: float | None = None, maximum: float | None = None, form: str = "") -> Any:
    """One key. ``form``: what the strings in it must be (``networks``: CIDR; ``host_ports``: host:port)."""
    metadata = {DOC: doc, MINIMUM: minimum, MAXIMUM: maximum, "form": form}
    return attrs.field(default=default, metadata=metadata)


def port_key(default: int, doc: str) -> Any:
    return key(default, doc + " (0: any free port, for tests)", minimum=0, maximum=65535)


class TlsRequirement(StrEnum):
    REQUIRED = "required"
    """TLS with a certificate that verifies: STARTTLS, or on port 465 from the first byte."""
    IMPLICIT = "implicit"
    """The same from the first byte, on any port (RFC 8314)."""
    NONE = "none"
    """No TLS: for loopback only."""


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
        (), "addresses of accounts that may see and set everybody's quota over IMAP (SETQUOTA)"
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
        (), "networks (CIDR) to which limits per client do not apply; for load tests and trusted relays", form=NETWORKS
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
    history_days: float = key(
        30.0, "how long it is kept what happened to each message (pillarbox trace)", minimum=0, maximum=3650
    )
    history_rows: int = key(1_000_000, "the most that is kept of it, in rows", minimum=1000, maximum=100_000_000)
    search_index: bool = key(True, "whether an index for text search is kept; without it a search reads all messages")
    search_wait_seconds: float = key(
        60.0, "how long a new message waits for the search index when few do", minimum=0, maximum=86400
    )
    tombstones_per_mailbox: int = key(50_000, "expunged UIDs remembered per mailbox", minimum=0, maximum=10_000_000)


class DmarcHandling(StrEnum):
    ENFORCE = "enforce"
    """Do what the owner of the domain in From asks for: refuse, or file into Junk."""
    REPORT = "report"
    """Only write it down."""


@attrs.frozen
class AuthenticitySettings:
    check: bool = key(True, "whether mail from other servers is checked with SPF, DKIM and DMARC")
    dmarc: DmarcHandling = key(
        DmarcHandling.ENFORCE, "enforce (refuse or file into Junk what the domain's owner disowns), or report"
    )
    seconds: float = key(10.0, "how long the checks of one message may wait for the DNS", minimum=0.1, maximum=120)
    unchecked_networks: tuple[str, ...] = key(
        (
            "127.0.0.0/8",
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "169.254.0.0/16",
            "::1/128",
            "fc00::/7",
            "fe80::/10",
        ),
        "networks (CIDR) whose mail is not checked: no domain's records speak of them",
        form=NETWORKS,
    )


class OverQuotaReply(StrEnum):
    TEMPORARY = "temporary"
    """452 4.2.2: the sender tries again for days."""
    PERMANENT = "permanent"
    """552 5.2.2: the sender is told at once."""


class AuthorCheck(StrEnum):
    ENFORCE = "enforce"
    """Refuse."""
    LOG = "log"
    """Only write it to the log."""
    OFF = "off"


@attrs.frozen
class SmtpInSettings:
    port: int = port_key(25, "for mail from other servers")
    submission_port: int = port_key(587, "for mail from accounts, with STARTTLS")
    submissions_port: int = port_key(465, "for mail from accounts, with TLS from the first byte")
    device_port: int = key(
        0,
        "for scanners and cameras (pillarbox device add --scanner) in private networks, with old TLS or none; 0: off",
        minimum=0,
        maximum=65535,
    )
    workers: int = key(1, "processes that share the ports", minimum=1, maximum=64)
    lmtp_socket: str = key(
        "",
        "Unix socket on which programs of this machine hand in mail for accounts here (LMTP), below run/ of the data directory or "
        "absolute; empty: none",
    )
    xclient_networks: tuple[str, ...] = key(
        (), "networks (CIDR) of front ends that may say by XCLIENT for whom they speak; empty: nobody", form=NETWORKS
    )
    command_octets: int = key(2048, "longest command line with its CRLF", minimum=512, maximum=65536)
    recipients: int = key(
        1000, "recipients of one message (RFC 5321 asks for 100 or more)", minimum=100, maximum=100_000
    )
    transactions: int = key(1000, "messages in one connection", minimum=1, maximum=1_000_000)
    errors: int = key(20, "refused commands in one connection before it is closed", minimum=1, maximum=10_000)
    refused_recipients: int = key(
        100, "refused recipients in one connection before it is closed", minimum=1, maximum=100_000
    )
    noted_refusals_per_minute: int = key(
        300, "refusals a minute that are kept for pillarbox trace; more are only logged", minimum=0, maximum=100_000
    )
    idle_commands: int = key(
        100, "commands without a message (NOOP, RSET, VRFY) before a connection is closed", minimum=1, maximum=100_000
    )
    command_seconds: float = key(300.0, "wait for a command (RFC 5321 §4.5.3.2.7)", minimum=1, maximum=3600)
    data_seconds: float = key(
        180.0, "wait for the next piece of a message (RFC 5321 §4.5.3.2.5)", minimum=1, maximum=3600
    )
    over_quota: OverQuotaReply = key(
        OverQuotaReply.TEMPORARY, "what a full mailbox is answered with: temporary (452 4.2.2) or permanent (552 5.2.2)"
    )
    check_from: AuthorCheck = key(
        AuthorCheck.ENFORCE,
        "whether From and Sender of a submission must belong to the account: enforce, log (only write it down) or off",
    )
    hops: int = key(50, "Received fields before a message counts as looping", minimum=10, maximum=1000)
    header_octets: int = key(512 * KIB, "largest header block", minimum=16 * KIB, maximum=16 * MIB)
    memory_octets: int = key(
        256 * KIB,
        "message size up to which it is kept in memory, beyond that in the spool",
        minimum=64 * KIB,
        maximum=64 * MIB,
    )
    memory_total_octets: int = key(
        64 * MIB,
        "memory that messages under way may take together before all above 64 KiB go to the spool",
        minimum=1 * MIB,
        maximum=64 * 1024 * MIB,
    )


@attrs.frozen
class SmtpOutSettings:
    workers: int = key(1, "processes that deliver", minimum=1, maximum=64)
    mx_port: int = key(25, "port of other servers; for tests", minimum=1, maximum=65535)
    smart_host: str = key("", "host:port that takes all outgoing mail instead of the recipients' servers; empty: none")
    smart_host_tls: TlsRequirement = key(
        TlsRequirement.REQUIRED,
        "required, implicit (TLS from the first byte, as on port 465), or none (for loopback only)",
    )
    smart_host_username: str = key("", "name to log in with at the smart host; empty: no log-in")
    smart_host_password_file: str = key("", "file with the password for the smart host")
    ca_file: str = key("", "PEM file with the authorities to trust for the smart host; empty: the system's")
    allow_private: bool = key(False, "whether MX hosts in private and loopback networks are dialled; for tests")
    connections: int = key(100, "messages under way at once", minimum=1, maximum=1000)
    connections_per_destination: int = key(20, "connections to one destination at once", minimum=1, maximum=100)
    idle_seconds: float = key(5.0, "how long an idle connection is kept for the next message", minimum=0, maximum=300)
    connect_seconds: float = key(30.0, "for connecting to one address", minimum=0.1, maximum=300)
    command_seconds: float = key(300.0, "for the answer to a command (RFC 5321 §4.5.3.2)", minimum=1, maximum=3600)
    data_seconds: float = key(600.0, "for the answer to the final dot (RFC 5321 §4.5.3.2.6)", minimum=1, maximum=3600)
    first_retry_seconds: float = key(60.0, "before the second attempt", minimum=0.01, maximum=86400)
    last_retry_seconds: float = key(4 * 3600.0, "longest pause between attempts", minimum=0.01, maximum=7 * 86400)
    expire_seconds: float = key(5 * 86400.0, "after which undelivered mail goes back", minimum=1, maximum=30 * 86400)
    delay_warning_seconds: float = key(
        4 * 3600.0, "after which the sender is told once that a message still waits; 0: never", minimum=0, maximum=30 * 86400
    )
    lease_seconds: float = key(
        120.0, "how long a worker may be silent before its work is given to another", minimum=1, maximum=3600
    )
    batch: int = key(200, "entries leased by one call", minimum=1, maximum=10_000)
    held: int = key(2000, "entries held at once", minimum=1, maximum=100_000)


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
class Pop3Settings:
    port: int = port_key(110, "with STLS")
    tls_port: int = port_key(995, "with TLS from the first byte")
    workers: int = key(1, "processes that share the ports", minimum=1, maximum=64)
    maildrop_lock: MaildropLock = key(MaildropLock.SHARED, "shared, or exclusive as RFC 1939 says")
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
