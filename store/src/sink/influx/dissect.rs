//! What to send next of a body that the server did not take as a whole: halves, down to the lines that are to blame.
//!
//! A server that takes none of it may well be one that takes nothing at all. So that this does not cost two requests a line,
//! single lines from all over the body are tried as soon as many parts of it were refused and none was taken.
//!
//! A server that says "partial write" has already taken the good lines: then only finding out which were the bad ones is at
//! stake, and there is a limit to what that may cost.

use std::{collections::VecDeque, ops::Range};

/// With so many parts refused and none taken, single lines are tried.
const PARTS: usize = 32;

/// Why a part was not taken as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nothing of it was taken.
    Whole,
    /// Nothing of it was looked at: it is too large.
    Size,
    /// All of it was taken but for so many lines.
    Partial(usize),
}

/// The state of one body.
#[derive(Debug)]
pub(super) struct Dissection {
    lines: usize,
    ahead: VecDeque<Range<usize>>,
    taken: usize,
    refusals: usize,
    /// Single lines to try.
    probes: Option<VecDeque<usize>>,
    probed: bool,
    /// Requests that may still be made only to find out which lines are bad.
    curiosity: usize,
    /// Lines to be given up, with the server's words.
    refused: Vec<(usize, String)>,
    vague: Vec<Vague>,
}

/// Lines of which some were refused, but not which ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vague {
    pub(super) among: Range<usize>,
    pub(super) refused: usize,
    pub(super) words: String,
}

/// What became of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) taken: usize,
    /// By line.
    pub(super) refused: Vec<(usize, String)>,
    pub(super) vague: Vec<Vague>,
    /// What is left of the requests that were allowed for finding out.
    pub(super) curiosity: usize,
}

impl Dissection {
    /// `curiosity`: how many requests may be made only to find out which lines are bad.
    pub(super) fn new(lines: usize, curiosity: usize) -> Self {
        Self {
            lines,
            ahead: (lines > 0).then_some(0..lines).into_iter().collect(),
            taken: 0,
            refusals: 0,
            probes: None,
            probed: false,
            curiosity,
            refused: Vec::new(),
            vague: Vec::new(),
        }
    }

    /// The lines to send next; `None`: all is known.
    pub(super) fn next(&self) -> Option<Range<usize>> {
        let probe = self.probes.as_ref().and_then(VecDeque::front);
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

    /// They were refused, in these words.
    pub(super) fn refused(&mut self, words: &str, how: Refusal) {
        if let Some(lines) = &mut self.probes {
            lines.pop_front();
            if lines.is_empty() {
                self.give_up_all(words);
            }
            return;
        }
        let Some(part) = self.ahead.pop_front() else { return };
        match how {
            Refusal::Partial(count) => self.partly_taken(part, count, words),
            Refusal::Size => self.divide(part, words),
            Refusal::Whole => {
                self.divide(part, words);
                self.refusals += 1;
                if self.refusals == PARTS && self.taken == 0 && !self.probed {
                    self.probes = Some(self.ahead.iter().map(|part| part.start).collect());
                }
            }
        }
    }

    fn divide(&mut self, part: Range<usize>, words: &str) {
        if part.len() == 1 {
            self.refused.push((part.start, words.to_owned()));
        } else {
            let middle = part.start + part.len() / 2;
            self.ahead.extend([part.start..middle, middle..part.end]);
        }
    }

    fn partly_taken(&mut self, part: Range<usize>, count: usize, words: &str) {
        if count >= part.len() {
            self.refused.extend(part.map(|line| (line, words.to_owned())));
        } else if let Some(left) = self.curiosity.checked_sub(2) {
            self.curiosity = left;
            self.divide(part, words);
        } else {
            self.taken += part.len() - count;
            self.vague.push(Vague { among: part, refused: count, words: words.to_owned() });
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
        let Self { taken, refused, vague, curiosity, .. } = self;
        Verdict { taken, refused, vague, curiosity }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Played {
        verdict: Verdict,
        requests: usize,
        arrived: Vec<bool>,
    }

    /// Plays a server that refuses whatever holds a bad line, or is too large; counts the requests.
    fn play(lines: usize, bad: &[usize], largest: usize) -> Played {
        play_with(lines, bad, largest, None)
    }

    /// `partial`: the server takes the good lines of what it refuses, and so many requests may be made to find the others.
    fn play_with(lines: usize, bad: &[usize], largest: usize, partial: Option<usize>) -> Played {
        let mut dissection = Dissection::new(lines, partial.unwrap_or(0));
        let (mut requests, mut arrived) = (0, vec![false; lines]);
        while let Some(part) = dissection.next() {
            requests += 1;
            assert!(requests < 100_000, "it ends");
            let bad_here = part.clone().filter(|line| bad.contains(line)).count();
            if part.len() > largest {
                dissection.refused("too large", Refusal::Size);
            } else if bad_here == 0 {
                arrived[part].fill(true);
                dissection.taken();
            } else if partial.is_some() {
                part.filter(|line| !bad.contains(line)).for_each(|line| arrived[line] = true);
                dissection.refused("bad", Refusal::Partial(bad_here));
            } else {
                dissection.refused("bad", Refusal::Whole);
            }
        }
        Played { verdict: dissection.verdict(), requests, arrived }
    }

    fn lines_of(verdict: &Verdict) -> Vec<usize> {
        verdict.refused.iter().map(|(line, _)| *line).collect()
    }

    #[test]
    fn one_bad_line_costs_itself_and_a_few_requests() {
        let Played { verdict, requests, arrived } = play(5000, &[3333], 5000);
        assert_eq!((verdict.taken, lines_of(&verdict)), (4999, vec![3333]));
        assert_eq!(arrived.iter().filter(|line| **line).count(), 4999);
        assert!(requests < 30, "{requests}");
    }

    #[test]
    fn a_body_without_a_good_line_is_given_up_after_a_hundred_requests() {
        let all: Vec<usize> = (0..5000).collect();
        let Played { verdict, requests, .. } = play(5000, &all, 5000);
        assert_eq!((verdict.taken, verdict.refused.len()), (0, 5000));
        assert!(requests < 100, "{requests}");
    }

    #[test]
    fn what_is_too_large_is_halved_until_it_fits() {
        let Played { verdict, requests, .. } = play(5000, &[], 700);
        assert_eq!((verdict.taken, lines_of(&verdict)), (5000, Vec::new()));
        assert_eq!(requests, 15);
        assert_eq!(play(3, &[], 0).verdict.refused.len(), 3);
    }

    #[test]
    fn of_what_was_taken_in_part_the_bad_lines_are_sought_only_so_far() {
        let bad: Vec<usize> = (0..5000).step_by(10).collect();
        let Played { verdict, requests, arrived } = play_with(5000, &bad, 5000, Some(20));
        assert_eq!(arrived.iter().filter(|line| **line).count(), 4500);
        assert_eq!(requests, 21);
        let vague: usize = verdict.vague.iter().map(|vague| vague.refused).sum();
        assert_eq!((verdict.taken, verdict.refused.len() + vague), (4500, 500));

        let Played { verdict, requests, .. } = play_with(5000, &[77], 5000, Some(60));
        assert_eq!((lines_of(&verdict), verdict.vague.len()), (vec![77], 0));
        assert_eq!(verdict.curiosity, 60 + 1 - requests);
        let all: Vec<usize> = (0..50).collect();
        assert_eq!(play_with(50, &all, 5000, Some(0)).verdict.refused.len(), 50);
    }

    proptest! {
        #[test]
        fn every_good_line_arrives_and_every_bad_one_is_named(
            lines in 1..400_usize,
            bad in prop::collection::btree_set(0..400_usize, 0..15),
            largest in 1..500_usize,
            partial in any::<bool>(),
        ) {
            let bad: Vec<usize> = bad.into_iter().filter(|line| *line < lines).collect();
            let partial = partial.then_some(10_000);
            let Played { verdict, arrived, .. } = play_with(lines, &bad, largest, partial);
            let refused = lines_of(&verdict);
            prop_assert_eq!(&refused, &bad);
            prop_assert_eq!(verdict.taken + refused.len(), lines);
            for (line, arrived) in arrived.iter().enumerate() {
                prop_assert_eq!(*arrived, !bad.contains(&line));
            }
        }
    }
}
