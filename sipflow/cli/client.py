"""Talks to the API of the running daemon: finds it, finds the token that opens it, says in words what is wrong."""

import os
import re
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from sipflow.config.api_section import ApiSettings
from sipflow.config.load import load_api
from sipflow.errors import ClientError as ClientError
from sipflow.errors import ConfigError
from sipflow.sip.addressing import join_host_port

URL_VARIABLE, TOKEN_VARIABLE = "SIPFLOW_URL", "SIPFLOW_TOKEN"
NOT_FOUND, USAGE, UNAVAILABLE, FORBIDDEN, CONFIG = 1, 2, 69, 77, 78  # the last three are of sysexits.h
_TIMEOUT_S = 20.0
_PAGE = 1000
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (where "every address" is reached from this machine)
_ERRNO = re.compile(r"^\[Errno -?[0-9]+\] ")
_STATUSES = {400: USAGE, 401: FORBIDDEN, 403: FORBIDDEN, 404: NOT_FOUND, 409: NOT_FOUND}


class Client:
    """One daemon, as its API shows it. A context manager, closed on exit.

    Attributes:
        url: where it is.
    """

    def __init__(
        self, url: str, token: str, *, certificate: str = "", transport: httpx.BaseTransport | None = None
    ) -> None:
        """Talk to whoever is there.

        Args:
            url: of the API.
            token: "" for none.
            certificate: PEM file with the only certificate that is trusted, whatever name is in it; "" for those that
                this machine trusts.
            transport: None for the network.

        Raises:
            ClientError: the URL, the token or the certificate cannot be used.
        """
        self.url = url.rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            raise ClientError(f"{URL_VARIABLE} cannot be used: {url!r} begins with neither http:// nor https://", USAGE)
        self._certificate = certificate
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            self._http = httpx.Client(
                base_url=self.url,
                headers=headers,
                timeout=_TIMEOUT_S,
                verify=_trusting(certificate) if certificate else True,
                transport=transport,
                follow_redirects=False,
            )
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise ClientError(f"{URL_VARIABLE} or {TOKEN_VARIABLE} cannot be used: {error}", USAGE) from None

    @classmethod
    def find(cls, config: Path, *, environ: Mapping[str, str] | None = None) -> Self:
        """Find the daemon: by SIPFLOW_URL and SIPFLOW_TOKEN, and what they leave open by its configuration.

        Raises:
            ClientError: it cannot be found.
        """
        variables = os.environ if environ is None else environ
        url, token = variables.get(URL_VARIABLE, ""), variables.get(TOKEN_VARIABLE, "")
        certificate = ""
        if not url or not token:
            url, token, certificate = _configured(config, variables, url, token)
        if not token:
            advice = f"set {TOKEN_VARIABLE} to one; `sipflow token create` makes it"
            raise ClientError(f"there is no token for {url}: {advice}", CONFIG)
        return cls(url, token, certificate=certificate)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **parameters: Any) -> Any:
        """Return what is in the envelope at a path.

        Raises:
            ClientError: there is no answer, or it is a refusal.
        """
        answer = self._answer("GET", path, parameters)
        try:
            return answer.json()["response"]
        except (ValueError, KeyError, TypeError):
            raise ClientError(f"{self.url} does not answer as sipflow does", UNAVAILABLE) from None

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send an object, and return what is in the envelope of the answer; raises as `get` does."""
        answer = self._answer("POST", path, {}, body)
        try:
            return answer.json()["response"]
        except (ValueError, KeyError, TypeError):
            raise ClientError(f"{self.url} does not answer as sipflow does", UNAVAILABLE) from None

    def every(self, path: str, key: str) -> list[dict[str, Any]]:
        """Return everything that a list has.

        Raises:
            ClientError: there is no answer, or it is a refusal.
        """
        found: list[dict[str, Any]] = []
        while True:
            page = self.get(path, limit=_PAGE, offset=len(found))
            found += page[key]
            if not page[key] or len(found) >= page["pagination"]["total_records"]:
                return found

    def text(self, path: str, **parameters: Any) -> str:
        """Return the text at a path; raises as `get` does."""
        return self._answer("GET", path, parameters).text

    def file(self, path: str, **parameters: Any) -> bytes:
        """Return the file at a path; raises as `get` does."""
        return self._answer("GET", path, parameters).content

    def _answer(
        self, method: str, path: str, parameters: Mapping[str, Any], body: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        try:
            answer = self._http.request(method, path, params=parameters, json=body)
        except httpx.TimeoutException:
            raise ClientError(f"{self.url} does not answer within {_TIMEOUT_S:.0f} s", UNAVAILABLE) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ClientError(
                f"{self.url} cannot be reached: {_why(error, self.url, self._certificate)}", UNAVAILABLE
            ) from None
        if answer.is_success:
            return answer
        advice = f"; {TOKEN_VARIABLE} or `api.tokens` has it, `sipflow token create` makes one"
        wrong_token = advice if answer.status_code == HTTPStatus.UNAUTHORIZED else ""
        raise ClientError(_sentence(answer) + wrong_token, _STATUSES.get(answer.status_code, UNAVAILABLE))


def _trusting(certificate: str) -> ssl.SSLContext:
    """Trust one certificate: on this machine the daemon is reached by an address, which is seldom what it names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(certificate)
    except (OSError, ssl.SSLError) as error:
        raise ClientError(f"{certificate} cannot be used: {error}", CONFIG) from None
    return context


def _why(error: Exception, url: str, certificate: str) -> str:
    text = _ERRNO.sub("", str(error)).rstrip(".") or type(error).__name__
    _, refused, why = text.partition("certificate verify failed: ")
    if refused:
        why = why.partition(" (_ssl")[0].rstrip(".")
        if certificate:
            return f"it shows no good certificate, or another than {certificate}: {why}; restart it if that file is new"
        if "mismatch" in why:
            return f"its certificate is for another name: {why}; write a name that is in it into {URL_VARIABLE}"
        return f"its certificate is not trusted: {why}; SSL_CERT_FILE names a file with its authority"
    if "SSL" in text or isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        return f"{text}; is it {'http' if url.startswith('https') else 'https'} instead, or somebody else's port?"
    return f"{text}; does the daemon run, and has it an `api:` section?"


def _configured(config: Path, environ: Mapping[str, str], url: str, token: str) -> tuple[str, str, str]:
    """Return URL, token, and the file with the certificate of the daemon that this configuration is of."""
    try:
        settings = load_api(config, environ=environ)
    except ConfigError as error:
        if url:  # somewhere else; only the token is missing
            return url, token, ""
        advice = f"this command asks the running daemon: name its configuration with --config, or set {URL_VARIABLE}"
        raise ClientError(f"{error}\n{advice} and {TOKEN_VARIABLE}", CONFIG) from None
    if settings is None:
        if url:
            return url, token, ""
        advice = f"add `api:` to it, or set {URL_VARIABLE} and {TOKEN_VARIABLE}"
        raise ClientError(f"{config} opens no API, and this command asks the running daemon: {advice}", CONFIG)
    own = _url(settings)
    if url and url.rstrip("/") != own:  # a token of ours is not for anybody else
        return url, token, ""
    return own, token or next(iter(settings.tokens), ""), settings.certificate


def _url(settings: ApiSettings) -> str:
    scheme = "https" if settings.certificate else "http"
    return f"{scheme}://{join_host_port(_ANY.get(settings.host, settings.host), settings.port)}"


def _sentence(answer: httpx.Response) -> str:
    try:
        detail = answer.json()["detail"]
        return str(detail["description"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.request.url} answered {answer.status_code}"
