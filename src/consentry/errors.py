"""The one exception tree. Library exceptions are mapped into it where they enter.

    ConsentryError                     exit  HTTP
    ├── UsageError                      2    400   the caller asked for something that cannot be done
    │   └── BadConfig                   2    400   a setting is unknown or out of range
    ├── EnvironmentLack                 3    503   this machine or installation lacks something
    │   ├── ModelMissing                3    503   weights not pulled yet
    │   ├── ModelCorrupt                3    503   weights differ from their pinned hash
    │   ├── Offline                     3    503   a pull could not reach its source
    │   ├── DiskFull                    3    507   no space left to write
    │   ├── DataTooNew                  3    503   data folder written by a later version
    │   ├── DataDamaged                 3    503   data folder cannot be read
    │   └── SiteKeyMissing              3    503   sealed data without its key
    ├── MediaError                      1    502   a source could not be read
    │   ├── SourceNotFound              1    404   no such file, stream path or device
    │   ├── SourceUnauthorised          1    401   the camera refused the password
    │   ├── SourceUnreachable           1    502   connection refused or no route
    │   ├── SourceTimeout               1    504   nothing answered in time
    │   └── BadMedia                    1    422   bytes that are no picture or video we can decode
    ├── EngineError                     1    500   a model was given or gave something of the wrong form
    ├── EnrolmentRefused                1    422   a photo does not meet the enrolment rules
    │   ├── NoFaceFound                 1    422
    │   ├── ManyFacesFound              1    422
    │   ├── PoorQuality                 1    422
    │   └── DuplicatePerson             1    409
    ├── ConsentInvalid                  1    422   consent absent, expired or for another purpose
    ├── ReceiptInvalid                  1    422   a receipt or proof does not verify
    ├── NotDeclared                     1    403   1:N asked for before a deployment declaration (I7)
    ├── NotFound                        1    404   no such person, camera or sighting
    ├── LedgerBroken                    1    500   the log does not verify
    ├── WitnessRefused                  1    409   a witness knows another history of the log
    ├── BackupRefused                   1    422   a backup is damaged, or another site's
    ├── ApprovalNeeded                  1    409   a second person has not agreed yet
    ├── ErasureIncomplete               1    500   something of a withdrawn person may still be readable
    ├── Unauthorised                    1    401   no or wrong credentials for this server
    │   └── CodeNeeded                  1    401   the password is right, a code is needed too
    ├── Forbidden                       1    403   signed in, but not allowed
    └── TooManyAttempts                 1    429   locked out for a while

Every message is one line: what is wrong (`cause`), then what to do (`mend`). Messages never hold
credentials: `consentry.types.redact_url` is applied to each URL before it gets here.
"""

from __future__ import annotations

from typing import ClassVar


class ConsentryError(Exception):
    """Root of everything this project raises on purpose.

    Args:
        cause: What is wrong, one line, no credentials, no final stop needed.
        mend: What the reader can do about it, one line; may be empty when nothing can be done.
    """

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, cause: str, mend: str = "") -> None:
        self.cause = cause.strip().replace("\n", " ")
        self.mend = mend.strip().replace("\n", " ")
        super().__init__(f"{self.cause}. {self.mend}" if self.mend else self.cause)

    def __reduce__(self) -> tuple[type[ConsentryError], tuple[str, str]]:
        """Errors cross from workers to the hub: rebuild from both parts."""
        return type(self), (self.cause, self.mend)


class UsageError(ConsentryError):
    """The caller asked for something that cannot be done."""

    exit_code = 2
    http_status = 400


class BadConfig(UsageError):
    """A setting is unknown or out of range."""


class EnvironmentLack(ConsentryError):
    """This machine or installation lacks something."""

    exit_code = 3
    http_status = 503


class ModelMissing(EnvironmentLack):
    """Weights have not been pulled yet."""


class ModelCorrupt(EnvironmentLack):
    """Weights differ from their pinned hash."""


class Offline(EnvironmentLack):
    """A pull could not reach its source."""


class DiskFull(EnvironmentLack):
    """No space left to write."""

    http_status = 507


class DataTooNew(EnvironmentLack):
    """The data folder was written by a later version."""


class DataDamaged(EnvironmentLack):
    """The data folder cannot be read."""


class SiteKeyMissing(EnvironmentLack):
    """Sealed data is here, but not the key that opens it."""


class MediaError(ConsentryError):
    """A source could not be read."""

    http_status = 502


class SourceNotFound(MediaError):
    """No such file, stream path or device."""

    http_status = 404


class SourceUnauthorised(MediaError):
    """The camera refused the user name or password."""

    http_status = 401


class SourceUnreachable(MediaError):
    """Connection refused, name unknown or no route."""


class SourceTimeout(MediaError):
    """Nothing answered in time."""

    http_status = 504


class BadMedia(MediaError):
    """Bytes that are no picture or video this program can decode."""

    http_status = 422


class EngineError(ConsentryError):
    """A model was given or gave something of the wrong form."""


class EnrolmentRefused(ConsentryError):
    """A photo does not meet the enrolment rules."""

    http_status = 422


class NoFaceFound(EnrolmentRefused):
    """The photo shows no face."""


class ManyFacesFound(EnrolmentRefused):
    """The photo shows more than one face."""


class PoorQuality(EnrolmentRefused):
    """The face is too small, turned, blurred, badly lit or cut off."""


class DuplicatePerson(EnrolmentRefused):
    """The face already belongs to another enrolled person."""

    http_status = 409


class ConsentInvalid(ConsentryError):
    """Consent is absent, expired, withdrawn or for another purpose."""

    http_status = 422


class NotDeclared(ConsentryError):
    """1:N was asked for before a deployment declaration exists (invariant I7)."""

    http_status = 403


class NotFound(ConsentryError):
    """No such person, camera or sighting."""

    http_status = 404


class ReceiptInvalid(ConsentryError):
    """A receipt or proof does not verify."""

    http_status = 422


class WitnessRefused(ConsentryError):
    """A witness knows another history of the log, such as a longer one."""

    http_status = 409


class BackupRefused(ConsentryError):
    """A backup is damaged, incomplete or another site's."""

    http_status = 422


class ApprovalNeeded(ConsentryError):
    """A second person has not agreed yet, or the first may not decide alone."""

    http_status = 409


class LedgerBroken(ConsentryError):
    """The log does not verify."""


class ErasureIncomplete(ConsentryError):
    """Something of a withdrawn person may still be readable."""


class Unauthorised(ConsentryError):
    """No or wrong credentials for this server."""

    http_status = 401


class CodeNeeded(Unauthorised):
    """The password is right, and a code of the authenticator app is needed too."""


class Forbidden(ConsentryError):
    """Signed in, but not allowed to do this."""

    http_status = 403


class TooManyAttempts(ConsentryError):
    """Locked out for a while."""

    http_status = 429
