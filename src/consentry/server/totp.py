"""Codes of an authenticator app (TOTP, RFC 6238: SHA-1, 30 s, six digits), each good for one sign-in.

A secret counts once its user has shown a code of it. Until then it is nowhere but with the user, in a
sealed ticket that they give back together with the code.
"""

from __future__ import annotations

import hmac
import io
from dataclasses import dataclass, field

import pyotp
import segno

from consentry.errors import Unauthorised
from consentry.ledger.entry import Event
from consentry.people.seal import Kind
from consentry.people.site import Site
from consentry.server.tickets import opened_ticket, sealed_ticket
from consentry.store.schema import UserRow

STEP_S = 30
STEPS_AROUND = 1
_ISSUER = "Consentry"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What someone needs to set up their app.

    Attributes:
        secret: In base32, to type.
        uri: `otpauth://…`, the same for the app.
        qr_svg: `uri` as a QR code.
        ticket: To be given back with the first code, soon.
    """

    secret: str = field(repr=False)
    uri: str = field(repr=False)
    qr_svg: str = field(repr=False)
    ticket: str = field(repr=False)


def begin(site: Site, user_id: str, name: str) -> Enrolment:
    """A new secret for a user; nothing is kept yet."""
    secret = pyotp.random_base32()
    uri = pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=f"{_ISSUER} {site.name}")
    drawn = io.BytesIO()
    segno.make(uri, micro=False).save(drawn, kind="svg", scale=4, xmldecl=False, svgns=True)
    ticket = sealed_ticket(site, {"secret": secret}, Kind.TOTP, user_id)
    return Enrolment(secret, uri, drawn.getvalue().decode(), ticket)


def confirm(site: Site, user_id: str, ticket: str, code: str, *, actor: str) -> None:
    """Keep the secret of a ticket, because its user has shown a code of it.

    Raises:
        Unauthorised: the code is wrong, or the ticket is another's or too old.
    """
    secret = opened_ticket(site, ticket, Kind.TOTP, user_id)["secret"]
    step = _step(secret, code, site.now_unix_ms(), after_step=0)
    if step is None:
        raise Unauthorised("the code is wrong", "Type the one that the app shows now; check both clocks")
    with site.write() as session:
        row = session.get_one(UserRow, user_id)
        row.sealed_totp = site.key.seal(secret.encode(), Kind.TOTP, user_id)
        row.totp_last_step = step
        site.log(session, Event.USER_CHANGED, actor=actor, payload={"user": user_id, "totp": "set up"})


def step_of(site: Site, row: UserRow, code: str) -> int | None:
    """The time step of a user's code; None if the code is wrong or of a step already used.

    Raises:
        DataDamaged: the secret does not open.
    """
    if row.sealed_totp is None:
        return None
    secret = site.key.open(row.sealed_totp, Kind.TOTP, row.id).decode()
    return _step(secret, code, site.now_unix_ms(), after_step=row.totp_last_step)


def _step(secret: str, code: str, now_unix_ms: int, *, after_step: int) -> int | None:
    """The step around now whose code this is, if it is later than `after_step`."""
    typed = code.replace(" ", "")
    now_step = now_unix_ms // (STEP_S * 1000)
    found = None
    for step in range(now_step - STEPS_AROUND, now_step + STEPS_AROUND + 1):
        right = hmac.compare_digest(pyotp.TOTP(secret).generate_otp(step).encode(), typed.encode())
        if right and step > after_step:
            found = step
    return found
