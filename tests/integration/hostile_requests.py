"""HTTP requests to the simulator that are framed well enough to be read, and mean harm.

Damage to valid bytes (`hostile_inputs`) mostly ends at the first line. These get further: bad keys,
nests and lists without end, numbers of a thousand digits, NUL and broken UTF-8, headers twice, chunks
that lie about their size, bodies of 10 MB. As there, an input is told by its number and a seed.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from hostile_inputs import Input, Manner, make_input

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = b"sk_test_hostile"
BIG_BYTES = 10 << 20
BIG_EVERY = 500

_AUTHORIZATIONS = (
    b"authorization: Bearer \r\n",
    b"authorization: Bearer sk_test_other\r\n",
    b"authorization: Bearer \xff\xfe\r\n",
    b"authorization: Basic %%%\r\n",
    b"authorization: Basic " + b"QQ==" * 5_000 + b"\r\n",
    b"authorization:\r\n",
    b"authorization: Bearer " + KEY + b"\r\nauthorization: Bearer sk_test_other\r\n",
    b"",
)
_TARGETS = (
    b"/v1/customers",
    b"/v1/checkout/sessions",
    b"/v1/customers/cus_x",
    b"/v1/customers/%00%ff/../x",
    b"/v1/customers/\xff\xfe",
    b"/v1/customers/search?query=email:'a'%20AND%20" + b"-name~'b'%20AND%20" * 100 + b"phone:'c'",
    b"/v1/customers/search?query=" + b"%28" * 2_000,
    b"/v1/customers?limit=" + b"9" * 3_000,
    b"/v1/customers?created[gt]=1e400&created[lt]=-1",
    b"/v1/customers?starting_after=%F0%9F%90%98&ending_before=",
    b"/v1/events?" + b"types[]=a&" * 3_000,
    b"/v1/customers?expand[]=" + b"data." * 2_000,
    b"/v1/nothing/of/the/kind",
    b"/" * 5_000,
    b"/v1/" + b"a" * 70_000,
    b"http://elsewhere.test/v1/customers",
    b"*",
    b"?",
)
_HEADERS = (
    b"",
    b"",
    b"content-type: application/x-www-form-urlencoded\r\n",
    b"content-type: application/json\r\n",
    b"content-type: multipart/form-data; boundary=" + b"x" * 300 + b"\r\n",
    b"stripe-version: 2024-06-20\r\n",
    b"stripe-version: \xff\r\n",
    b"idempotency-key: " + b"k" * 256 + b"\r\n",
    b"idempotency-key: same\r\nidempotency-key: other\r\n",
    b"expect: 100-continue\r\n",
    b"connection: upgrade\r\nupgrade: websocket\r\n",
    b"x-nul: a\0b\r\n",
    b"no colon here\r\n",
    b" folded: yes\r\n",
    b"x-many: 1\r\n" * 500,
    b"x-long: " + b"y" * 70_000 + b"\r\n",
    b"content-length: 3\r\ncontent-length: 4\r\n",
    b"content-length: -1\r\n",
    b"content-length: " + b"9" * 40 + b"\r\n",
    b"transfer-encoding: gzip, chunked\r\n",
)
_FORMS = (
    b"email=a%40b.test",
    b"metadata" + b"[a]" * 20_000 + b"=1",
    b"metadata[" * 20_000,
    b"[" * 50_000,
    b"]=[&" * 10_000,
    b"metadata[a]=1&" * 50_000,
    b"".join(b"metadata[k%d]=%d&" % (n, n) for n in range(1_500)),
    b"expand[]=x&" * 1_500,
    b"balance=" + b"9" * 100_000,
    b"email=" + b"a" * 200_000 + b"@b.test",
    b"name=%00%00&description=a\0b",
    b"name=%ff%fe%c0%af",
    b"name=\xff\xfe\xc0\xaf",
    b"name=%F0%9F%90%98&name=%E2%80%AE",
    b"name=1&name[a]=2&name[]=3",
    b"%5B%5D=%3D&=&==&&",
    b"%" * 50_000,
    b'{"email": "a@b.test"}',
    b"[" * 100_000 + b"]" * 100_000,
)
_CHUNKS = (
    b"%x\r\n%s\r\n0\r\n\r\n",
    b"%x;" + b"e" * 5_000 + b"=1\r\n%s\r\n0\r\n\r\n",
    b"0%x\r\n%s0\r\n\r\n",
    b"fffffffffffffffff%x\r\n%s",
    b"-%x\r\n%s\r\n0\r\n\r\n",
    b"z%x\r\n%s\r\n0\r\n\r\n",
    b"%x\n%s\n0\n\n",
    b"%x\r\n%s\r\n0\r\nx-trailer: " + b"t" * 5_000 + b"\r\n\r\n",
)


def make_stripe_input(seed: int, number: int, streams: Sequence[bytes]) -> Input:
    """Give damaged bytes or one of these requests."""
    rng = random.Random(f"{seed}/request/{number}")
    if rng.random() < 0.5:
        return make_input(seed, number, streams)
    data = _request(rng)
    if rng.randrange(BIG_EVERY) == 0:
        data = _big(rng)
    (manner,) = rng.choices(tuple(Manner), weights=(35, 35, 15, 5, 8, 2))
    size = max(1, len(data) // rng.randint(2, 20)) if manner is Manner.DRIPS else len(data)
    pieces = tuple(data[at : at + size] for at in range(0, len(data), size))
    return Input(number=number, pieces=pieces, manner=manner, nonsense=False)


def _request(rng: random.Random) -> bytes:
    good_key = b"authorization: Bearer " + KEY + b"\r\n"
    head = b"%s %s HTTP/1.1\r\nhost: x\r\n" % (
        rng.choice((b"POST", b"POST", b"POST", b"GET", b"GET", b"DELETE", b"PUT", b"HEAD", b"CONNECT")),
        _TARGETS[0] if rng.random() < 0.4 else rng.choice(_TARGETS),
    )
    head += good_key if rng.random() < 0.7 else rng.choice(_AUTHORIZATIONS)
    if rng.random() < 0.4:
        head += rng.choice(_HEADERS)
    body = rng.choice(_FORMS)
    framing = rng.random()
    if framing < 0.7:
        return head + b"content-length: %d\r\n\r\n" % len(body) + body
    if framing < 0.9:
        return head + b"transfer-encoding: chunked\r\n\r\n" + rng.choice(_CHUNKS) % (len(body), body)
    lie = rng.choice((0, 1, len(body) // 2, len(body) + 1, 1 << 40))
    return head + b"content-length: %d\r\n\r\n" % lie + body


def _big(rng: random.Random) -> bytes:
    """Ask with 10 MB, in one piece or in chunks."""
    head = b"POST /v1/customers HTTP/1.1\r\nhost: x\r\nauthorization: Bearer " + KEY + b"\r\n"
    if rng.random() < 0.5:
        return head + b"content-length: %d\r\n\r\nname=" % BIG_BYTES + b"x" * (BIG_BYTES - 5)
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    return head + b"transfer-encoding: chunked\r\n\r\n" + chunk * (BIG_BYTES >> 16) + b"0\r\n\r\n"
