//! What the racks compute: jobs that span several racks, swing together and end.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::scenario::LoadProfile;

/// Share of its design power that a rack draws when idle.
const IDLE_SHARE: f64 = 0.30;

/// The load of one rack, 0 (idle) to 1 (all accelerators busy).
#[derive(Clone, Debug, PartialEq)]
pub struct RackLoad {
    utilisation: f64,
    job: usize,
}

/// One job: it holds its racks at a level until it ends, with a short dip at every checkpoint.
#[derive(Clone, Debug, PartialEq)]
struct Job {
    level: f64,
    ends_at_s: f64,
    checkpoint_every_s: f64,
    checkpoint_offset_s: f64,
}

/// All jobs and what they make of the racks.
#[derive(Clone, Debug)]
pub struct Load {
    profile: LoadProfile,
    random: ChaCha8Rng,
    jobs: Vec<Job>,
    racks: Vec<RackLoad>,
    elapsed_s: f64,
}

impl Load {
    /// Jobs for `racks` racks, neighbours first. The same random stream gives the same jobs.
    pub fn new(profile: LoadProfile, mut random: ChaCha8Rng, racks: usize) -> Self {
        let mut jobs: Vec<Job> = Vec::new();
        let mut loads = Vec::with_capacity(racks);
        while loads.len() < racks {
            let width = random.random_range(1..=6).min(racks - loads.len());
            let mut job = Job::draw(&profile, &mut random, 0.0);
            // Jobs are met in mid-run.
            job.ends_at_s *= random.random_range(0.1..1.0);
            let utilisation = job.level;
            loads.extend((0..width).map(|_| RackLoad { utilisation, job: jobs.len() }));
            jobs.push(job);
        }
        Self { profile, random, jobs, racks: loads, elapsed_s: 0.0 }
    }

    /// Lets `seconds` pass.
    pub fn step(&mut self, seconds: f64) {
        self.elapsed_s += seconds;
        for job in &mut self.jobs {
            if self.elapsed_s >= job.ends_at_s {
                *job = Job::draw(&self.profile, &mut self.random, self.elapsed_s);
            }
        }
        // Racks follow within a few seconds, as power smoothing in the shelves lets them.
        let follow = 1.0 - (-seconds / self.profile.ramp_s).exp();
        for rack in &mut self.racks {
            let wanted = self.jobs[rack.job].level_at(self.elapsed_s);
            let jitter = self.profile.jitter * self.random.random_range(-1.0..1.0);
            rack.utilisation += (wanted + jitter - rack.utilisation) * follow;
            rack.utilisation = rack.utilisation.clamp(0.0, 1.0);
        }
    }

    /// Power that rack `index` asks for, in kW, before any throttling.
    pub fn power_kw(&self, index: usize, design_power_kw: f64) -> f64 {
        let utilisation = self.racks.get(index).map_or(0.0, |rack| rack.utilisation);
        design_power_kw * (IDLE_SHARE + (1.0 - IDLE_SHARE) * utilisation)
    }
}

impl Job {
    fn draw(profile: &LoadProfile, random: &mut ChaCha8Rng, now_s: f64) -> Self {
        let swing = profile.swing * random.random_range(-1.0..1.0);
        Self {
            level: (profile.mean + swing).clamp(0.0, 1.0),
            ends_at_s: now_s + profile.job_s * random.random_range(0.5..1.5),
            checkpoint_every_s: random.random_range(60.0..180.0),
            checkpoint_offset_s: random.random_range(0.0..60.0),
        }
    }

    /// Accelerators wait while a checkpoint is written: 6 s at half level.
    fn level_at(&self, now_s: f64) -> f64 {
        let phase_s = (now_s + self.checkpoint_offset_s).rem_euclid(self.checkpoint_every_s);
        if phase_s < 6.0 { self.level * 0.5 } else { self.level }
    }
}
