"""The mail that warns of a quota, in English and Korean."""

from services.store.notice import build_message
from shared.contract.sharing_types import Quota

SUBJECT = "{percent} % of the space for mail is used / 메일 저장 공간을 {percent} % 사용했습니다"
_BODY = """\
{whose} has reached {percent} % of what it may hold:
{english}

When it is full, new mail is refused. Delete what is not needed, or ask your administrator for more.

----

{whose} 사용량이 한도의 {percent} %에 도달했습니다.
{korean}

가득 차면 새 메일이 거부됩니다. 필요 없는 메일을 지우거나 관리자에게 한도를 늘려 달라고 요청하십시오.
"""


def size_text(octets: int) -> str:
    """For people: 1.5 GB."""
    size = float(octets)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def build_warning(quota: Quota, percent: int, *, hostname: str, seconds: float, unique: str) -> bytes:
    """The whole message with CRLF line ends, to the account or the domain's postmaster; ``unique`` makes its Message-ID."""
    english, korean = [], []
    if quota.most_octets is not None:
        sizes = (size_text(quota.octets), size_text(quota.most_octets))
        english.append("{} of {}".format(*sizes))
        korean.append("{1} 중 {0}".format(*sizes))
    if quota.most_messages is not None:
        english.append(f"{quota.messages} of {quota.most_messages} messages")
        korean.append(f"메일 {quota.most_messages}통 중 {quota.messages}통")
    is_domain = quota.address.startswith("@")
    text = _BODY.format(
        whose=quota.address[1:] if is_domain else quota.address,
        percent=percent,
        english="\n".join(english),
        korean="\n".join(korean),
    )
    address = f"postmaster{quota.address}" if is_domain else quota.address
    subject = SUBJECT.format(percent=percent)
    return build_message(address, subject, text, hostname=hostname, seconds=seconds, message_id=f"{unique}.quota")
