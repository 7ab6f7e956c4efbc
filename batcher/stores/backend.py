"""The libraries that speak to the clouds: opened when an address asks for one, with all the ways in which they fail."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from batcher.stores.errors import StoreAway, StoreError
from batcher.stores.path import CloudPath

_NEEDS = {"s3": "s3fs", "gs": "gcsfs", "abfs": "adlfs", "abfss": "adlfs"}
_CODE = re.compile(r"[A-Za-z]{3,40}\Z")
_LATER_CODES = frozenset({"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "OperationAborted"})
_CONDITION_CODES = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "ConditionNotMet"})
_LATER_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_SIGN_IN = "the store accepts no sign-in from here: see that the credentials which its own tools find are right"
_RIGHTS = "the store does not allow it: the credentials must be right, and may list, read and write there"


class Backend(Struct, frozen=True, kw_only=True):
    """
    A service of objects as fsspec shows it.

    Attributes:
        system: The fsspec file system.
        away: What its library raises when the service cannot be reached.
        sign_in: What it raises without credentials, or with some that cannot be.
        refused: What else it raises of its own.
        only_over: Arguments of `put_file` for a writing that replaces nothing but the content of a mark; none where the
            library passes no such condition on, so that the mark is compared right before instead.
    """

    system: Any
    away: tuple[type[BaseException], ...] = ()
    sign_in: tuple[type[BaseException], ...] = ()
    refused: tuple[type[BaseException], ...] = ()
    only_over: Callable[[str], Mapping[str, str]] = lambda _: {}

    @property
    def errors(self) -> tuple[type[BaseException], ...]:
        """Everything that a call can raise."""
        return (OSError, *self.away, *self.sign_in, *self.refused)

    @staticmethod
    def is_condition(error: BaseException) -> bool:
        """Whether a condition of the writing did not hold."""
        return _code_of(error) in _CONDITION_CODES or _status_of(error) == 412

    def translated(self, error: BaseException, place: object) -> StoreError:
        """What a failure means for the person; nothing of the library's own words, which may show credentials."""
        code, status = _code_of(error), _status_of(error)
        away = StoreAway(place, f"the store cannot be reached now{f' ({code})' if code else ''}; run again later")
        if isinstance(error, self.away):  # first: Google's are sign-in errors as well
            return away
        if isinstance(error, self.sign_in):
            return StoreError(place, _SIGN_IN)
        if isinstance(error, PermissionError) or status in (401, 403):
            return StoreError(place, f"{_RIGHTS}{f' ({code})' if code else ''}")
        if isinstance(error, FileNotFoundError) or status == 404:
            return StoreError(place, "is not there, or its bucket is not")
        is_later = code in _LATER_CODES or status in _LATER_STATUS
        if is_later or isinstance(error, (TimeoutError, ConnectionError)):
            return away
        return StoreError(place, f"the store refuses ({code or type(error).__name__})")


def open_backend(place: CloudPath) -> Backend:
    """
    The service that an address leads to, with the credentials and settings that its own tools find in the environment.

    Raises:
        StoreError: What it needs is not installed, or there are no credentials.
    """
    library = _NEEDS[place.scheme]
    if importlib.util.find_spec("fsspec") is None or importlib.util.find_spec(library) is None:
        raise StoreError(place, f"{place.scheme}:// needs more than is installed; pip install 'batcher[cloud]'")
    from fsspec.core import url_to_fs

    try:
        # a listing that is kept would show what stood there before; an instance that is kept, another environment
        system, _ = url_to_fs(str(place), use_listings_cache=False, skip_instance_cache=True)
    except ValueError as error:  # adlfs, for an account that is named nowhere
        raise StoreError(place, _SIGN_IN) from error
    return {"s3fs": _s3, "gcsfs": _google, "adlfs": _azure}[library](system)


def _s3(system: Any) -> Backend:
    import aiohttp
    from botocore import exceptions

    return Backend(
        system=system,
        away=(exceptions.ConnectionError, exceptions.HTTPClientError, aiohttp.ClientError),
        sign_in=(
            exceptions.NoCredentialsError,
            exceptions.PartialCredentialsError,
            exceptions.CredentialRetrievalError,
            exceptions.TokenRetrievalError,
            exceptions.NoAuthTokenError,
            exceptions.ProfileNotFound,
        ),
        refused=(exceptions.BotoCoreError, exceptions.ClientError),
        only_over=lambda mark: {"IfMatch": mark},
    )


def _google(system: Any) -> Backend:
    import aiohttp
    from gcsfs.retry import ChecksumError, HttpError, NonRetryableError
    from google.auth import exceptions

    return Backend(
        system=system,
        away=(exceptions.TransportError, aiohttp.ClientError, ChecksumError),
        sign_in=(exceptions.GoogleAuthError,),
        refused=(HttpError, NonRetryableError),
    )


def _azure(system: Any) -> Backend:
    import aiohttp
    from azure.core import exceptions

    return Backend(
        system=system,
        away=(exceptions.ServiceRequestError, exceptions.ServiceResponseError, aiohttp.ClientError),
        sign_in=(exceptions.ClientAuthenticationError,),
        refused=(exceptions.AzureError,),
    )


def _code_of(error: BaseException) -> str:
    """The service's own word for what happened, such as `NoSuchBucket`; empty when it has none."""
    for each in (error, error.__cause__):
        answer = getattr(each, "response", None)
        told = answer.get("Error", {}).get("Code") if isinstance(answer, dict) else getattr(each, "error_code", None)
        if isinstance(told, str) and _CODE.match(told):
            return told
    return ""


def _status_of(error: BaseException) -> int | None:
    for name in ("status_code", "code", "status"):
        value = getattr(error, name, None)
        if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()):
            return int(value)
    return None
