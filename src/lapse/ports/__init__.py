"""The only interfaces between the pure rooms and the outside. Implementations are chosen in `bootstrap`.

Every implementation, fakes included, passes the contract suite of its port (`tests/contract/`).
"""

from __future__ import annotations

from lapse.ports.basics import Clock, Page, Signer
from lapse.ports.engines import Engine, WritingEngine
from lapse.ports.gateway import (
    Admission,
    Attempt,
    Authority,
    Blobs,
    CancelQuery,
    ControlPlane,
    Cut,
    Decided,
    Order,
    Upstream,
)
from lapse.ports.ledger_store import LedgerStore, NextBatch
from lapse.ports.notices import Notifier
from lapse.ports.policies import Directory, PolicyVersion, Rotas, TicketSource
from lapse.ports.snapshots import SnapshotStore
from lapse.ports.store import Reader, Store, Transaction
from lapse.ports.store_gateway import GatewayReader, GatewayWriter
from lapse.ports.store_reviews import ReviewReader, ReviewWriter
from lapse.ports.targets import Connector
from lapse.protocols.ssh.orders import SshCertificateOrder

__all__ = [
    "Admission",
    "Attempt",
    "Authority",
    "Blobs",
    "CancelQuery",
    "Clock",
    "Connector",
    "ControlPlane",
    "Cut",
    "Decided",
    "Directory",
    "Engine",
    "GatewayReader",
    "GatewayWriter",
    "LedgerStore",
    "NextBatch",
    "Notifier",
    "Order",
    "Page",
    "PolicyVersion",
    "Reader",
    "ReviewReader",
    "ReviewWriter",
    "Rotas",
    "Signer",
    "SnapshotStore",
    "SshCertificateOrder",
    "Store",
    "TicketSource",
    "Transaction",
    "Upstream",
    "WritingEngine",
]
