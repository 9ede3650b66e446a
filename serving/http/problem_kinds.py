"""Every kind of problem that the service answers: the last word of its ``type``, its status, and when it comes."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple


class ProblemKind(NamedTuple):
    """One kind; ``title`` of a problem is the status in words, ``when`` is for the documentation."""

    status: int
    when: str


KINDS = MappingProxyType(
    {
        "malformed-json": ProblemKind(400, "the body is no JSON"),
        "invalid-request": ProblemKind(
            400, "a field is missing, unknown, wrong or given twice; errors has the path of each"
        ),
        "invalid-profile": ProblemKind(400, "the profile does not keep the contract of the tables"),
        "invalid-idempotency-key": ProblemKind(400, "the Idempotency-Key is no text of 1 to 200 visible characters"),
        "unknown-action": ProblemKind(400, "the action was no candidate of the decision; the event is in quarantine"),
        "json-too-deep": ProblemKind(400, "the body nests too many lists and objects"),
        "key-required": ProblemKind(401, "no valid API key"),
        "key-expired": ProblemKind(401, "the time of the API key is over"),
        "token-invalid": ProblemKind(401, "the panel token is not valid"),
        "token-expired": ProblemKind(401, "the time of the panel token is over"),
        "scope-required": ProblemKind(403, "the key or token lacks the scope that the detail names"),
        "token-elsewhere": ProblemKind(403, "the token is for another customer, project or decision"),
        "not-found": ProblemKind(404, "a customer or a path is unknown"),
        "unknown-decision": ProblemKind(404, "no decision has this decision_id; the event is in quarantine"),
        "method-not-allowed": ProblemKind(405, "the path does not answer this method"),
        "event-conflict": ProblemKind(409, "this event_id stands for another event; the event is in quarantine"),
        "request-in-flight": ProblemKind(409, "a request with this Idempotency-Key is not answered yet; try again"),
        "no-history-stored": ProblemKind(409, "the customer's history is not stored, to which events could be added"),
        "no-token-secret": ProblemKind(409, "the service has no secret to sign tokens with"),
        "too-many-ids": ProblemKind(413, "the request names more customers than are answered at once"),
        "body-too-large": ProblemKind(413, "the body is too large"),
        "unsupported-media-type": ProblemKind(415, "the body is not application/json"),
        "idempotency-key-reused": ProblemKind(422, "this Idempotency-Key stands for another request"),
        "rate-limited": ProblemKind(429, "the caller asks more often than it may; try again"),
        "head-too-large": ProblemKind(431, "address and headers are larger than 32 KB"),
        "overloaded": ProblemKind(429, "the service answers as many requests as it can; try again"),
        "internal": ProblemKind(500, "the service failed; the log has the request id"),
        "store-unavailable": ProblemKind(503, "the store does not answer; try again"),
        "store-full": ProblemKind(503, "the disk of the decision log is full; nothing was kept"),
        "not-ready": ProblemKind(503, "the service is not ready; try again"),
        "timeout": ProblemKind(504, "the answer took too long"),
    }
)
"""``about:blank`` of RFC 9457 is never used: every problem has one of these kinds."""
RETRIED = frozenset({409, 429, 503})
"""The statuses with which ``Retry-After`` says when to try again (409: of a request in flight)."""
