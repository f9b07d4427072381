"""Signing in at the organisation's own provider: OpenID Connect, authorisation code with PKCE.

Nobody is who they are by name or mail address: a user is matched by issuer and subject only, and made on
their first sign-in with the role that the provider's claim maps to. Without such a claim they are refused.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import ssl
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel, ValidationError, field_validator
from sqlalchemy import select
from sqlalchemy.orm import Session

from consentry.config import Oidc, Role, https_or_loopback
from consentry.errors import ConsentryError, EnvironmentLack, Forbidden, Unauthorised
from consentry.ledger.entry import Event
from consentry.people.consent import clean_name
from consentry.people.site import Site
from consentry.server.accounts import MOST_NAME_CHARACTERS, require_an_admin
from consentry.server.users import User, new_user_id, user_of
from consentry.store.schema import UserRow

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "ES256")
TIMEOUT_S = 10.0
MOST_ANSWER_BYTES = 1024 * 1024
LEEWAY_S = 60
_DISCOVERY = "/.well-known/openid-configuration"
_ACTOR = "consentry"


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that has begun: where the browser goes, and what it must bring back unread.

    Attributes:
        url: At the provider.
        state: Comes back in the address.
        nonce: Comes back inside the ID token.
        verifier: The secret of the code challenge (RFC 7636).
    """

    url: str = field(repr=False)
    state: str
    nonce: str
    verifier: str


class _Discovered(BaseModel):
    """What is used of the provider's own description."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: list[str] = ["client_secret_basic"]

    @field_validator("authorization_endpoint", "token_endpoint", "jwks_uri")
    @classmethod
    def _safe(cls, url: str) -> str:
        return https_or_loopback(url)


class _Claims(BaseModel):
    """The claims of an ID token that are checked or used."""

    iss: str
    sub: str
    aud: str | list[str]
    exp: float
    iat: float
    nonce: str
    azp: str | None = None
    preferred_username: str | None = None
    email: str | None = None


class Provider:
    """The provider of a site.

    Args:
        settings: Which one, and how it calls this server. `issuer` must be set.
        site: Whose users.
    """

    def __init__(self, settings: Oidc, site: Site) -> None:
        self._settings, self._site = settings, site

    def begin(self, redirect_uri: str) -> Begun:
        """A new sign-in.

        Raises:
            EnvironmentLack: the provider cannot be reached, or does not describe itself properly.
        """
        found = self._discover()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid profile email",
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in found.authorization_endpoint else "?"
        url = f"{found.authorization_endpoint}{joint}{urlencode(query)}"
        return Begun(url, state, nonce, verifier)

    def finish(self, code: str, redirect_uri: str, *, nonce: str, verifier: str) -> User:
        """Who has signed in with `code`; made or brought up to date, and logged, as is a refusal.

        Raises:
            Unauthorised: the provider does not take the code, or its ID token is not good.
            Forbidden: no claim of the user maps to a role, or they are disabled here.
            EnvironmentLack: the provider cannot be reached.
        """
        try:
            claims, everything = self._claims(code, redirect_uri, nonce=nonce, verifier=verifier)
            return self._user(claims, self._role(everything))
        except (Unauthorised, Forbidden):
            with self._site.write() as session:
                self._site.log(session, Event.SESSION_REFUSED, actor=_ACTOR, payload={"with": "oidc"})
            raise

    def _claims(
        self, code: str, redirect_uri: str, *, nonce: str, verifier: str
    ) -> tuple[_Claims, dict[str, Any]]:
        found = self._discover()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        secret = self._settings.client_secret.get_secret_value()
        headers = {}
        if "client_secret_basic" in found.token_endpoint_auth_methods_supported and secret:
            pair = f"{quote(self._settings.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form["client_id"] = self._settings.client_id
            if secret:
                form["client_secret"] = secret
        token = self._fetch("POST", found.token_endpoint, data=form, headers=headers).get("id_token")
        document = self._fetch("GET", found.jwks_uri)
        try:
            keys = KeySet.import_key_set({"keys": document["keys"]})
            everything = jwt.decode(str(token), keys, algorithms=ALGORITHMS).claims
            claims = _Claims.model_validate(everything)
        except (JoseError, ValidationError, ValueError, TypeError, KeyError) as error:
            raise _not_good(type(error).__name__) from None
        self._check(claims, nonce)
        return claims, everything

    def _check(self, claims: _Claims, nonce: str) -> None:
        """The checks of OpenID Connect Core 3.1.3.7; the signature is checked already."""
        now_s, client = self._site.clock.unix_s(), self._settings.client_id
        audience = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        faults = {
            "issuer": claims.iss != self._settings.issuer,
            "audience": client not in audience,
            "authorised party": (len(audience) > 1 or claims.azp is not None) and claims.azp != client,
            "end": now_s >= claims.exp + LEEWAY_S,
            "time": claims.iat > now_s + LEEWAY_S,
            "nonce": not hmac.compare_digest(claims.nonce.encode(), nonce.encode()),
            "subject": not claims.sub,
        }
        for what, is_wrong in faults.items():
            if is_wrong:
                raise _not_good(what)

    def _role(self, claims: dict[str, Any]) -> Role:
        """The role of the first value in the settings that the user has.

        Raises:
            Forbidden: they have none of them.
        """
        value = claims.get(self._settings.role_claim)
        held = value if isinstance(value, list) else [value]
        for name, role in self._settings.roles.items():
            if name in held:
                return role
        raise Forbidden(
            "you have no role on this site", "Ask whoever runs it to give you one at the provider"
        )

    def _user(self, claims: _Claims, role: Role) -> User:
        site = self._site
        with site.write() as session:
            known = select(UserRow).where(
                UserRow.oidc_issuer == claims.iss, UserRow.oidc_subject == claims.sub
            )
            row = session.scalars(known).one_or_none()
            if row is None:
                row = UserRow(
                    id=new_user_id(),
                    name=_free_name(session, claims),
                    role=role,
                    created_unix_ms=site.now_unix_ms(),
                    oidc_issuer=claims.iss,
                    oidc_subject=claims.sub,
                )
                session.add(row)
                site.log(session, Event.USER_ADDED, actor=_ACTOR, payload={"user": row.id, "role": role})
            elif row.is_disabled:
                raise Forbidden("this user may not sign in here", "Ask an admin of this site")
            elif row.role != role:
                row.role = role
                require_an_admin(session)
                site.log(session, Event.USER_CHANGED, actor=_ACTOR, payload={"user": row.id, "role": role})
            user = user_of(row)
            site.log(session, Event.SESSION_OPENED, actor=user.actor, payload={"with": "oidc"})
            return user

    def _discover(self) -> _Discovered:
        document = self._fetch("GET", self._settings.issuer.rstrip("/") + _DISCOVERY)
        try:
            found = _Discovered.model_validate(document)
        except ValidationError as error:
            field = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise _provider(f"describes itself wrongly: {field}") from None
        if found.issuer != self._settings.issuer:
            raise _provider(f"calls itself {found.issuer}, not {self._settings.issuer}")
        return found

    def _fetch(
        self,
        method: str,
        url: str,
        *,
        data: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """The JSON object at `url`; certificates are checked against those of this machine."""
        try:
            with (
                httpx.Client(
                    timeout=TIMEOUT_S, verify=ssl.create_default_context(), trust_env=False
                ) as client,
                client.stream(method, url, data=data, headers=headers) as answer,
            ):
                content = b""
                for part in answer.iter_bytes():
                    content += part
                    if len(content) > MOST_ANSWER_BYTES:
                        raise _provider("answers too much")
        except httpx.HTTPError as error:
            raise _provider(f"cannot be reached: {type(error).__name__}") from None
        if answer.status_code in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED) and method == "POST":
            raise Unauthorised("the provider did not take the code", "Begin again at /login")
        if answer.status_code != HTTPStatus.OK:
            raise _provider(f"answers with status {answer.status_code}")
        try:
            document = json.loads(content)
        except ValueError:
            raise _provider("answers with no JSON") from None
        if not isinstance(document, dict):
            raise _provider("answers with no JSON object")
        return document


def _free_name(session: Session, claims: _Claims) -> str:
    """A name for a new user that nobody has; it identifies nobody."""
    try:
        name = clean_name(claims.preferred_username or claims.email or "")[: MOST_NAME_CHARACTERS - 8]
    except ConsentryError:
        name = "user"
    if session.scalars(select(UserRow.id).where(UserRow.name == name)).one_or_none() is None:
        return name
    return f"{name} {secrets.token_hex(3)}"


def _not_good(what: str) -> Unauthorised:
    return Unauthorised(f"the provider's ID token is not good: {what}", "Begin again at /login")


def _provider(problem: str) -> EnvironmentLack:
    return EnvironmentLack(f"the sign-in provider {problem}", "Check the settings `oidc` and the provider")
