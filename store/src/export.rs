//! Lines of journal and ledger as files that outlast the gateway: one line of text for a line of the table, with the
//! hash chain, so that the file can be checked by itself.
//!
//! ```text
//! {"chain":"ledger","format":1,"year":2026,"first":1201,"last":36240,"follows":"9f3c…"}
//! {"hash":"77d0…","body":{"line":1201,…}}
//! ```

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use rules::{
    book::{Entry, Posting},
    calendar::Span,
    chain::{Broken, Chain, Hash, Misfit},
    ledger::INTERVAL,
};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::{
    bookkeeper::start_text,
    error::StoreError,
    ledger_db::{JOURNAL, LEDGER},
    reader::{ChainState, Reader},
};

const FORMAT: u32 = 1;
/// No line is longer: one of a thousand meters has a hundredth of it. A broken file must not take all memory.
const LINE_BYTES_MAX: u64 = 16 << 20;
/// Around hash and body of a line. The bytes between the last two are those that the hash covers.
const BEFORE_HASH: &str = r#"{"hash":""#;
const BEFORE_BODY: &str = r#"","body":"#;
const BEHIND_BODY: &str = "}";

/// The first line of an exported file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    chain: String,
    format: u32,
    /// In UTC, where it is the lines of a year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    year: Option<i32>,
    first: u64,
    last: u64,
    /// The hash of the line before the first.
    follows: Hash,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    pub path: PathBuf,
    /// Its last line, to be noted elsewhere.
    pub end: Chain,
}

/// What differs between journal and ledger.
struct Table {
    name: &'static str,
    /// Gives the first and the last line of `[?1, ?2)`.
    range: &'static str,
    lines: &'static str,
}

const TABLES: [Table; 2] = [
    Table {
        name: JOURNAL,
        range: "SELECT min(line), max(line) FROM journal WHERE filed >= ?1 AND filed < ?2",
        lines: "SELECT line, body, hash FROM journal WHERE line BETWEEN ?1 AND ?2 ORDER BY line",
    },
    Table {
        name: LEDGER,
        // From the list of meters that the first quarter-hour goes by.
        range: "SELECT min(min(line), min(meters)), max(line) FROM ledger WHERE start >= ?1 AND start < ?2",
        lines: "SELECT line, body, hash FROM ledger WHERE line BETWEEN ?1 AND ?2 ORDER BY line",
    },
];

impl Reader {
    /// Writes journal and ledger of a year, in UTC, to `journal-2026.jsonl` and `ledger-2026.jsonl` in a folder. A file has
    /// all lines from the first to the last one of its year, so that they form a chain; without lines there is no file.
    ///
    /// # Errors
    /// When the folder cannot be written to, or a line does not fit its chain.
    pub fn export_year(&self, year: i32, into: &Path) -> Result<Vec<Exported>, StoreError> {
        fs::create_dir_all(into).map_err(|fault| StoreError::io("make", into, fault))?;
        let files = TABLES.iter().map(|table| self.export(table, year, into));
        files.filter_map(Result::transpose).collect()
    }

    fn export(
        &self,
        table: &Table,
        year: i32,
        into: &Path,
    ) -> Result<Option<Exported>, StoreError> {
        let pool = self.pool();
        let failed = StoreError::database(pool.path());
        pool.ask(|connection| {
            let connection = connection.unchecked_transaction().map_err(&failed)?;
            let bounds = [format!("{year:04}"), format!("{:04}", year + 1)];
            let range = connection.query_row(table.range, bounds, |row| {
                Ok(row.get::<_, Option<i64>>(0)?.zip(row.get::<_, Option<i64>>(1)?))
            });
            let Some((first, last)) = range.map_err(&failed)? else { return Ok(None) };
            let header = header(&connection, table, Some(year), (first, last)).map_err(&failed)?;
            let path = into.join(format!("{}-{year}.jsonl", table.name));
            let next = path.with_extension("next");
            let refused = |fault: io::Error| StoreError::io("write", &next, fault);
            let mut file = BufWriter::new(File::create(&next).map_err(refused)?);
            let end = write(&connection, table, &header, (&mut file, &next), &failed)?;
            file.flush().and_then(|()| file.get_ref().sync_all()).map_err(refused)?;
            let moved = fs::rename(&next, &path).and_then(|()| File::open(into)?.sync_all());
            moved.map_err(|fault| StoreError::io("write", &path, fault))?;
            Ok(Some(Exported { path, end }))
        })
    }

    /// Writes, in the same format, all lines of the ledger from the first one that a period follows from up to `last`, and
    /// gives the number of the first. `None`, with nothing written, when no line is about the period. `path` is where `into`
    /// leads, for errors.
    ///
    /// # Errors
    /// When it cannot be written, or a line does not fit its chain.
    pub fn export_ledger(
        &self,
        period: Span,
        last: u64,
        (into, path): (&mut impl Write, &Path),
    ) -> Result<Option<u64>, StoreError> {
        let corrected = self.first_correction(period)?;
        let pool = self.pool();
        let failed = StoreError::database(pool.path());
        let [_, table] = &TABLES;
        pool.ask(|connection| {
            let connection = connection.unchecked_transaction().map_err(&failed)?;
            let bounds = [start_text(period.from - INTERVAL), start_text(period.to)];
            let counted: Option<i64> =
                connection.query_row(table.range, bounds, |row| row.get(0)).map_err(&failed)?;
            let first = counted.into_iter().chain(corrected.map(u64::cast_signed)).min();
            let Some(first) = first.filter(|first| *first <= last.cast_signed()) else {
                return Ok(None);
            };
            let range = (first, last.cast_signed());
            let header = header(&connection, table, None, range).map_err(&failed)?;
            write(&connection, table, &header, (into, path), &failed)?;
            Ok(Some(header.first))
        })
    }

    /// The first line that corrects something in a period.
    fn first_correction(&self, period: Span) -> Result<Option<u64>, StoreError> {
        let touches = |start: DateTime<Utc>, quarters: usize| {
            let length = i32::try_from(quarters).map(|quarters| INTERVAL * quarters);
            start < period.to && length.is_ok_and(|length| period.from < start + length)
        };
        let lines = self.posted("correction")?;
        Ok(lines.into_iter().find_map(|line| match &line.entry {
            Entry::Posting(Posting::Correction(correction)) => {
                touches(correction.start, correction.amounts.len()).then_some(line.line)
            }
            _ => None,
        }))
    }
}

fn header(
    connection: &Connection,
    table: &Table,
    year: Option<i32>,
    (first, last): (i64, i64),
) -> rusqlite::Result<Header> {
    let mut before = Chain::empty(table.name);
    if first > 1 {
        let sql = format!("SELECT hash FROM {} WHERE line = ?1", table.name);
        let hash: String = connection.query_row(&sql, [first - 1], |row| row.get(0))?;
        // A hash that is none fits no line, which is found out at the first one.
        before.head = hash.parse().unwrap_or(before.head);
    }
    let chain = table.name.to_owned();
    let (first, last) = (first.cast_unsigned(), last.cast_unsigned());
    Ok(Header { chain, format: FORMAT, year, first, last, follows: before.head })
}

/// Gives the chain up to the last line.
fn write(
    connection: &Connection,
    table: &Table,
    header: &Header,
    (file, path): (&mut impl Write, &Path),
    failed: &impl Fn(rusqlite::Error) -> StoreError,
) -> Result<Chain, StoreError> {
    let refused = |fault: io::Error| StoreError::io("write", path, fault);
    let mut chain = Chain { lines: header.first - 1, head: header.follows };
    let text = serde_json::to_string(header).map_err(StoreError::Unwritable)?;
    writeln!(file, "{text}").map_err(refused)?;
    let mut statement = connection.prepare(table.lines).map_err(failed)?;
    let range = params![header.first.cast_signed(), header.last.cast_signed()];
    let mut rows = statement.query(range).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let line = row.get::<_, i64>(0).map_err(failed)?.cast_unsigned();
        let (body, hash): (String, String) =
            row.get(1).and_then(|body| Ok((body, row.get(2)?))).map_err(failed)?;
        let altered = Broken { line, why: Misfit::Altered };
        let taken = hash
            .parse()
            .map_err(|_| altered)
            .and_then(|hash| chain.take(line, body.as_bytes(), hash));
        taken.map_err(|source| StoreError::Chain { table: table.name, source })?;
        writeln!(file, "{BEFORE_HASH}{hash}{BEFORE_BODY}{body}{BEHIND_BODY}").map_err(refused)?;
    }
    Ok(chain)
}

/// Checks an exported file by itself, and tells how far its lines fit.
///
/// # Errors
/// When the file cannot be read or is no such file.
pub fn check_export(path: &Path) -> Result<ChainState, StoreError> {
    let refused = |fault| StoreError::io("read", path, fault);
    let file = BufReader::new(File::open(path).map_err(refused)?);
    let lines = ExportLines::open(file).map_err(refused)?;
    let mut lines = lines.ok_or_else(|| StoreError::NoExport { path: path.to_owned() })?;
    loop {
        let broken = match lines.next_line().map_err(refused)? {
            Some(Ok(_)) => continue,
            Some(Err(broken)) => Some(broken),
            None => None,
        };
        return Ok(ChainState { fits: lines.fits(), broken });
    }
}

/// Reads an exported file line by line, and checks each against the one before it.
#[derive(Debug)]
pub struct ExportLines<R> {
    from: R,
    header: Header,
    fits: Chain,
    /// The line that was read last, as it stands in the file.
    text: Vec<u8>,
}

impl<R: BufRead> ExportLines<R> {
    /// `None` when it is no exported file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(mut from: R) -> io::Result<Option<Self>> {
        let mut text = Vec::new();
        // A header is far shorter.
        from.by_ref().take(4096).read_until(b'\n', &mut text)?;
        let header: Option<Header> = serde_json::from_slice(&text).ok();
        let header = header.filter(|header| header.format == FORMAT && header.first > 0);
        Ok(header.map(|header| {
            let fits = Chain { lines: header.first - 1, head: header.follows };
            Self { from, header, fits, text }
        }))
    }

    /// Up to the last line that was read and fits.
    pub fn fits(&self) -> Chain {
        self.fits
    }

    /// The next line's number and body, or what is wrong with it; `None` behind the last.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<Result<(u64, &str), Broken>>> {
        let line = self.fits.lines + 1;
        let altered = Broken { line, why: Misfit::Altered };
        if line == 1 && self.fits != Chain::empty(&self.header.chain) {
            return Ok(Some(Err(altered)));
        }
        self.text.clear();
        self.from.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut self.text)?;
        if self.text.is_empty() {
            let missing = Broken { line, why: Misfit::Missing };
            return Ok((self.fits.lines != self.header.last).then_some(Err(missing)));
        }
        let text = std::str::from_utf8(&self.text).ok();
        let Some((hash, body)) = text.and_then(|text| parts(text.trim_end_matches('\n'))) else {
            return Ok(Some(Err(altered)));
        };
        if line > self.header.last {
            return Ok(Some(Err(altered)));
        }
        Ok(Some(self.fits.take(line, body.as_bytes(), hash).map(|()| (line, body))))
    }
}

fn parts(text: &str) -> Option<(Hash, &str)> {
    let (hash, rest) = text.strip_prefix(BEFORE_HASH)?.split_at_checked(64)?;
    let body = rest.strip_prefix(BEFORE_BODY)?.strip_suffix(BEHIND_BODY)?;
    Some((hash.parse().ok()?, body))
}
