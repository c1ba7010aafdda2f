//! Writes the ledger: rows into lines of a quarter-hour each, the list of meters that their columns go by, and how a row
//! stands to those before it.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use rules::{
    book::{BookRow, Context, Entry, Line, MeterList, Posting, Standing},
    calendar::Span,
    chain::Hash,
    ledger::{LedgerRow, accounts_of},
    plant::Plant,
};
use rusqlite::{Connection, OptionalExtension, Transaction};

use crate::{
    heads::{Fault, Heads},
    journal::trusted_wall,
    record::{Catalog, Stamp},
};

/// What has to be known to write the next line. All of it follows from the lines before and the catalog.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bookkeeper {
    /// The catalog in force, and what has an account in its plant.
    catalog: Option<(Hash, Vec<Arc<str>>)>,
    context: Context,
    /// Catalog of the newest list, and the month that it was written in or for.
    listed: Option<(Hash, (i32, u32))>,
    /// Periods of which a report was sealed.
    sealed: Vec<Span>,
}

impl Bookkeeper {
    pub(crate) fn open(connection: &Connection, heads: &Heads) -> Result<Self, Fault> {
        let mut keeper = Self::default();
        let newest = "SELECT sha256, body FROM catalog ORDER BY seq DESC LIMIT 1";
        let catalog: Option<(String, String)> =
            connection.query_row(newest, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        if let Some((sha256, body)) = catalog
            && let (Ok(sha256), Ok(catalog)) =
                (sha256.parse(), serde_json::from_str::<Catalog>(&body))
        {
            keeper.catalog(sha256, &catalog.plant);
        }
        let list = "SELECT max(line) FROM ledger WHERE start IS NULL AND entry = 'meters'";
        let list: Option<i64> = connection.query_row(list, [], |row| row.get(0))?;
        // The list in force, and the last line with the one before it, for the readings that it ends with.
        let lines = heads.ledger.lines.cast_signed();
        let mut wanted: Vec<i64> = list.into_iter().chain([lines - 1, lines]).collect();
        wanted.sort_unstable();
        wanted.dedup();
        for line in wanted {
            let body: Option<String> = connection
                .query_row("SELECT body FROM ledger WHERE line = ?1", [line], |row| row.get(0))
                .optional()?;
            if let Some(Ok(line)) = body.map(|body| Line::read(&body)) {
                keeper.take(&line);
            }
        }
        let sql = "SELECT body FROM ledger WHERE start IS NULL AND entry = 'seal'";
        let mut statement = connection.prepare(sql)?;
        let bodies = statement.query_map([], |row| row.get::<_, String>(0))?;
        for body in bodies {
            if let Ok(Line { entry: Entry::Posting(Posting::Seal(seal)), .. }) = Line::read(&body?)
            {
                keeper.sealed.push(Span { from: seal.from, to: seal.to });
            }
        }
        Ok(keeper)
    }

    /// Another catalog is in force.
    pub(crate) fn catalog(&mut self, sha256: Hash, plant: &Plant) {
        let names = accounts_of(plant).map(|asset| Arc::clone(&plant.asset(asset).name));
        self.catalog = Some((sha256, names.collect()));
    }

    /// Takes in a line that was written.
    pub(crate) fn take(&mut self, line: &Line) {
        // A line that does not fit is one for an audit: what follows it stands by itself.
        if let Err(fault) = self.context.take(line) {
            tracing::warn!("line {} of the ledger {fault}", line.line);
        }
        match &line.entry {
            Entry::Meters(list) => {
                self.listed = Some((list.catalog, line.recorded.map_or((0, 0), month)));
            }
            Entry::Posting(Posting::Seal(seal)) => {
                self.sealed.push(Span { from: seal.from, to: seal.to });
            }
            Entry::Quarter(_) | Entry::Posting(_) => {}
        }
    }

    /// Writes the rows of one quarter-hour, with the list of meters before them where it is due.
    pub(crate) fn write_rows(
        &mut self,
        transaction: &Transaction<'_>,
        heads: &mut Heads,
        stamp: &Stamp,
        rows: &[LedgerRow],
    ) -> Result<(), Fault> {
        let Some(first) = rows.first() else { return Ok(()) };
        self.list_meters(transaction, heads, stamp)?;
        let earlier = earlier(transaction, first.start)?;
        let late = self.sealed.iter().any(|sealed| sealed.contains(first.start));
        let standing = |row: &LedgerRow| match earlier.get(&row.meter) {
            None if late => Standing::Late,
            None => Standing::First,
            Some(earlier) if earlier == row => Standing::Repeated,
            Some(_) => Standing::Differing,
        };
        let rows = rows.iter().map(|row| BookRow { standing: standing(row), row: row.clone() });
        let quarter = self.context.write(heads.ledger.lines + 1, rows.collect());
        self.add(transaction, heads, stamp, Entry::Quarter(quarter))
    }

    pub(crate) fn post(
        &mut self,
        transaction: &Transaction<'_>,
        heads: &mut Heads,
        stamp: &Stamp,
        posting: &Posting,
    ) -> Result<(), Fault> {
        self.add(transaction, heads, stamp, Entry::Posting(posting.clone()))
    }

    /// A list is written for every catalog and every month, so that whoever reads a period finds one near it.
    fn list_meters(
        &mut self,
        transaction: &Transaction<'_>,
        heads: &mut Heads,
        stamp: &Stamp,
    ) -> Result<(), Fault> {
        let (catalog, names) = self.catalog.clone().unwrap_or((Hash::of(b""), Vec::new()));
        let due = (catalog, trusted_wall(stamp).map_or((0, 0), month));
        if self.listed == Some(due) {
            return Ok(());
        }
        self.add(transaction, heads, stamp, Entry::Meters(MeterList { catalog, names }))
    }

    fn add(
        &mut self,
        transaction: &Transaction<'_>,
        heads: &mut Heads,
        stamp: &Stamp,
        entry: Entry,
    ) -> Result<(), Fault> {
        let line = Line {
            line: heads.ledger.lines + 1,
            seq: stamp.seq.0,
            boot: stamp.boot,
            recorded: trusted_wall(stamp),
            entry,
        };
        let body = line.clone().body()?;
        heads.add_line(transaction, stamp.seq, &body)?;
        self.take(&line);
        Ok(())
    }
}

/// The rows that count already for a quarter-hour.
fn earlier(
    transaction: &Transaction<'_>,
    start: DateTime<Utc>,
) -> Result<BTreeMap<Arc<str>, LedgerRow>, Fault> {
    let mut statement = transaction.prepare_cached(
        "SELECT body FROM ledger WHERE start = ?1 UNION ALL
         SELECT body FROM ledger WHERE line IN (SELECT meters FROM ledger WHERE start = ?1)
         UNION ALL SELECT body FROM ledger WHERE line IN (SELECT line - 1 FROM ledger WHERE start = ?1)",
    )?;
    let mut found = statement.query([start_text(start)])?;
    let mut lines = BTreeMap::new();
    while let Some(row) = found.next()? {
        let body = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        if let Ok(line) = Line::read(body) {
            lines.insert(line.line, line);
        }
    }
    let mut context = Context::default();
    let mut rows = BTreeMap::new();
    for line in lines.values() {
        for BookRow { standing, row } in context.rows(line).unwrap_or_default() {
            if standing.counts() && row.start == start {
                rows.insert(Arc::clone(&row.meter), row);
            }
        }
    }
    Ok(rows)
}

fn month(at: DateTime<Utc>) -> (i32, u32) {
    (at.year(), at.month())
}

/// A start as the column has it.
pub(crate) fn start_text(start: DateTime<Utc>) -> String {
    start.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
