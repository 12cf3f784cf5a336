//! The audit log's table: records by their number, appended in the transaction of the entries that they are about.
//!
//! Each is sealed with its number, as entries are with theirs. Nothing changes one; the oldest go when there are more than
//! the bound. A damaged record is an error of whoever reads it and of nobody else: the ledger does not depend on it.
//! What a record says is for others: here it is bytes with a number.

use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};

use super::{Embedded, Error, Numbered, record};
use crate::limits;

/// Records by number.
pub(super) const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit");

/// Appends to the log, and drops what is beyond the bound.
pub(super) fn append(transaction: &WriteTransaction, records: &[Vec<u8>]) -> Result<(), redb::Error> {
    if records.is_empty() {
        return Ok(());
    }
    let mut table = transaction.open_table(TABLE)?;
    let mut number = table.last()?.map_or(0, |(number, _)| number.value());
    for payload in records {
        number += 1;
        table.insert(number, record::seal(number, payload).as_slice())?;
    }
    while table.len()? > limits::MAX_AUDIT_RECORDS {
        table.pop_first()?;
    }
    Ok(())
}

impl Embedded {
    /// Records below `before`, newest first.
    pub(super) fn read_audit(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Result<Vec<Numbered>, Error>, redb::Error> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(TABLE)?;
        let mut records = Vec::new();
        for stored in table.range(..before.unwrap_or(u64::MAX))?.rev().take(limit) {
            let (number, bytes) = stored?;
            match self.opened(number.value(), bytes.value()) {
                Ok(payload) => records.push((number.value(), payload)),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(records))
    }

    /// Puts records of a backup under the numbers they had.
    pub(super) fn put_audit(&self, records: &[Numbered]) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for (number, payload) in records {
                table.insert(*number, record::seal(*number, payload).as_slice())?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}
