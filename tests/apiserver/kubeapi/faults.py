# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong, said in sentences: on the control socket and in scenario files.

Faults of answers are for all requests, or those of a VERB (list watch get create update patch delete), RESOURCE
(plural), USER=name, CLIENT=address, each where it is said; TIMES is "once", "3 times", "for 10 s" or nothing (until
"clear"). The SENTENCES below are all that is understood.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field

from .rbac import Asked, User
from .status import REASONS, ApiError, failure
from .wire import Cut, Request, Sink

VERBS = ("list", "watch", "get", "create", "update", "patch", "delete", "any")
NUMBER = r"(\d+(?:\.\d+)?)"


def seconds(text: str) -> float:
    """"2", "2 s", "500 ms", "1 min"."""
    number, unit = re.fullmatch(NUMBER + r"\s*(ms|s|min)?", text.strip()).groups()
    return float(number) * {"ms": 0.001, "min": 60}.get(unit, 1)


@dataclass
class Fault:
    """Something that happens to answers."""
    kind: str
    text: str
    verb: str = "any"
    resource: str = ""
    user: str = ""
    client: str = ""
    after: int = 0              # bytes of the body
    rate: float = 0             # bytes per second
    delay: float = 0
    how: str = "abruptly"       # of a cut: abruptly (no close_notify), reset (RST), orderly (close_notify)
    status: int = 0
    message: str = ""
    retry_after: int | None = None
    times: int | None = None
    until: float | None = None
    hits: int = 0
    spent: dict = field(default_factory=dict)

    def over(self) -> bool:
        return self.times is not None and self.hits >= self.times or \
            self.until is not None and time.monotonic() >= self.until

    def matches(self, request: Request, wanted: Asked, user: User | None) -> bool:
        return (self.verb in ("any", wanted.verb) and self.resource in ("", wanted.resource.split("/")[0])
                and (not self.user or user is not None and user.name == self.user)
                and (not self.client or request.client == self.client))

    async def before(self, sink: Sink) -> bool:
        """Acts before the request is looked at; true: there will be no other answer."""
        if self.kind == "delay":
            await asyncio.sleep(self.delay)
        elif self.kind == "hang":
            await sink.gone.wait()
            raise Cut("hung")
        elif self.kind == "answer":
            raise self._error()
        elif self.kind == "garbage":
            await sink.answer(200, {"Content-Type": "text/html"}, [b"<html>Welcome to the hotel's network</html>\n"])
            return True
        return False

    def _error(self) -> ApiError:
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.message:
            return ApiError(self.status, self.message + "\n", {**headers, "X-Content-Type-Options": "nosniff"})
        details = {"retryAfterSeconds": self.retry_after} if self.retry_after is not None else {}
        return ApiError(self.status, failure(self.status, f"scripted {self.status}", REASONS.get(self.status), details),
                        headers)

    async def send(self, sink: Sink, piece):
        """A piece of an answer, as the fault lets it through."""
        head = min(sink.uncounted, len(piece))
        sink.uncounted -= head
        if self.kind == "slow":
            await self._slowly(sink, piece)
            return
        sent = self.spent.get(id(sink), 0)
        room = self.after - sent
        if self.kind not in ("cut", "stall") or len(piece) - head < room:
            self.spent[id(sink)] = sent + len(piece) - head
            await sink.send(piece)
            return
        await sink.send(piece[:head + room])
        self.spent.pop(id(sink), None)
        if self.kind == "stall":
            await sink.gone.wait()
            raise Cut("stalled")
        await self._cut(sink)

    async def _slowly(self, sink: Sink, piece):
        step = max(1, int(self.rate / 20))
        for i in range(0, len(piece), step):
            await sink.send(piece[i:i + step])
            await asyncio.sleep(len(piece[i:i + step]) / self.rate)

    async def _cut(self, sink: Sink):
        if self.how == "orderly":
            sink.connection.close()
        elif sink.request.protocol == "HTTP/2.0" and self.how == "stream":
            pass
        else:
            sink.connection.abort(self.how == "reset")
        raise Cut("cut by a fault")


# -- sentences

_SCOPE = r"(?P<scope>(?:\s+[\w.*=:/@-]+)*?)"
_TIMES = r"(?:\s+(?P<once>once)|\s+(?P<times>\d+) times|\s+for (?P<span>\d+(?:\.\d+)?\s*(?:ms|s|min)))?"
SENTENCES = (
    ("cut", rf"cut{_SCOPE} after (?P<after>\d+) bytes(?:\s+(?P<how>orderly|abruptly|reset|stream))?{_TIMES}"),
    ("stall", rf"stall{_SCOPE} after (?P<after>\d+) bytes{_TIMES}"),
    ("slow", rf"slow{_SCOPE} to (?P<rate>\d+) bytes/s{_TIMES}"),
    ("delay", rf"delay{_SCOPE} by (?P<delay>[\d.]+\s*(?:ms|s|min)?){_TIMES}"),
    ("hang", rf"hang{_SCOPE}{_TIMES}"),
    ("garbage", rf"garbage{_SCOPE}{_TIMES}"),
    ("answer", rf"answer (?P<status>\d\d\d)(?:\s+\"(?P<message>[^\"]*)\")?(?: to{_SCOPE})?"
               rf"(?:\s+retry after (?P<retry>\d+) s)?{_TIMES}"),
)
ACTIONS = (
    ("clear", r"clear(?: faults)?"),
    ("expire", r"expire(?: resourceVersions)?(?: of (?P<of>[\w ,]+))?"),
    ("expire_tokens", r"expire continue tokens"),
    ("refuse", r"refuse connections"),
    ("accept", r"accept connections"),
    ("freeze", r"half-open"),
    ("thaw", r"thaw"),
    ("close", r"close connections(?: (?P<how>orderly|abruptly|reset))?"),
    ("end_watches", r"end watches(?: of (?P<of>[\w ,]+))?"),
    ("error_event", r"error (?P<status>\d\d\d) in watches(?: of (?P<of>[\w ,]+))?"),
    ("go_away", r"goaway"),
    ("stop", r"stop(?: (?P<how>orderly|abruptly))?"),
    ("start", r"start(?P<fresh> with new history)?(?: (?:with )?403 for (?P<forbid>[\d.]+\s*(?:ms|s)))?"),
    ("restart", r"restart(?P<fresh> with new history)?(?: after (?P<pause>[\d.]+\s*(?:ms|s)))?"
                r"(?: (?:with )?403 for (?P<forbid>[\d.]+\s*(?:ms|s)))?"),
    ("forbid", r"403 for (?P<span>[\d.]+\s*(?:ms|s))"),
    ("revoke", r"revoke token (?P<what>\S+)"),
    ("token", r"add token (?P<token>\S+) of (?P<what>\S+)(?: groups (?P<groups>\S+))?"),
    ("http2", r"http2 (?P<switch>on|off)"),
    ("watch_list", r"watchlist (?P<switch>on|off)"),
    ("shuffle", r"shuffle (?P<switch>on|off)"),
    ("lag", r"lag (?P<of>\w+) by (?P<span>[\d.]+\s*(?:ms|s)?)"),
    ("bookmarks", r"bookmarks every (?P<span>[\d.]+\s*(?:ms|s|min)?)"),
    ("uninstall", r"uninstall (?P<of>[\w ,]+)"),
    ("install", r"install (?P<of>[\w ,]+)"),
    ("reinitialize", r"change CRD of (?P<of>\w+)"),
    ("load", r"load (?P<path>\S+)"),
    ("touch", r"touch (?P<of>\w+)(?: (?P<times>\d+))?"),
    ("churn", r"churn (?P<of>\w+) (?P<rate>[\d.]+)/s for (?P<span>[\d.]+\s*(?:ms|s|min)?)"),
    ("wait", r"wait (?P<span>[\d.]+\s*(?:ms|s|min)?)"),
)


class Unclear(ValueError):
    """Not one of the sentences."""


def understand(text: str) -> tuple[str, object]:
    """("fault", Fault) or (action, its words)."""
    text = " ".join(text.split())
    for kind, pattern in SENTENCES:
        match = re.fullmatch(pattern, text)
        if match:
            return "fault", _fault(kind, text, match.groupdict())
    for name, pattern in ACTIONS:
        match = re.fullmatch(pattern, text)
        if match:
            return name, match.groupdict()
    raise Unclear(f"not understood: {text!r}")


def _fault(kind: str, text: str, words: dict) -> Fault:
    made = Fault(kind, text)
    for word in (words.get("scope") or "").split():
        name, equals, value = word.partition("=")
        if equals and name in ("user", "client"):
            setattr(made, name, value)
        elif word in VERBS:
            made.verb = word
        elif re.fullmatch(r"[a-z]+", word) and not made.resource:
            made.resource = word
        else:
            raise Unclear(f"not understood: {word!r} in {text!r}")
    for name, convert in (("after", int), ("rate", float), ("delay", seconds), ("status", int), ("message", str), ("how", str)):
        if words.get(name):
            setattr(made, name, convert(words[name]))
    if words.get("retry"):
        made.retry_after = int(words["retry"])
    if words.get("once"):
        made.times = 1
    elif words.get("times"):
        made.times = int(words["times"])
    elif words.get("span"):
        made.until = time.monotonic() + seconds(words["span"])
    return made
