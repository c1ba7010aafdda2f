//! Hash chains: lines of which none can be changed, dropped, added or moved without every later hash changing too.
//!
//! ```text
//! hash(0) = SHA-256("coldwatch chain 1: " + name)
//! hash(n) = SHA-256(hash(n - 1) as 32 bytes + body of line n as UTF-8)
//! ```
//!
//! Whoever can rewrite the whole file can also rewrite the whole chain: what a chain proves, it proves against a head
//! that was noted elsewhere, in a report or a backup.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::hex::{Hex, NotHex};

/// A SHA-256, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hash(Hex<32>);

impl Hash {
    /// Of some bytes that stand alone.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Hex(Sha256::digest(bytes).into()))
    }

    /// What the first line of the chain `name` hangs on. Lines of one chain fit into no other.
    pub fn genesis(name: &str) -> Self {
        Self::of(format!("coldwatch chain 1: {name}").as_bytes())
    }
}

/// Hashes bytes that come piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The same as [`Hash::of`] all of them.
    pub fn finish(self) -> Hash {
        Hash(Hex(self.0.finalize().into()))
    }
}

/// The hash of a line that follows on `previous`.
#[must_use]
pub fn link(previous: Hash, body: &[u8]) -> Hash {
    Hash(Hex(Sha256::new().chain_update(previous.0.0).chain_update(body).finalize().into()))
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = NotHex;

    fn from_str(text: &str) -> Result<Self, NotHex> {
        text.parse().map(Self)
    }
}

/// A chain up to its newest line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Lines are numbered from 1, without gaps.
    pub lines: u64,
    pub head: Hash,
}

/// The first line that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("line {line} {why}")]
pub struct Broken {
    pub line: u64,
    pub why: Misfit,
}

/// Why a line does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
#[serde(rename_all = "snake_case")]
pub enum Misfit {
    /// The next line that is there has a higher number, or the chain is said to be longer.
    #[error("is missing")]
    Missing,
    /// The body, the hash or the order was changed after the line was written.
    #[error("was altered: its hash does not follow from its body and the line before it")]
    Altered,
    /// The hash fits, but what stands beside the body tells something else than the body.
    #[error("was altered: what stands beside its body contradicts it")]
    Contradicted,
    /// The chain ends in another hash than was noted for it.
    #[error("is not the end that was noted for this chain")]
    OtherEnd,
}

impl Chain {
    /// The chain `name` before its first line.
    pub fn empty(name: &str) -> Self {
        Self { lines: 0, head: Hash::genesis(name) }
    }

    /// Adds a line and gives its hash.
    pub fn add(&mut self, body: &[u8]) -> Hash {
        self.lines += 1;
        self.head = link(self.head, body);
        self.head
    }

    /// Takes a stored line if it is the next one.
    pub fn take(&mut self, line: u64, body: &[u8], hash: Hash) -> Result<(), Broken> {
        let expected = self.lines + 1;
        if line > expected {
            return Err(Broken { line: expected, why: Misfit::Missing });
        }
        if line < expected || link(self.head, body) != hash {
            return Err(Broken { line, why: Misfit::Altered });
        }
        (self.lines, self.head) = (line, hash);
        Ok(())
    }

    /// Compares the end that was reached with the end that was noted.
    pub fn ends_as(&self, noted: &Self) -> Result<(), Broken> {
        if self.lines < noted.lines {
            return Err(Broken { line: self.lines + 1, why: Misfit::Missing });
        }
        if self == noted { Ok(()) } else { Err(Broken { line: self.lines, why: Misfit::OtherEnd }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain_of(bodies: &[&str]) -> (Chain, Vec<(u64, String, Hash)>) {
        let mut chain = Chain::empty("test");
        let lines = (1..)
            .zip(bodies)
            .map(|(line, body)| (line, (*body).to_owned(), chain.add(body.as_bytes())))
            .collect();
        (chain, lines)
    }

    fn walk(lines: &[(u64, String, Hash)], noted: &Chain) -> Result<(), Broken> {
        let mut chain = Chain::empty("test");
        for (line, body, hash) in lines {
            chain.take(*line, body.as_bytes(), *hash)?;
        }
        chain.ends_as(noted)
    }

    #[test]
    fn the_genesis_and_the_first_link_are_what_another_program_computes() {
        // printf 'coldwatch chain 1: journal' | sha256sum
        let genesis = Hash::genesis("journal");
        assert_eq!(
            genesis.to_string(),
            "03bda84763a8dd92f10fdfbb503fd4ce0638a4d78130c6438fc5e1692772363a"
        );
        // (printf 'coldwatch chain 1: journal' | openssl dgst -sha256 -binary; printf '{}') | sha256sum
        assert_eq!(
            link(genesis, b"{}").to_string(),
            "d42197e7a1069b9692342dd3edb228e7325475d01a8b0d5d4b9d561da5514604"
        );
    }

    #[test]
    fn a_hash_reads_back_from_its_text_and_refuses_any_other_text() {
        let hash = Hash::of(b"x");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for text in ["", "00", &hash.to_string().to_uppercase(), &"é".repeat(32)] {
            assert!(text.parse::<Hash>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_chain_that_nobody_touched_fits() {
        let (end, lines) = chain_of(&["a", "b", "c"]);
        assert_eq!(walk(&lines, &end), Ok(()));
        assert_eq!(walk(&[], &Chain::empty("test")), Ok(()));
    }

    #[test]
    fn the_first_line_that_does_not_fit_is_named() {
        let (end, lines) = chain_of(&["a", "b", "c", "d"]);
        let broken = |line, why| Err(Broken { line, why });

        let mut altered = lines.clone();
        altered[1].1 = "B".to_owned();
        assert_eq!(walk(&altered, &end), broken(2, Misfit::Altered));

        let mut deleted = lines.clone();
        deleted.remove(2);
        assert_eq!(walk(&deleted, &end), broken(3, Misfit::Missing));

        let mut swapped = lines.clone();
        swapped.swap(1, 2);
        (swapped[1].0, swapped[2].0) = (2, 3);
        assert_eq!(walk(&swapped, &end), broken(2, Misfit::Altered));

        let shortened = &lines[..3];
        assert_eq!(walk(shortened, &end), broken(4, Misfit::Missing));

        let (_, rewritten) = chain_of(&["a", "b", "c", "D"]);
        assert_eq!(walk(&rewritten, &end), broken(4, Misfit::OtherEnd));
    }
}
