"""The findings and detector runs of the sample review (`support.sample_review`)."""

from __future__ import annotations

import hashlib

from lapse.domain.reviews import Confidence, Finding, Severity
from lapse.review.model import DetectorRun, RunStatus


def _finding(detector, severity, title, subject, summary, **more):
    defaults = {
        "fingerprint": hashlib.sha256(f"{detector}{subject}".encode()).hexdigest()[:16],
        "detector_version": "1",
        "confidence": Confidence.FACT,
        "would_clear": "The role is held only through a grant with an end.",
        "remediation": "Revoke the membership, and let the holder request it when it is needed.",
        "resource": subject.partition("/")[0],
        "coverage": "memberships: complete; grants: complete",
        "clauses": ("NIST 800-53 AC-6(5)", "ISO 27001 A.8.2"),
    }
    return Finding(
        detector=detector, severity=severity, title=title, subject=subject, summary=summary, **(defaults | more)
    )


FINDINGS = (
    _finding(
        "L6",
        Severity.CRITICAL,
        "failed revocation",
        "pg-prod/writer",
        "mallory.kline still holds `writer` 9 days after the grant ended.",
        principal="mallory.kline",
        remediation="Revoke now: `lapse grant revoke gr_01JC4N6W`, then find out why the target refused.",
        would_clear="The target is seen to refuse mallory.kline as writer.",
        clauses=("NIST 800-53 AC-2(3)(a)", "SOC 2 CC6.3"),
        evidence=(
            {
                "grant_id": "gr_01JC4N6W",
                "account": "mkline",
                "role": "writer",
                "promised_end": "2026-09-21T14:00:00Z",
                "last_seen": "2026-09-30T23:58:11Z",
                "attempts": 211,
                "last_error": "connection refused",
            },
        ),
    ),
    _finding(
        "L2",
        Severity.CRITICAL,
        "out-of-band access",
        "pg-billing/admin",
        "tmp_migration2 holds `admin`, and no grant explains it.",
        remediation="Drop the login tmp_migration2, or bring it under a grant with an end.",
        would_clear="tmp_migration2 is gone, or a grant covers it.",
        clauses=("NIST 800-53 AC-2f", "SOC 2 CC6.2"),
        evidence=(
            {"account": "tmp_migration2", "role": "admin", "first_seen": "2026-08-14T02:11:40Z", "grantor": "postgres"},
            {
                "account": "tmp_migration2",
                "role": "pg_read_all_data",
                "first_seen": "2026-08-14T02:11:41Z",
                "grantor": "postgres",
            },
        ),
    ),
    *(
        _finding(
            "L1",
            Severity.HIGH,
            "standing privilege",
            f"pg-prod/{role}",
            f"{who} holds `{role}` with no end, and it is not on the exception register.",
            principal=who,
            evidence=(
                {
                    "account": who.split(".")[0],
                    "role": role,
                    "via": ["app_owner"] if n % 2 else [],
                    "admin_option": n == 0,
                    "valid_until": None,
                },
            ),
        )
        for n, (who, role) in enumerate(
            [
                ("olga.petrova", "superuser"),
                ("svc-backup", "pg_read_all_data"),
                ("henrik.dahl", "writer"),
                ("ines.moreau", "reader"),
            ]
        )
    ),
    _finding(
        "R1",
        Severity.HIGH,
        "departed holder",
        "pg-analytics/reader",
        "tomas.vega left on 18 Aug 2026 and still has a live login.",
        principal="tomas.vega",
        remediation="Lock tomas.vega, then remove the login.",
        would_clear="The login is gone.",
        clauses=("NIST 800-53 PS-4",),
        evidence=({"account": "tvega", "left_at": "2026-08-18", "days_since": 43, "can_login": True},),
    ),
    _finding(
        "L4",
        Severity.MEDIUM,
        "grant never used",
        "pg-prod/reader",
        "3 grants to ines.moreau were never used.",
        principal="ines.moreau",
        remediation="Ask ines.moreau whether the grants are still needed.",
        would_clear="A use is on record, or no further grant is made.",
        evidence=tuple({"grant_id": f"gr_01JB{n:04}", "hours": 4 + n} for n in range(3)),
    ),
    _finding(
        "C4",
        Severity.MEDIUM,
        "rubber stamp",
        "bob.tran",
        "bob.tran decided 41 of 42 requests with yes, half of them within 6 s.",
        principal="bob.tran",
        resource="",
        confidence=Confidence.ADVICE,
        remediation="Talk with bob.tran, or ask for a second approver.",
        would_clear="The share of quick approvals is near the others'.",
        clauses=("NIST 800-53 AC-6(7)(a)",),
    ),
    _finding(
        "L12",
        Severity.LOW,
        "oversized window",
        "pg-prod/reader",
        "Windows of 8 h are used for 22 min at the median.",
        remediation="Shorten the maximum; see the proposals.",
        would_clear="Used time is at least a quarter of granted time.",
    ),
)


def _run(detector, step, severity, title, question, **more):
    status = more.pop("status", RunStatus.CLEAR)
    return DetectorRun(
        detector=detector,
        version="1",
        title=title,
        question=question,
        severity=severity,
        step=step,
        status=status,
        confidence=Confidence.FACT,
        sql_sha256=hashlib.sha256(detector.encode()).hexdigest(),
        **more,
    )


RUNS = (
    _run(
        "L1",
        2,
        Severity.HIGH,
        "standing privilege",
        "Who holds a role that never ends?",
        status=RunStatus.FOUND,
        findings=4,
        parameters={"exceptions": []},
    ),
    _run(
        "L2",
        2,
        Severity.CRITICAL,
        "out-of-band access",
        "What is on a target that no grant explains?",
        status=RunStatus.FOUND,
        findings=1,
    ),
    _run(
        "L4",
        3,
        Severity.MEDIUM,
        "grant never used",
        "Which grants were not used, although use was fully recorded?",
        status=RunStatus.FOUND,
        findings=1,
        parameters={"minimum_age_hours": 24},
    ),
    _run(
        "L6",
        4,
        Severity.CRITICAL,
        "failed revocation",
        "What is past its end and still there?",
        status=RunStatus.FOUND,
        findings=1,
        parameters={"tolerance_seconds": 60},
    ),
    _run(
        "L7",
        4,
        Severity.CRITICAL,
        "used after its end",
        "Was access used after its end?",
        status=RunStatus.CLEAR,
        caveats=("usage of pg-billing is partial",),
    ),
    _run(
        "L12",
        3,
        Severity.LOW,
        "oversized window",
        "Are windows far longer than use?",
        status=RunStatus.FOUND,
        findings=1,
    ),
    _run(
        "R1", 2, Severity.HIGH, "departed holder", "Who left and still has access?", status=RunStatus.FOUND, findings=1
    ),
    _run(
        "R2",
        2,
        Severity.HIGH,
        "mover",
        "Who changed job after the approval?",
        status=RunStatus.NOT_ASSESSED,
        missing=("identity_history",),
        reason="no history of departments was imported",
    ),
    _run("C1", 4, Severity.CRITICAL, "self-approval", "Did a person approve their own request?"),
    _run(
        "C4",
        4,
        Severity.MEDIUM,
        "rubber stamp",
        "Who approves faster than anybody can read?",
        status=RunStatus.FOUND,
        findings=1,
    ),
    _run("C24", 6, Severity.CRITICAL, "ledger break", "Is the ledger whole?"),
    _run(
        "C15",
        3,
        Severity.HIGH,
        "bad ticket",
        "Is the ticket open, the requester's and about this?",
        status=RunStatus.NOT_ASSESSED,
        missing=("tickets",),
    ),
)
