//! What to send next of a body that the server did not take as a whole: halves, down to the lines that are to blame.
//!
//! A server that takes none of it may well be one that takes nothing at all. So that this does not cost two requests a line,
//! single lines from all over the body are tried as soon as many parts of it were refused and none was taken.

use std::{collections::VecDeque, ops::Range};

/// With so many parts refused and none taken, single lines are tried.
const PARTS: usize = 32;

/// The state of one body.
#[derive(Debug)]
pub(super) struct Dissection {
    lines: usize,
    ahead: VecDeque<Range<usize>>,
    taken: usize,
    refusals: usize,
    /// Single lines to try, and how many of them were refused.
    probes: Option<(VecDeque<usize>, usize)>,
    probed: bool,
    /// Lines to be given up, with the server's words.
    refused: Vec<(usize, String)>,
}

/// What became of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) taken: usize,
    /// By line.
    pub(super) refused: Vec<(usize, String)>,
}

impl Dissection {
    pub(super) fn new(lines: usize) -> Self {
        Self {
            lines,
            ahead: (lines > 0).then_some(0..lines).into_iter().collect(),
            taken: 0,
            refusals: 0,
            probes: None,
            probed: false,
            refused: Vec::new(),
        }
    }

    /// The lines to send next; `None`: all is known.
    pub(super) fn next(&self) -> Option<Range<usize>> {
        let probe = self.probes.as_ref().and_then(|(lines, _)| lines.front());
        probe.map(|line| *line..line + 1).or_else(|| self.ahead.front().cloned())
    }

    /// Something was found out by sending parts.
    pub(super) fn is_split(&self) -> bool {
        self.ahead.front() != Some(&(0..self.lines))
    }

    /// They were taken.
    pub(super) fn taken(&mut self) {
        if self.probes.take().is_some() {
            // Some lines are good: worth finding each of them. The line itself is sent once more with its part.
            self.probed = true;
            return;
        }
        if let Some(part) = self.ahead.pop_front() {
            self.taken += part.len();
        }
    }

    /// They were refused, in these words. `by_size`: there were too many of them.
    pub(super) fn refused(&mut self, words: &str, by_size: bool) {
        if let Some((lines, refusals)) = &mut self.probes {
            lines.pop_front();
            *refusals += 1;
            if lines.is_empty() {
                self.give_up_all(words);
            }
            return;
        }
        let Some(part) = self.ahead.pop_front() else { return };
        if part.len() == 1 {
            self.refused.push((part.start, words.to_owned()));
        } else {
            let middle = part.start + part.len() / 2;
            self.ahead.extend([part.start..middle, middle..part.end]);
        }
        if by_size {
            return;
        }
        self.refusals += 1;
        if self.refusals == PARTS && self.taken == 0 && !self.probed {
            self.probes = Some((self.ahead.iter().map(|part| part.start).collect(), 0));
        }
    }

    fn give_up_all(&mut self, words: &str) {
        self.probes = None;
        self.ahead.clear();
        self.refused = (0..self.lines).map(|line| (line, words.to_owned())).collect();
    }

    /// To be called when [`Self::next`] has nothing more.
    pub(super) fn verdict(mut self) -> Verdict {
        self.refused.sort_by_key(|(line, _)| *line);
        Verdict { taken: self.taken, refused: self.refused }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Plays a server that refuses whatever holds a bad line, or is too large; counts the requests.
    fn play(lines: usize, bad: &[usize], largest: usize) -> (Verdict, usize, Vec<bool>) {
        let mut dissection = Dissection::new(lines);
        let (mut requests, mut arrived) = (0, vec![false; lines]);
        while let Some(part) = dissection.next() {
            requests += 1;
            assert!(requests < 100_000, "it ends");
            if part.len() > largest {
                dissection.refused("too large", true);
            } else if part.clone().any(|line| bad.contains(&line)) {
                dissection.refused("bad", false);
            } else {
                arrived[part].fill(true);
                dissection.taken();
            }
        }
        (dissection.verdict(), requests, arrived)
    }

    #[test]
    fn one_bad_line_costs_itself_and_a_few_requests() {
        let (verdict, requests, arrived) = play(5000, &[3333], 5000);
        assert_eq!(verdict, Verdict { taken: 4999, refused: vec![(3333, "bad".to_owned())] });
        assert_eq!(arrived.iter().filter(|line| **line).count(), 4999);
        assert!(requests < 30, "{requests}");
    }

    #[test]
    fn a_body_without_a_good_line_is_given_up_after_a_hundred_requests() {
        let all: Vec<usize> = (0..5000).collect();
        let (verdict, requests, _) = play(5000, &all, 5000);
        assert_eq!((verdict.taken, verdict.refused.len()), (0, 5000));
        assert!(requests < 100, "{requests}");
    }

    #[test]
    fn what_is_too_large_is_halved_until_it_fits() {
        let (verdict, requests, _) = play(5000, &[], 700);
        assert_eq!(verdict, Verdict { taken: 5000, refused: Vec::new() });
        assert_eq!(requests, 15);
        let (verdict, _, _) = play(3, &[], 0);
        assert_eq!(verdict.refused.len(), 3);
    }

    proptest! {
        #[test]
        fn every_good_line_arrives_and_every_bad_one_is_named(
            lines in 1..400_usize, bad in prop::collection::btree_set(0..400_usize, 0..15), largest in 1..500_usize
        ) {
            let bad: Vec<usize> = bad.into_iter().filter(|line| *line < lines).collect();
            let (verdict, _, arrived) = play(lines, &bad, largest);
            let refused: Vec<usize> = verdict.refused.iter().map(|(line, _)| *line).collect();
            prop_assert_eq!(&refused, &bad);
            prop_assert_eq!(verdict.taken + refused.len(), lines);
            for (line, arrived) in arrived.iter().enumerate() {
                prop_assert_eq!(*arrived, !bad.contains(&line));
            }
        }
    }
}
