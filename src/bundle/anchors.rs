//! Heads of the ledger that somebody kept outside the gateway, as a file: what a database or a broker gave back.

use std::{fs, path::Path};

use anyhow::{Context, anyhow, bail};
use rules::chain::{Chain, Hash};
use serde::Deserialize;

/// One of them. What else the line says is of no concern.
#[derive(Deserialize)]
struct Anchor {
    line: u64,
    head: Hash,
}

/// Reads JSON lines, each with `line` and `head`, or a CSV table with these two columns.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Chain>> {
    let text = fs::read_to_string(path);
    let text = text.with_context(|| format!("failed to read {}", path.display()))?;
    let mut columns = None;
    let mut anchors = Vec::new();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        // InfluxDB writes notes of its own above its tables.
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let at = || format!("{}, line {number}", path.display());
        if line.starts_with('{') {
            let Anchor { line, head } = serde_json::from_str(line).with_context(at)?;
            anchors.push(Chain { lines: line, head });
        } else if let Some(found) = header(line) {
            columns = Some(found);
        } else {
            let columns = columns.ok_or_else(|| {
                anyhow!("neither an object with \"line\" and \"head\" nor below a header with both")
            });
            anchors.push(columns.and_then(|columns| row(line, columns)).with_context(at)?);
        }
    }
    if anchors.is_empty() {
        bail!("{} holds no anchor", path.display());
    }
    Ok(anchors)
}

/// The places of both columns, if the line names them.
fn header(line: &str) -> Option<(usize, usize)> {
    let place = |name: &str| line.split(',').position(|cell| cell.trim().trim_matches('"') == name);
    place("line").zip(place("head"))
}

fn row(line: &str, (number, head): (usize, usize)) -> anyhow::Result<Chain> {
    let cell = |place: usize| {
        let cell = line.split(',').nth(place).context("the row is too short")?;
        anyhow::Ok(cell.trim().trim_matches('"'))
    };
    Ok(Chain { lines: cell(number)?.parse()?, head: cell(head)?.parse()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<u64>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let anchors = read(file.path()).map_err(|error| format!("{error:#}"))?;
        Ok(anchors.into_iter().map(|anchor| anchor.lines).collect())
    }

    #[test]
    fn anchors_come_as_json_lines_and_as_tables() {
        let head = "77".repeat(32);
        let json = format!("{{\"day\":\"2026-10-01\",\"line\":5,\"head\":\"{head}\"}}\n\n");
        assert_eq!(read_text(&json), Ok(vec![5]));
        let table = format!("#group,false\n,_time,head,line\n,2026-10-02T00:00:00Z,{head},9\n");
        assert_eq!(read_text(&table), Ok(vec![9]));
    }

    #[test]
    fn what_is_no_anchor_is_named_with_its_line() {
        for (text, told) in [
            ("", "holds no anchor"),
            ("{\"line\":5}", "line 1: missing field `head`"),
            ("5,abc", "line 1: neither an object"),
            ("line,head\n5,abc", "line 2: expected 64 hexadecimal digits"),
            ("line,head\n5", "line 2: the row is too short"),
        ] {
            let error = read_text(text).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
