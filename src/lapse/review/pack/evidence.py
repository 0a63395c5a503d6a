"""Writes everything that a pack holds but its reports and its manifest, in an order in which each can name the others.

Called by `seal` alone. What a pack holds is decided here; how it is spelled, in the modules that this one calls.
"""

from __future__ import annotations

from pathlib import Path

from lapse.domain.data import Json
from lapse.domain.errors import Corrupt
from lapse.domain.names import shown
from lapse.ledger.checkpoint import key_of
from lapse.ledger.standalone import write_key
from lapse.ports import Signer
from lapse.review.export import examine_document, ocsf_lines, oscal_document, sarif_document
from lapse.review.export.facts import ExportFacts
from lapse.review.frameworks import frameworks_in_scope
from lapse.review.frameworks.documents import framework_documents
from lapse.review.model import TableManifest
from lapse.review.pack import documents, spreadsheet
from lapse.review.pack.contents import PackContents
from lapse.review.pack.folder import PackFolder
from lapse.review.pack.items import write_items
from lapse.review.pack.standalone_container import SAFE_PATH
from lapse.review.pack.standalone_verify import KEY_FILE
from lapse.review.pack.table_files import write_tables
from lapse.review.pack.verifier import verifier_source
from lapse.review.pack.workbook import workbook


def write_evidence(folder: PackFolder, contents: PackContents, signer: Signer) -> dict[str, Json]:
    """Write all of it; what the manifest says of the tree of items.

    Raises:
        Corrupt: a table is not what was collected, or a value cannot be written.
    """
    result = contents.result
    folder.add("README.txt", documents.readme_document(contents))
    folder.add("verify.py", verifier_source().encode())
    folder.add(KEY_FILE, (write_key(key_of(signer)) + "\n").encode())
    for table in result.snapshot.manifest.tables:
        if table.file:
            _copy_table(folder, table, Path(result.snapshot.folder))
    write_tables(folder, result.snapshot.manifest.tables)
    items = write_items(folder, result.items)
    folder.add("review.json", documents.review_document(result, contents.title))
    folder.add("findings.json", documents.findings_document(result))
    folder.stream("findings.csv", spreadsheet.findings_csv(result.findings))
    folder.stream("items.csv", spreadsheet.items_csv(result.items))
    for path, body in documents.policy_documents(contents.policies).items():
        folder.add(path, body)
    if contents.ledger is not None:
        for path, body in documents.ledger_documents(contents.ledger).items():
            folder.add(path, body)
    _write_exports(folder, contents)
    return items


def _write_exports(folder: PackFolder, contents: PackContents) -> None:
    """What other tools read, and the folder of each framework; they name files that are written by now."""
    result, frameworks = contents.result, frameworks_in_scope(contents.result.scope.frameworks)
    facts = ExportFacts(
        title=contents.title,
        made_at=contents.sealed_at,
        product_version=contents.product_version,
        files=dict(folder.files),
    )
    folder.add("workbook.xlsx", workbook(result, frameworks, contents.title, contents.sealed_at))
    folder.add("oscal/assessment-results.json", oscal_document(result, facts))
    folder.stream("ocsf/findings.jsonl", ocsf_lines(result, facts))
    folder.add("sarif/policy.sarif", sarif_document(result, facts))
    there = {*folder.files, "report.html", "manifest.json", "manifest.dsse.json"}
    folder.add("oscal/examine.json", examine_document(there))
    for path, body in framework_documents(result, frameworks, contents.title, there):
        folder.add(path, body)


def _copy_table(folder: PackFolder, table: TableManifest, snapshot: Path) -> None:
    """Copy a table and compare the copy with what was collected."""
    if not SAFE_PATH.fullmatch(table.table) or "/" in table.table:
        raise _changed(table, "its name is not one of an evidence table")
    source = snapshot / table.file
    if source.is_symlink() or not source.resolve().is_relative_to(snapshot.resolve()):
        raise _changed(table, "its file is not in the snapshot's folder")
    try:
        copied = folder.copy(f"tables/{table.table}.parquet", source)
    except FileNotFoundError:
        raise _changed(table, "its file is gone") from None
    if copied.sha256 != table.sha256:
        raise _changed(table, "its file was changed since it was collected")


def _changed(table: TableManifest, what: str) -> Corrupt:
    return Corrupt(f"evidence table `{shown(table.table)}` cannot be sealed: {what}", hint="collect the review again")
