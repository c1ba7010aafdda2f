//! What journal and ledger remember when the log with the last checkpoint is gone: letters, occurrences and answered
//! commands survive, delays do not.

use chrono::DateTime;
use rules::{
    book::{Context, Line},
    ledger::LedgerRow,
    time::{Mono, Trust},
};

use crate::{
    error::StoreError,
    journal::{Entry, JournalBody, JournalLine},
    ledger_db::LedgerDb,
    record::{Record, Seq, Stamp, Stamped},
};

/// So many of the last lines of the journal are recalled whatever they are about: commands may be asked for again.
const LAST_LINES: u64 = 1000;
/// And of the ledger: the last intervals of every meter that was read within a day.
const LAST_QUARTERS: u64 = 96;

/// The last transition of every alarm and the last lines of journal and ledger, of records before `end`, in order.
pub(crate) fn recall(db: &LedgerDb, end: Seq) -> Result<Vec<Stamped>, StoreError> {
    let failed = StoreError::database(db.path());
    let mut recalled = Vec::new();
    let sql = "SELECT line, body, hash FROM journal
               WHERE line > ?1 OR line IN (
                   SELECT max(line) FROM journal WHERE entry = 'event' AND kind = 'moved' GROUP BY alarm)
               ORDER BY line";
    let from = |lines: u64, last| lines.saturating_sub(last).cast_signed();
    let mut statement = db.connection.prepare(sql).map_err(&failed)?;
    let mut rows = statement.query([from(db.heads.journal.lines, LAST_LINES)]).map_err(&failed)?;
    while let Some(row) = rows.next().map_err(&failed)? {
        let (line, body): (i64, String) =
            row.get(0).and_then(|line| Ok((line, row.get(1)?))).map_err(&failed)?;
        let hash: String = row.get(2).map_err(&failed)?;
        // A line that cannot be understood is one for an audit, not one to fail a start on.
        let Ok(hash) = hash.parse() else { continue };
        let read = serde_json::from_str::<JournalBody>(&body).and_then(|body| body.into_line(hash));
        match read {
            Ok(line) => recalled.extend(journal_record(line)),
            Err(fault) => tracing::warn!("journal line {line} is not recalled: {fault}"),
        }
    }
    recalled
        .extend(ledger_records(db, from(db.heads.ledger.lines, LAST_QUARTERS)).map_err(&failed)?);
    recalled.retain(|record| record.stamp.seq < end);
    recalled.sort_by_key(|record| record.stamp.seq);
    Ok(recalled)
}

fn journal_record(line: JournalLine) -> Option<Stamped> {
    let JournalLine { seq, boot, at: mono, wall, .. } = line;
    let trust = if wall.is_some() { Trust::Synchronised } else { Trust::Untrusted };
    let stamp = Stamp { seq, boot, mono, wall: wall.unwrap_or(DateTime::UNIX_EPOCH), trust };
    let record = match line.entry {
        Entry::Event(event) => Record::Event(event),
        Entry::Command { command, outcome } => Record::Command(command, outcome),
        Entry::Catalog { .. } => return None,
    };
    Some(Stamped { stamp, record })
}

fn ledger_records(db: &LedgerDb, after: i64) -> rusqlite::Result<Vec<Stamped>> {
    let sql = "SELECT body FROM ledger WHERE line > ?1 OR line = (
                   SELECT max(line) FROM ledger WHERE start IS NULL AND entry = 'meters') ORDER BY line";
    let mut statement = db.connection.prepare(sql)?;
    let bodies = statement.query_map([after], |row| row.get::<_, String>(0))?;
    let mut context = Context::default();
    let mut records = Vec::new();
    for body in bodies {
        let body = body?;
        let Ok(line) = Line::read(&body) else { continue };
        let rows = context.rows(&line).unwrap_or_default().into_iter();
        let rows: Vec<LedgerRow> =
            rows.filter(|row| row.standing.counts()).map(|row| row.row).collect();
        if !rows.is_empty() {
            records.push(Stamped { stamp: stamp(&line), record: Record::Ledger(rows) });
        }
    }
    Ok(records)
}

/// The stamp of its record, as far as it is known: a line tells of wall time only.
fn stamp(line: &Line) -> Stamp {
    let trusted = line.recorded.is_some();
    Stamp {
        seq: Seq(line.seq),
        boot: line.boot,
        mono: Mono::ZERO,
        wall: line.recorded.unwrap_or(DateTime::UNIX_EPOCH),
        trust: if trusted { Trust::Synchronised } else { Trust::Untrusted },
    }
}
