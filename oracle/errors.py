"""Every error the product raises on purpose.

OracleError                   one sentence that says what to do; carries its exit code and API code
├── RequestError              the user asked for something that cannot be: exit 2
│   └── SettingsError         one or more settings are wrong; lists all of them
├── NoDataError               the question is right, the answer is not there: exit 1
│   ├── NotFinalError         not yet: the day is not six blocks deep
│   └── SyncingError          not yet: the source is still catching up with the chain
├── ParseError                the bytes are not a block; carries the block and the offset: exit 1
│   └── VerificationError     the bytes parse, but they are not the block that was asked for
│       └── ChainMovedError   the source's chain changed between two questions; ask again
├── SourceError               a source of blocks or quotes; carries the source's name and the URL:
exit 1
│   ├── SourceUnavailableError  it did not answer, or is not ready; the next source may be tried
│   │   └── SourceTimeoutError    it took longer than a request may
│   ├── SourceSyncingError      its node has not caught up: an answer; no other source is asked
│   ├── SourceRefusedError      it answered no: wrong password, forbidden
│   ├── BlockNotFoundError      it does not have this block (unknown, pruned); another may
│   ├── NoQuoteError            it has no price that can be used
│   └── BadAnswerError          it answered something that is not what it should be
├── UncheckedError             all that was compared matches, and not all could be: exit 6
├── StoreError                the database cannot be read or written: exit 3
├── SiteError                 the site cannot be written: exit 3
├── TargetError               the place that the site is published to did not take it: exit 3
├── BusyError                 another run holds the lock: exit 4
├── ReorgTooDeepError         the chain was replaced below everything that is stored: exit 5
└── InternalError             something went wrong that nobody expects: exit 70
    └── ExhaustedError        the machine gave no more memory, threads or open files
"""

from __future__ import annotations

import errno
from enum import Enum
from typing import ClassVar, Self


class OracleError(Exception):
    """Base of all errors raised on purpose; `str(error)` is one sentence for a person."""

    exit_code: ClassVar[int] = 1
    code: str = "ORACLE_ERROR"  # in the published error shape

    @property
    def public_message(self) -> str:
        """Return the sentence as it may be published."""
        return str(self)

    def __reduce__(self) -> tuple[object, ...]:
        """Come back from another process as it was, whatever its constructor asks for."""
        return _restored, (type(self), self.args, self.__dict__)


def _restored(
    kind: type[OracleError], args: tuple[object, ...], state: dict[str, object]
) -> OracleError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class RequestError(OracleError):
    """What was asked for cannot be: a wrong argument, a date before 2009, an unknown mode."""

    exit_code = 2
    code = "BAD_REQUEST"


class SettingsError(RequestError):
    """One or more settings are wrong; `problems` holds one sentence for each."""

    code = "BAD_SETTINGS"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class NoDataError(OracleError):
    """The request is right, but the data does not hold an answer."""

    code = "NO_DATA"


class NotFinalError(NoDataError):
    """A day that is not over, or not yet six blocks deep: the answer comes later."""

    code = "NOT_FINAL"


class SyncingError(NoDataError):
    """The source has too little of the chain, or too old a part of it, to start a record with."""

    code = "SYNCING"


class ParseError(OracleError):
    """Bytes that are not a block or not the block they should be."""

    code = "BAD_BLOCK"

    def __init__(
        self, problem: str, *, block: int | str | None = None, offset: int | None = None
    ) -> None:
        where = f"block {block}" if block is not None else "block"
        at = f" at byte {offset}" if offset is not None else ""
        super().__init__(f"{where}{at}: {problem}")
        self.problem = problem
        self.block = block
        self.offset = offset


class VerificationError(ParseError):
    """The bytes parse, but hash, target, merkle root or previous hash is not what it must be."""


class ChainMovedError(VerificationError):
    """The source said two things that are not of one chain: a reorg came between them."""

    @classmethod
    def between_questions(cls, height: int) -> Self:
        """Return the error for a height whose block is no longer the one it was."""
        return cls(
            "it does not follow from what the source said before: its chain changed meanwhile",
            block=height,
        )


class SourceError(OracleError):
    """A source of blocks or quotes failed.

    `source` names it, and `url` says where it was asked, without path, query and login. `str()` is
    for the owner of this machine; `public_message` is what may be published: it holds no address
    and no text that came from outside.
    """

    code = "SOURCE_ERROR"

    def __init__(
        self,
        message: str,
        *,
        source: str,
        url: str | None = None,
        attempts: int = 1,
        code: str | None = None,
        public_message: str | None = None,
    ) -> None:
        super().__init__(message)
        self.source = source
        self.url = url
        self.attempts = attempts
        self.code = code or self.code
        self._public_message = public_message or f"{source} failed"

    @property
    def public_message(self) -> str:
        """Return the sentence without any address, and without text that came from outside."""
        return self._public_message


class SourceUnavailableError(SourceError):
    """The source does not answer or is not ready: a later try, or the next source, may work.

    `retry_after_seconds` is how long it asked to be left alone, if it did.
    """

    code = "SOURCE_UNAVAILABLE"
    retry_after_seconds: float | None = None


class SourceTimeoutError(SourceUnavailableError):
    """The source took longer than a whole request may take."""


class NoBlocksServedError(SourceUnavailableError):
    """The source is well, but not one of blocks."""


class SourceSyncingError(SourceError):
    """The source's node has not caught up with its chain: wait, and ask no other source instead."""

    code = "SOURCE_SYNCING"


class SourceRefusedError(SourceError):
    """The source answered, and said no: wrong user or password, or an address it does not allow."""

    code = "SOURCE_REFUSED"


class BlockNotFoundError(SourceError):
    """The source is well but does not have this block: unknown, beyond the tip, or pruned."""

    code = "BLOCK_NOT_FOUND"


class NoQuoteError(SourceError):
    """The source answered, but not with a price of about now: it has none, or none to believe."""

    code = "NO_QUOTE"


class BadAnswerError(SourceError):
    """The source answered with something that is not what the endpoint should give."""

    code = "BAD_ANSWER"


class UncheckedError(OracleError):
    """A verification that found nothing wrong, and could not look at everything."""

    exit_code = 6
    code = "UNCHECKED"


class StoreError(OracleError):
    """The database cannot be opened, read or written."""

    exit_code = 3
    code = "DATABASE_UNAVAILABLE"


class SiteError(OracleError):
    """The site cannot be written: a full disk, another owner, a file where a folder should be."""

    exit_code = 3
    code = "SITE_UNWRITABLE"

    def __init__(self, folder: object, reason: str) -> None:
        super().__init__(
            f"the site cannot be written to {folder}: {reason}; is the disk full, and may this "
            f"user write there?"
        )

    @property
    def public_message(self) -> str:
        """Return the sentence without the machine's folders."""
        return "the site cannot be written: is the disk full, and may the service write there?"


class TargetError(OracleError):
    """Where the site is published to did not take it: out of reach, forbidden, full."""

    exit_code = 3
    code = "TARGET_FAILED"

    def __init__(self, target: str, reason: str) -> None:
        super().__init__(
            f"{target} did not take the site: {reason}; what went there is not sent again"
        )


class BusyError(OracleError):
    """Another run holds the lock."""

    exit_code = 4
    code = "BUSY"


class ReorgTooDeepError(OracleError):
    """The source's chain shares no block with the stored one."""

    exit_code = 5
    code = "REORG_TOO_DEEP"


class Lack(Enum):
    """What a machine may run out of."""

    MEMORY = "memory"
    THREADS = "room for threads or processes"
    FILES = "room for open files"


ADVICE_ON_LACKS = {
    Lack.MEMORY: "free some (free -h), or raise MemoryMax= of the service or ulimit -v",
    Lack.THREADS: "raise TasksMax= of the service or ulimit -u; where memory is short, free some",
    Lack.FILES: "raise LimitNOFILE= of the service or ulimit -n",
}


class InternalError(OracleError):
    """Something went wrong that nobody expects: a fault of ours, of a library or of a replacement.

    `kind` is the name of the exception's class.
    """

    exit_code = 70  # EX_SOFTWARE of sysexits.h
    code = "INTERNAL_ERROR"

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(
            f"something went wrong that should not have ({kind}: {text[:200]}); the log says where"
        )
        self.kind = kind

    @property
    def public_message(self) -> str:
        """Return the sentence without text that may hold anything."""
        return f"something went wrong that should not have ({self.kind})"


class ExhaustedError(InternalError):
    """The machine, or a limit of the service, gave no more of what a run needs."""

    def __init__(self, kind: str, lack: Lack) -> None:
        super().__init__(kind, "")
        self.args = (f"there is no more {lack.value} for it ({kind}); {ADVICE_ON_LACKS[lack]}",)
        self._lack = lack

    @property
    def public_message(self) -> str:
        """Return the sentence without the advice, which is for the owner of the machine."""
        return f"there is no more {self._lack.value} for it"


def unexpected(error: Exception, text: str) -> InternalError:
    """Return an exception that is none of ours as one; `text` is what it says, without secrets."""
    kind = type(error).__name__
    lack = lack_in(error)
    return ExhaustedError(kind, lack) if lack else InternalError(kind, text)


def lack_in(error: Exception) -> Lack | None:
    """Return what the machine ran out of, if that is what an exception says."""
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return Lack.MEMORY
    if "can't start new thread" in str(error) or number == errno.EAGAIN:
        return Lack.THREADS
    return Lack.FILES if number in {errno.EMFILE, errno.ENFILE} else None
