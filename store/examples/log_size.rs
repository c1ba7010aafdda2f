//! How many bytes and how much time the log takes for samples like a plant's: a quarter each of temperatures in steps of
//! 0.1, noisy powers, counters and flows in steps of 0.01, every point once a second.
//!
//! ```text
//! cargo run --release -p store --example log_size -- [points] [seconds]
//! ```

use std::{error::Error, fs, time::Instant};

use chrono::{DateTime, TimeDelta};
use rules::{
    plant::PointId,
    time::{BootId, Mono, Now, Trust, Wall},
    value::{Sample, Value},
};
use store::{
    log::{Log, LogOptions},
    record::{Record, Seq},
};

/// Points that one device answers for, at the same instant.
const POINTS_PER_DEVICE: u32 = 50;

struct Plant {
    random: u64,
    numbers: Vec<i64>,
}

impl Plant {
    /// By `SplitMix64`: the same in every run.
    fn below(&mut self, end: u32) -> i64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed >> 33) % u64::from(end)).cast_signed()
    }

    fn value(&mut self, point: usize) -> Value {
        let step = match point % 4 {
            0 => i64::from(self.below(10) == 0) * (self.below(3) - 1),
            1 => self.below(41) - 20,
            2 => 10 + self.below(4),
            _ => self.below(31) - 15,
        };
        // Powers and flows move around a level instead of away from it.
        let level = match point % 4 {
            1 => 5_000,
            3 => 12_000,
            _ => self.numbers[point],
        };
        self.numbers[point] = level + step;
        let number = f64::from(i32::try_from(self.numbers[point]).unwrap_or(i32::MAX));
        match point % 4 {
            0 => Value::Number(number / 10.0),
            2 => Value::Integer(self.numbers[point]),
            3 => Value::Number(number / 100.0),
            _ => Value::Number(number),
        }
    }

    fn frame(&mut self, second: u32) -> Record {
        let start = u64::from(second) * 1_000_000;
        let mut at = Mono::ZERO;
        let mut frame = Vec::with_capacity(self.numbers.len());
        for point in 0..u32::try_from(self.numbers.len()).unwrap_or(u32::MAX) {
            if point.is_multiple_of(POINTS_PER_DEVICE) {
                // Answers come a few milliseconds apart, never at the same microsecond.
                at = Mono::from(start + u64::from(point) * 40 + self.below(5_000).unsigned_abs());
            }
            let value = Ok(self.value(point as usize));
            frame.push(Sample { point: PointId(point), at, source_time: None, value });
        }
        Record::Frame(frame)
    }
}

/// Bytes that this process sent to the disk, and seconds of processor time of the thread with this name.
fn usage() -> Result<(u64, f64), Box<dyn Error>> {
    let io = fs::read_to_string("/proc/self/io")?;
    let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    let mut nanoseconds = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.trim() == "log" {
            let schedule = fs::read_to_string(task.join("schedstat"))?;
            nanoseconds += schedule.split(' ').next().unwrap_or("0").parse::<u64>()?;
        }
    }
    let seconds = std::time::Duration::from_nanos(nanoseconds).as_secs_f64();
    Ok((written.unwrap_or("0").parse()?, seconds))
}

#[expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "an example that measures")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u32>());
    let points = arguments.next().transpose()?.unwrap_or(10_000);
    let seconds = arguments.next().transpose()?.unwrap_or(900);
    let dir = std::env::temp_dir().join(format!("coldwatch-log-size-{}", std::process::id()));
    let Log { mut writer, reader } = Log::open(&LogOptions::new(dir.clone()), BootId(1))?;
    let mut plant = Plant { random: 1, numbers: vec![300; points as usize] };
    let mut durable = writer.durable();
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let before = usage()?;
    for second in 1..=seconds {
        let mono = Mono::from_secs(u64::from(second) + 1);
        let utc = DateTime::from_timestamp(1_795_348_800, 0).unwrap_or_default()
            + TimeDelta::seconds(second.into());
        let now = Now { mono, wall: Wall { utc, trust: Trust::Synchronised } };
        let last = writer.append(&now, vec![plant.frame(second)]);
        // A group a second, as in a gateway.
        runtime.block_on(durable.wait_for(|durable| durable.seq >= last))?;
    }
    let after = usage()?;
    let samples = f64::from(points) * f64::from(seconds);
    let (bytes, segments) = reader.size()?;
    println!("{points} points, {seconds} s, {segments} segments");
    println!("on disk           {:.3} B/sample", bytes as f64 / samples);
    println!("written           {:.3} B/sample", (after.0 - before.0) as f64 / samples);
    println!("thread CPU        {:.3} s per million samples", (after.1 - before.1) / samples * 1e6);
    let start = Instant::now();
    let mut back = 0;
    for stamped in reader.read(Seq(1))? {
        if let Record::Frame(frame) = stamped?.record {
            back += frame.len();
        }
    }
    let spent = start.elapsed().as_secs_f64();
    println!("reading all       {:.3} s per million samples ({back} read)", spent / samples * 1e6);
    writer.close()?;
    let start = Instant::now();
    let Log { reader, .. } = Log::open(&LogOptions::new(dir.clone()), BootId(2))?;
    reader.last_checkpoint()?;
    println!("opening           {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    fs::remove_dir_all(dir)?;
    Ok(())
}
