//! Journal and ledger of a year as files that outlast the gateway: one line of text for a line of the table, with the
//! hash chain, so that the file can be checked by itself.
//!
//! ```text
//! {"chain":"ledger","format":1,"year":2026,"first":1201,"last":36240,"follows":"9f3c…"}
//! {"hash":"77d0…","body":{"line":1201,…}}
//! ```

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use rules::chain::{Broken, Chain, Hash, Misfit};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::{
    error::StoreError,
    ledger_db::{JOURNAL, LEDGER},
    reader::{ChainState, Reader},
};

const FORMAT: u32 = 1;
/// Around hash and body of a line. The bytes between the last two are those that the hash covers.
const BEFORE_HASH: &str = r#"{"hash":""#;
const BEFORE_BODY: &str = r#"","body":"#;
const BEHIND_BODY: &str = "}";

/// The first line of an exported file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    chain: String,
    format: u32,
    /// In UTC.
    year: i32,
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
            let header = header(&connection, table, year, (first, last)).map_err(&failed)?;
            let path = into.join(format!("{}-{year}.jsonl", table.name));
            let next = path.with_extension("next");
            let end = write(&connection, table, &header, &next, &failed)?;
            let moved = fs::rename(&next, &path).and_then(|()| File::open(into)?.sync_all());
            moved.map_err(|fault| StoreError::io("write", &path, fault))?;
            Ok(Some(Exported { path, end }))
        })
    }
}

fn header(
    connection: &Connection,
    table: &Table,
    year: i32,
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

/// Gives the chain up to the last line. The file is durable afterwards.
fn write(
    connection: &Connection,
    table: &Table,
    header: &Header,
    path: &Path,
    failed: &impl Fn(rusqlite::Error) -> StoreError,
) -> Result<Chain, StoreError> {
    let refused = |fault: io::Error| StoreError::io("write", path, fault);
    let mut chain = Chain { lines: header.first - 1, head: header.follows };
    let mut file = BufWriter::new(File::create(path).map_err(refused)?);
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
    file.flush().and_then(|()| file.get_ref().sync_all()).map_err(refused)?;
    Ok(chain)
}

/// Checks an exported file by itself, and tells how far its lines fit.
///
/// # Errors
/// When the file cannot be read or is no such file.
pub fn check_export(path: &Path) -> Result<ChainState, StoreError> {
    let refused = |fault| StoreError::io("read", path, fault);
    let mut lines = BufReader::new(File::open(path).map_err(refused)?).lines();
    let first = lines.next().transpose().map_err(refused)?.unwrap_or_default();
    let header =
        serde_json::from_str(&first).ok().filter(|header: &Header| header.format == FORMAT);
    let Some(header) = header.filter(|header| header.first > 0) else {
        return Err(StoreError::NoExport { path: path.to_owned() });
    };
    let mut fits = Chain { lines: header.first - 1, head: header.follows };
    let other_chain = fits.lines == 0 && fits != Chain::empty(&header.chain);
    let mut broken = other_chain.then_some(Broken { line: 1, why: Misfit::Altered });
    for (number, text) in (header.first..).zip(lines) {
        let text = text.map_err(refused)?;
        if broken.is_some() {
            break;
        }
        broken = match parts(&text) {
            Some((hash, body)) => fits.take(number, body.as_bytes(), hash).err(),
            None => Some(Broken { line: number, why: Misfit::Altered }),
        };
    }
    if broken.is_none() && fits.lines != header.last {
        broken = Some(Broken { line: fits.lines + 1, why: Misfit::Missing });
    }
    Ok(ChainState { fits, broken })
}

fn parts(text: &str) -> Option<(Hash, &str)> {
    let (hash, rest) = text.strip_prefix(BEFORE_HASH)?.split_at_checked(64)?;
    let body = rest.strip_prefix(BEFORE_BODY)?.strip_suffix(BEHIND_BODY)?;
    Some((hash.parse().ok()?, body))
}
