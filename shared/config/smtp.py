"""The settings of the services that speak SMTP: sections [authenticity], [smtp_in] and [smtp_out]."""

from enum import StrEnum

import attrs

from shared.config.destinations import DestinationSettings
from shared.config.keys import DNS_LISTS, KIB, MIB, NETWORKS, key, port_key


class TlsRequirement(StrEnum):
    REQUIRED = "required"
    """TLS with a certificate that verifies: STARTTLS, or on port 465 from the first byte."""
    IMPLICIT = "implicit"
    """The same from the first byte, on any port (RFC 8314)."""
    NONE = "none"
    """No TLS: for loopback only."""


class Dialogues(StrEnum):
    ALL = "all"
    TROUBLE = "trouble"
    """Of attempts that did not deliver to every recipient."""
    NONE = "none"


class DmarcHandling(StrEnum):
    ENFORCE = "enforce"
    """Do what the owner of the domain in From asks for: refuse, or file into Junk."""
    REPORT = "report"
    """Only write it down."""


class DmarcOrganisation(StrEnum):
    """How the domain is found that others belong to."""

    TREE = "tree"
    """By asking the DNS (RFC 9989)."""
    SUFFIX_LIST = "suffix-list"
    """From the list of public suffixes that came with this version (RFC 7489)."""


@attrs.frozen
class AuthenticitySettings:
    check: bool = key(True, "whether mail from other servers is checked with SPF, DKIM and DMARC")
    dmarc: DmarcHandling = key(
        DmarcHandling.ENFORCE, "enforce (refuse or file into Junk what the domain's owner disowns), or report"
    )
    dmarc_organisational: DmarcOrganisation = key(
        DmarcOrganisation.TREE,
        "how DMARC finds the organisational domain: tree (asking the DNS, RFC 9989), or suffix-list (the list of public suffixes that came "
        "with this version, RFC 7489)",
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


class Egress(StrEnum):
    """Whether smtp_out learns from results which way mail takes."""

    AUTO = "auto"
    """A destination that refuses us gets its mail through a fallback relay, if there is one."""
    FIXED = "fixed"
    """Only rules decide."""


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
    keep_rejects_days: int = key(
        0,
        "days for which a message that a check refused is kept in the mailbox Rejects of its recipients, though its sender is told that it "
        "was refused; 0: none",
        minimum=0,
        maximum=365,
    )
    keep_rejects_per_minute: int = key(60, "such messages a minute; more are only refused", minimum=1, maximum=10_000)
    banner_delay_seconds: float = key(
        1.0, "how long a new client on port 25 must wait for the greeting without a word; 0: not", minimum=0, maximum=30
    )
    connections_per_minute: int = key(
        120, "new connections of one client (IPv4 address or IPv6 /64); 0: no limit", minimum=0, maximum=1_000_000
    )
    network_connections_per_minute: int = key(
        600, "new connections of one network (/24, IPv6 /48); 0: no limit", minimum=0, maximum=1_000_000
    )
    messages_per_minute: int = key(300, "messages of one client; 0: no limit", minimum=0, maximum=1_000_000)
    recipients_per_hour: int = key(10_000, "recipients of one client; 0: no limit", minimum=0, maximum=10_000_000)
    tarpit_seconds: float = key(
        5.0, "how long a client waits for each refusal of an unknown recipient; 0: not", minimum=0, maximum=60
    )
    tarpit_after: int = key(5, "refused recipients of a client in an hour before that", minimum=0, maximum=100_000)
    tarpitted: int = key(50, "clients that wait so at once; the others do not wait", minimum=0, maximum=100_000)
    dns_blocklists: tuple[str, ...] = key(
        (),
        "DNS lists of addresses from which no mail is taken, as zone or zone=127.0.0.2-11 (only these answers count)",
        form=DNS_LISTS,
    )
    dns_allowlists: tuple[str, ...] = key(
        (), "DNS lists of addresses that are trusted not to send spam, before all block lists", form=DNS_LISTS
    )
    dns_lists_seconds: float = key(
        6.0, "how long a client waits for the DNS lists; what is not known by then is not listed", minimum=0.1, maximum=60
    )
    greylist: bool = key(
        False, "whether senders that are new to a recipient are asked to try again later (not where SPF passes)"
    )
    greylist_seconds: float = key(300.0, "how long they are put off", minimum=1, maximum=86400)
    greylist_days: float = key(35.0, "how long they are welcome after their last message", minimum=1, maximum=366)
    greylist_file: str = key(
        "greylist.sqlite", "where they are remembered, below spool/smtp_in of the data directory or absolute"
    )
    hold_seconds: float = key(
        0.0, "how long what accounts submit waits, so that pillarbox queue recall can take it back; 0: not", minimum=0, maximum=600
    )
    future_release_seconds: int = key(
        30 * 86400, "how long a message may be held at most that is to leave later (FUTURERELEASE); 0: not offered",
        minimum=0, maximum=366 * 86400,
    )
    deliver_by_seconds: int = key(
        60, "the shortest time to deliver in that a sender may set (DELIVERBY); 0: not offered", minimum=0, maximum=86400
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
    smart_host: str = key("", "host:port that takes all outgoing mail that no rule (pillarbox relay) is about; empty: none")
    smart_host_tls: TlsRequirement = key(
        TlsRequirement.REQUIRED,
        "required, implicit (TLS from the first byte, as on port 465), or none (for loopback only)",
    )
    smart_host_username: str = key("", "name to log in with at the smart host; empty: no log-in")
    smart_host_password_file: str = key("", "file with the password for the smart host")
    egress: Egress = key(
        Egress.AUTO,
        "auto: destinations that refuse us get their mail through a relay marked as fallback (pillarbox relay); fixed: only rules decide",
    )
    ca_file: str = key("", "PEM file with the authorities to trust for servers' certificates; empty: the system's")
    mta_sts: bool = key(True, "whether domains' promises about TLS are fetched and kept to (MTA-STS, RFC 8461)")
    mta_sts_port: int = key(443, "port where policies are fetched; for tests", minimum=1, maximum=65535)
    mta_sts_seconds: float = key(60.0, "for fetching one policy", minimum=0.1, maximum=300)
    mta_sts_policies: int = key(10_000, "policies remembered", minimum=1, maximum=100_000)
    tls_reports_from: str = key(
        "",
        "address of a domain of ours in whose name other domains get the reports on TLS that they ask for (RFC 8460); empty: no reports",
    )
    tls_reports_spread_seconds: float = key(
        4 * 3600.0, "after the day's end, within which its reports leave at random moments", minimum=0, maximum=12 * 3600
    )
    allow_private: bool = key(False, "whether MX hosts in private and loopback networks are dialled; for tests")
    chunking: bool = key(True, "whether messages go by BDAT to servers that offer CHUNKING (RFC 3030), else always by DATA")
    connections: int = key(100, "messages under way at once", minimum=1, maximum=1000)
    connections_per_destination: int = key(20, "connections to one destination at once", minimum=1, maximum=100)
    rate_per_destination: int = key(
        0, "messages a minute to one destination (all processes together); 0: no limit", minimum=0, maximum=1_000_000
    )
    rate_per_account: int = key(
        0, "messages a minute that go out for one account, the others wait here; 0: no limit", minimum=0, maximum=1_000_000
    )
    destinations: tuple[DestinationSettings, ...] = key(
        (), 'what differs for single domains: [smtp_out.destinations."example.org"] with connections and per_minute'
    )
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
    dialogues: Dialogues = key(
        Dialogues.TROUBLE, "which attempts' SMTP dialogues are kept with the history: all, trouble (what was not delivered) or none"
    )
