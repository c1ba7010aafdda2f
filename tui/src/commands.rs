//! Commands on their way, and what the operator is told about them.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
};

use rules::messages::{Action, Command, Outcome};
use tokio::sync::mpsc;

use crate::source::Answer;

/// Sends commands and adds up their answers. What is asked for with one key press is answered with one sentence.
#[derive(Debug)]
pub(crate) struct Commands {
    queue: mpsc::Sender<Command>,
    open: HashMap<String, Action>,
    done: Vec<Action>,
    trouble: Option<String>,
    troubles: usize,
}

impl Commands {
    pub(crate) fn new(queue: mpsc::Sender<Command>) -> Self {
        Self { queue, open: HashMap::new(), done: Vec::new(), trouble: None, troubles: 0 }
    }

    /// Sends them all. What cannot be taken now is refused to the operator's face, not kept for later: a sentence then.
    pub(crate) fn send(&mut self, actions: &[Action], by: &str) -> Option<String> {
        if self.open.is_empty() {
            (self.done, self.trouble, self.troubles) = (Vec::new(), None, 0);
        }
        for (sent, action) in actions.iter().enumerate() {
            let key = random_key();
            let command = Command { key: key.clone(), by: by.to_owned(), action: action.clone() };
            if self.queue.try_send(command).is_err() {
                return Some(match sent {
                    0 => "the gateway takes no command now; try again".to_owned(),
                    _ => format!("only {sent} of {} were sent; try again", actions.len()),
                });
            }
            self.open.insert(key, action.clone());
        }
        None
    }

    /// Takes an answer; the last one that is waited for makes a sentence. `name` says what people call an alarm.
    pub(crate) fn answered(
        &mut self,
        key: &str,
        answer: Answer,
        name: impl Fn(&str) -> String,
    ) -> Option<String> {
        let action = self.open.remove(key)?;
        let alarm = name(alarm_of(&action));
        let trouble = match answer {
            Answer::Decided(Outcome::Done) => {
                self.done.push(action);
                None
            }
            Answer::Decided(Outcome::Rejected { why }) => Some(format!("refused: {alarm}: {why}")),
            Answer::NotTaken { why } => Some(format!("not {} {alarm}: {why}", past(&action))),
            Answer::Unanswered { why } => {
                Some(format!("nobody knows whether {alarm} was {}: {why}", past(&action)))
            }
        };
        if trouble.is_some() {
            self.troubles += 1;
            self.trouble = self.trouble.take().or(trouble);
        }
        self.open.is_empty().then(|| self.sum_up(name))
    }

    fn sum_up(&self, name: impl Fn(&str) -> String) -> String {
        let all = self.done.len() + self.troubles;
        match (&self.trouble, self.done.as_slice()) {
            (None, [only]) => format!("{} {}", past(only), name(alarm_of(only))),
            (None, done) => {
                format!("{} {} alarms", done.first().map_or("", past), done.len())
            }
            (Some(trouble), []) if all == 1 => trouble.clone(),
            (Some(trouble), done) => format!("{} of {all} done; {trouble}", done.len()),
        }
    }
}

fn alarm_of(action: &Action) -> &str {
    match action {
        Action::Ack { alarm, .. } | Action::Reset { alarm } => alarm,
    }
}

fn past(action: &Action) -> &'static str {
    match action {
        Action::Ack { .. } => "acknowledged",
        Action::Reset { .. } => "reset",
    }
}

/// 128 random bits: no screen of any process ever gives the same key twice, over any number of runs.
fn random_key() -> String {
    // The standard library seeds this from the operating system.
    let half = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(alarm: &str) -> Action {
        Action::Ack { alarm: alarm.into(), occurrence: Some(1) }
    }

    fn title(alarm: &str) -> String {
        alarm.to_uppercase()
    }

    fn sent(count: usize) -> (Commands, Vec<String>) {
        let (queue, mut sent) = mpsc::channel(8);
        let mut commands = Commands::new(queue);
        let actions: Vec<Action> = (0..count).map(|n| ack(&format!("a{n}"))).collect();
        assert_eq!(commands.send(&actions, "zhao"), None);
        let keys = std::iter::from_fn(|| sent.try_recv().ok().map(|command| command.key));
        (commands, keys.collect())
    }

    fn done() -> Answer {
        Answer::Decided(Outcome::Done)
    }

    #[test]
    fn one_command_is_answered_in_its_own_words() {
        let refused = Answer::Decided(Outcome::Rejected { why: "occurrence 1 is over".into() });
        let away = Answer::NotTaken { why: "the disk is full".into() };
        let silent = Answer::Unanswered { why: "no answer for 5 s".into() };
        for (answer, said) in [
            (done(), "acknowledged A0"),
            (refused, "refused: A0: occurrence 1 is over"),
            (away, "not acknowledged A0: the disk is full"),
            (silent, "nobody knows whether A0 was acknowledged: no answer for 5 s"),
        ] {
            let (mut commands, keys) = sent(1);
            assert_eq!(commands.answered(&keys[0], answer, title).as_deref(), Some(said));
        }
    }

    #[test]
    fn many_commands_are_answered_in_one_sentence() {
        let (mut commands, keys) = sent(3);
        assert_eq!(commands.answered(&keys[0], done(), title), None);
        let refused = Answer::Decided(Outcome::Rejected { why: "it is over".into() });
        assert_eq!(commands.answered(&keys[2], refused, title), None);
        assert_eq!(commands.answered("somebody else's", done(), title), None);
        let said = commands.answered(&keys[1], done(), title);
        assert_eq!(said.as_deref(), Some("2 of 3 done; refused: A2: it is over"));
    }

    #[test]
    fn a_full_queue_is_said_and_not_waited_for() {
        let (queue, _sent) = mpsc::channel(1);
        let mut commands = Commands::new(queue);
        assert_eq!(
            commands.send(&[ack("a"), ack("b")], "zhao").as_deref(),
            Some("only 1 of 2 were sent; try again")
        );
        assert!(commands.send(&[ack("c")], "zhao").is_some());
    }

    #[test]
    fn keys_are_128_bits_and_never_the_same() {
        let keys: std::collections::HashSet<String> = (0..10_000).map(|_| random_key()).collect();
        assert_eq!(keys.len(), 10_000);
        assert!(keys.iter().all(|key| key.len() == 32));
    }
}
