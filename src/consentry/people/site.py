"""One installation, opened: its database, blobs, keys and ledger."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from consentry.clock import Clock
from consentry.errors import DataDamaged, LedgerBroken, NotFound, SiteKeyMissing
from consentry.ledger.entry import Entry, Event, Payload
from consentry.ledger.log import Ledger
from consentry.people.keys import new_salt, person_key, site_key
from consentry.people.seal import Kind, SealingKey
from consentry.store.blobs import Blobs
from consentry.store.check import remove_strays
from consentry.store.database import DATABASE_FILE, Database, open_database
from consentry.store.pending import finish_erasures, is_compaction_pending
from consentry.store.schema import PersonKeyRow, SiteRow

_SITE_ID = 1
_KEY_CHECK = b"consentry site key"
_MS_PER_S = 1000


class Site:
    """An opened data folder. Safe to share between threads; close it when done.

    Attributes:
        data_dir: The data folder.
        site_uuid: The installation's own id.
        name: What the folder was called when it was made.
        clock: Where the time comes from.
        database, blobs, key, ledger: Its parts.
    """

    def __init__(self, data_dir: Path, database: Database, clock: Clock) -> None:
        """Use `Site.open`."""
        self.data_dir = data_dir
        self.database = database
        self.blobs = Blobs(data_dir)
        self.clock = clock
        with database.read() as session:
            row = session.get(SiteRow, _SITE_ID)
            if row is None:
                raise _no_site(data_dir)
            self.site_uuid = row.site_uuid
            self.name = row.name
            kdf_salt, key_check, sealed_seed = row.kdf_salt, row.sealed_key_check, row.sealed_ledger_seed
        self.key = site_key(self.site_uuid, kdf_salt, data_dir)
        try:
            self.key.open(key_check, Kind.KEY_CHECK, self.site_uuid)
        except DataDamaged:
            raise SiteKeyMissing(
                f"the site key found is not the one that {data_dir} was sealed with",
                "Put the right key in its place; see docs/consent.md for where it is looked for",
            ) from None
        seed = self.key.open(sealed_seed, Kind.LEDGER_SEED, self.site_uuid)
        self.ledger = Ledger(_origin(self.site_uuid), Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def open(cls, data_dir: Path, *, clock: Clock, create: bool = False) -> Site:
        """The installation in `data_dir`, made first if there is none and `create` is set.

        Finishes what a killed process left: removes blobs that no row names, and rewrites the database if
        someone's erasure got no further than deleting the rows. Cuts the ledger of an older version into
        tiles.

        Raises:
            NotFound: there is no installation and `create` is not set.
            SiteKeyMissing: its key is not there or is another one.
            BadConfig: the key is given in two ways at once, or badly.
            UsageError: `data_dir` is a file.
            DataTooNew, DataDamaged, DiskFull, EnvironmentLack: see `consentry.store`.
        """
        if not create and not (data_dir / DATABASE_FILE).exists():
            raise _no_site(data_dir)
        kdf_salt = new_salt() if create else None
        with ExitStack() as undo:
            database = open_database(data_dir)
            undo.callback(database.close)
            if create:
                _create(database, data_dir, clock, kdf_salt)
            site = cls(data_dir, database, clock)
            remove_strays(database, site.blobs)
            site._ensure_tiles()
            if is_compaction_pending(database):
                finish_erasures(database, site.now_unix_ms())
            undo.pop_all()
        return site

    def _ensure_tiles(self) -> None:
        """Cut the ledger of an older version into tiles; one that is broken is left for `verify` to tell."""
        with self.read() as session:
            if not self.ledger.lacks_tiles(session.connection()):
                return
        with suppress(LedgerBroken), self.write() as session:
            if self.ledger.lacks_tiles(session.connection()):
                self.ledger.build_tiles(session.connection())

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        self.database.close()

    def __enter__(self) -> Site:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session over one unchanging view. Raises as `Database.read` does."""
        with self.database.read() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that commits at its end, all or nothing. Raises as `Database.write` does."""
        with self.database.write() as session:
            yield session

    def now_unix_ms(self) -> int:
        """The time now, in milliseconds since 1970 UTC."""
        return _now_unix_ms(self.clock)

    @property
    def gallery_version(self) -> int:
        """Grows with every change to who may be recognised: enrolment, withdrawal, declaration.

        Read it before `gallery_snapshot`: then a change in between leads to one snapshot too many, never
        to one too few.
        """
        with self.read() as session:
            return session.execute(select(SiteRow.gallery_version)).scalar_one()

    def bump_gallery_version(self, session: Session) -> None:
        """Let workers notice that who may be recognised has changed."""
        session.execute(update(SiteRow).values(gallery_version=SiteRow.gallery_version + 1))

    def log(
        self,
        session: Session,
        event: Event,
        *,
        actor: str,
        payload: Payload,
        subject_pseudonym: str | None = None,
    ) -> Entry:
        """Append to the ledger within the transaction of the act itself.

        Raises:
            LedgerBroken: the head of the ledger was tampered with; the act must not happen.
        """
        session.flush()
        return self.ledger.append(
            session.connection(),
            event=event,
            actor=actor,
            time_unix_ms=self.now_unix_ms(),
            payload=payload,
            subject_pseudonym=subject_pseudonym,
        )

    def person_key(self, session: Session, person_id: str) -> SealingKey:
        """The key of one person.

        Raises:
            NotFound: no such person.
            DataDamaged: the wrapped key was changed.
        """
        row = session.get(PersonKeyRow, person_id)
        if row is None:
            raise NotFound(f"nobody with the id {person_id} is enrolled", "See `consentry person list`")
        return person_key(self.key, self.site_uuid, person_id, row.wrapped_key)


def _create(database: Database, data_dir: Path, clock: Clock, kdf_salt: bytes | None) -> None:
    """Make the site's row, key and ledger unless they are there."""
    with database.write() as session:
        if session.get(SiteRow, _SITE_ID) is not None:
            return
        site_uuid = str(uuid.uuid4())
        key = site_key(site_uuid, kdf_salt, data_dir, create=True)
        signer = Ed25519PrivateKey.generate()
        now_unix_ms = _now_unix_ms(clock)
        session.add(
            SiteRow(
                id=_SITE_ID,
                site_uuid=site_uuid,
                name=data_dir.resolve().name,
                created_unix_ms=now_unix_ms,
                kdf_salt=kdf_salt,
                sealed_key_check=key.seal(_KEY_CHECK, Kind.KEY_CHECK, site_uuid),
                sealed_ledger_seed=key.seal(signer.private_bytes_raw(), Kind.LEDGER_SEED, site_uuid),
                gallery_version=0,
            )
        )
        session.flush()
        ledger = Ledger(_origin(site_uuid), signer)
        ledger.start(session.connection())
        ledger.append(
            session.connection(),
            event=Event.SITE_CREATED,
            actor="consentry",
            time_unix_ms=now_unix_ms,
            payload={"site_uuid": site_uuid},
        )


def _origin(site_uuid: str) -> str:
    return f"consentry/ledger/{site_uuid}"


def _now_unix_ms(clock: Clock) -> int:
    return round(clock.unix_s() * _MS_PER_S)


def _no_site(data_dir: Path) -> NotFound:
    return NotFound(
        f"{data_dir} holds no installation of Consentry",
        "Make one with `consentry declare FILE` or `person enrol`, or give another folder with --data",
    )
