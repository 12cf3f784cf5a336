//! What is read from the journal while the loop runs: pages of the audit log, and everything at once for a backup.
//!
//! The loop reads between two commits, because it alone holds the journal; so a page is bounded in what is looked at for
//! it, and a copy is made of the state that is in memory, which is what the last commit made durable. While a large ledger
//! is written as JSON nothing else is decided: tenths of a second for tens of thousands of volumes.

use ferry_core::{AuditRecord, Core};

use super::{AuditPage, AuditQuery, Error, EventLoop, LedgerCopy};
use crate::{
    journal::{self, Journal},
    limits,
};

impl EventLoop {
    /// A page of the audit log.
    pub(super) fn audit_page(&mut self, query: &AuditQuery) -> Result<AuditPage, journal::Error> {
        let mut page = AuditPage::default();
        let mut before = query.before;
        let mut looked_at = 0;
        // A query without a filter takes every record that it reads.
        let chunk = if query.migration.is_some() { limits::MAX_AUDIT_PAGE as usize } else { query.limit };
        while page.records.len() < query.limit && looked_at < limits::MAX_AUDIT_LOOKED_AT {
            let read = self.journal.audit(before, chunk)?;
            looked_at += read.len();
            let last = read.len() < chunk;
            for (number, bytes) in read {
                before = Some(number);
                let record =
                    serde_json::from_slice::<AuditRecord>(&bytes).unwrap_or_else(|error| AuditRecord {
                        message: format!("not understood by this version: {error}"),
                        ..AuditRecord::default()
                    });
                if query.migration.is_none() || record.migration == query.migration {
                    page.records.push((number, record));
                }
                if page.records.len() == query.limit {
                    break;
                }
            }
            if last && page.records.len() < query.limit {
                return Ok(page);
            }
        }
        page.next_before = before.filter(|number| *number > 1);
        Ok(page)
    }

    /// The state and the audit log as the last commit left them.
    pub(super) fn copy(&mut self) -> Result<LedgerCopy, Error> {
        copy(&self.core, self.journal.as_mut())
    }
}

/// A core's state, and the audit log of the journal that it came from.
pub fn copy(core: &Core, journal: &mut dyn Journal) -> Result<LedgerCopy, Error> {
    let limit = usize::try_from(limits::MAX_AUDIT_RECORDS).unwrap_or(usize::MAX);
    let mut audit = journal.audit(None, limit)?;
    audit.reverse();
    let state = serde_json::to_vec(core.state())?;
    Ok(LedgerCopy { state, generation: core.state().generation(), audit })
}
