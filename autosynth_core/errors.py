"""Every error the engine raises on purpose.

Exceptions are for what stops a call or a run. A broken workflow, a failed sample or an unreadable verdict
is a value with its reason (see ``records``), never an exception that escapes its place.

::

    AutoSynthError
    ├── InputError               a person gave something that can't be used
    │   ├── TaskFileError        a task file that can't be read or breaks the schema
    │   └── SettingsError        a setting out of range, or settings that contradict each other
    ├── StoreError               the database can't be used
    │   ├── DatabaseLocked
    │   ├── DatabaseReadOnly
    │   ├── DatabaseTooNew       written by a newer release
    │   └── NotADatabase
    ├── EndpointError            the model endpoint can't be used; stops the run, which stays resumable
    │   ├── EndpointUnreachable
    │   ├── NotAnEndpoint        a web page or a redirection answers at the base URL
    │   ├── EndpointFailing      call after call fails, and nothing succeeds in between
    │   ├── KeyRefused
    │   └── ModelNotFound
    ├── AnswerError              one call got no usable answer; the sample or proposal fails, the run goes on
    │   ├── TransientFailure     retries used up
    │   ├── RequestRefused       the endpoint refused this one request (too long, filtered)
    │   ├── AnswerTruncated      cut off at max_tokens
    │   └── AnswerUnreadable     not the JSON that was asked for, after one repair
    ├── FirstWorkflowFailed      the first workflow made nothing that could be judged
    ├── BudgetReached            the next call could exceed the budget
    ├── RunHalted                the run was paused by its owner's end or stopped by a person
    │   └── AlarmRaised          something speaks against the judge, and the run was to stop then
    ├── LeaseLost                another process owns the run now
    └── ModelFileError           the embedded model can't be fetched or started
"""

from __future__ import annotations


class AutoSynthError(Exception):
    """Base of all errors raised on purpose. ``str(error)`` is one sentence a user can act on."""


class InputError(AutoSynthError):
    """A person gave something that can't be used."""


class TaskFileError(InputError):
    """A task file that can't be read or breaks the schema."""


class SettingsError(InputError):
    """A setting out of range, or settings that contradict each other."""


class StoreError(AutoSynthError):
    """The database can't be used."""


class DatabaseLocked(StoreError):
    """Another program holds the database's write lock for longer than the time-out."""


class DatabaseReadOnly(StoreError):
    """The database file, or its folder, can't be written."""


class DatabaseTooNew(StoreError):
    """The database was written by a newer release than this one."""


class NotADatabase(StoreError):
    """The file is something else than an SQLite database of this program."""


class EndpointError(AutoSynthError):
    """The model endpoint can't be used. Stops the run, which stays resumable."""


class EndpointUnreachable(EndpointError):
    """Nothing answers at the base URL."""


class NotAnEndpoint(EndpointError):
    """What answers at the base URL is no model endpoint: a web page, or a redirection to another address."""


class EndpointFailing(EndpointError):
    """Call after call used up its attempts, and nothing succeeded in between."""


class KeyRefused(EndpointError):
    """The endpoint refuses the key (HTTP 401 or 403)."""


class ModelNotFound(EndpointError):
    """The endpoint does not know the model."""


class AnswerError(AutoSynthError):
    """One call got no usable answer. Never a score."""


class TransientFailure(AnswerError):
    """Rate limits, server errors, time-outs or cut connections outlasted the retries."""


class RequestRefused(AnswerError):
    """The endpoint refused this one request for good (HTTP 400, 413, 422; content filter)."""


class AnswerTruncated(AnswerError):
    """The answer was cut off at its token limit."""


class AnswerUnreadable(AnswerError):
    """The answer was not the JSON that was asked for, also after one repair."""


class FirstWorkflowFailed(AutoSynthError):
    """The first workflow made nothing that could be judged, so there is nothing to search from."""


class BudgetReached(AutoSynthError):
    """The next call could exceed the budget. Everything paid for is kept."""


class RunHalted(AutoSynthError):
    """A person stopped the run, or its owner is ending. Raised where the next call would have started."""


class AlarmRaised(RunHalted):
    """An alarm about the judge went off in a run that is to stop on one."""


class LeaseLost(AutoSynthError):
    """Another process took the run over; this one must write nothing more."""


class ModelFileError(AutoSynthError):
    """The embedded model can't be fetched, verified or started."""
