//! Whether the server is to be asked now. Both cursors go through one gate: while the server is away, one of them tries it
//! from time to time, and the other waits for what comes of it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use links::backoff::Backoff;
use tokio::{sync::Notify, time::Instant};

/// Closed after a failure, for longer and longer.
#[derive(Debug)]
pub(super) struct Gate {
    inner: Mutex<Inner>,
    changed: Notify,
    slow_retry: Duration,
}

#[derive(Debug)]
struct Inner {
    backoff: Backoff,
    /// `None`: open.
    closed: Option<Closed>,
}

#[derive(Clone, Copy, Debug)]
struct Closed {
    try_at: Instant,
    /// Somebody is trying.
    tried: bool,
}

/// The right to send. Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    gate: &'a Gate,
    tries: bool,
}

/// How soon the server is to be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    BackOff,
    /// Only a person can change it.
    Slow,
}

impl Gate {
    pub(super) fn new(seed: u64, floor: Duration, ceiling: Duration, slow_retry: Duration) -> Self {
        let backoff = Backoff::between(seed, floor, ceiling);
        Self {
            inner: Mutex::new(Inner { backoff, closed: None }),
            changed: Notify::new(),
            slow_retry,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the server may be asked.
    pub(super) async fn enter(&self) -> Pass<'_> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that no change is missed in between.
            changed.as_mut().enable();
            match self.look() {
                Ok(tries) => return Pass { gate: self, tries },
                Err(Some(try_at)) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(try_at) => {}
                        () = changed => {}
                    }
                }
                Err(None) => changed.await,
            }
        }
    }

    /// `Ok`: go, and whether that is a try; `Err`: wait, until then or for the one who tries.
    fn look(&self) -> Result<bool, Option<Instant>> {
        let mut inner = self.lock();
        match &mut inner.closed {
            None => Ok(false),
            Some(closed) if closed.tried => Err(None),
            Some(closed) if closed.try_at <= Instant::now() => {
                closed.tried = true;
                Ok(true)
            }
            Some(closed) => Err(Some(closed.try_at)),
        }
    }
}

impl Pass<'_> {
    /// The server took something, or told what it does not take: it is there.
    pub(super) fn answered(&mut self) {
        let mut inner = self.gate.lock();
        inner.backoff.reset();
        let was_closed = inner.closed.take().is_some();
        drop(inner);
        self.tries = false;
        if was_closed {
            self.gate.changed.notify_waiters();
        }
    }

    /// The server was asked in vain.
    pub(super) fn failed(mut self, retry: Retry) {
        let mut inner = self.gate.lock();
        // Of two that failed at once, the second one adds nothing.
        if inner.closed.is_none() || self.tries {
            let wait = match retry {
                Retry::BackOff => inner.backoff.after_failure(),
                Retry::Slow => self.gate.slow_retry,
            };
            inner.closed = Some(Closed { try_at: Instant::now() + wait, tried: false });
        }
        drop(inner);
        self.tries = false;
        self.gate.changed.notify_waiters();
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.tries {
            return;
        }
        if let Some(closed) = &mut self.gate.lock().closed {
            closed.tried = false;
        }
        self.gate.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        Gate::new(1, Duration::from_secs(1), Duration::from_mins(5), Duration::from_mins(1))
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_gate_lets_both_through_at_once() {
        let gate = gate();
        let started = Instant::now();
        let (_one, _other) = (gate.enter().await, gate.enter().await);
        assert_eq!(started.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_one_tries_and_the_other_waits_for_what_comes_of_it() {
        let gate = gate();
        let started = Instant::now();
        gate.enter().await.failed(Retry::BackOff);
        let mut tries = gate.enter().await;
        assert_eq!(started.elapsed(), Duration::from_secs(1));
        let waits = gate.enter();
        tokio::pin!(waits);
        assert!(tokio::time::timeout(Duration::from_mins(10), &mut waits).await.is_err());
        tries.answered();
        waits.await;
    }

    #[tokio::test(start_paused = true)]
    async fn waits_grow_to_the_ceiling_and_begin_anew_after_an_answer() {
        let gate = gate();
        let mut longest = Duration::ZERO;
        for _ in 0..60 {
            gate.enter().await.failed(Retry::BackOff);
            let started = Instant::now();
            drop(gate.enter().await);
            longest = longest.max(started.elapsed());
        }
        assert!(
            longest > Duration::from_mins(2) && longest <= Duration::from_mins(5),
            "{longest:?}"
        );
        gate.enter().await.answered();
        gate.enter().await.failed(Retry::BackOff);
        let started = Instant::now();
        drop(gate.enter().await);
        assert_eq!(started.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_only_a_person_can_change_is_tried_once_a_minute() {
        let gate = gate();
        gate.enter().await.failed(Retry::Slow);
        let started = Instant::now();
        drop(gate.enter().await);
        assert_eq!(started.elapsed(), Duration::from_mins(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_was_given_up_leaves_the_next_one_to_others() {
        let gate = gate();
        gate.enter().await.failed(Retry::BackOff);
        drop(gate.enter().await);
        let started = Instant::now();
        drop(gate.enter().await);
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
