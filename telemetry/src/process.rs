//! The process as the kernel sees it, read at each scrape.
//!
//! The names are those that every Prometheus client library uses, so that existing dashboards show Ferry too. Read
//! from `/proc/self`; what cannot be read is left out. Outside Linux there is none of it.
//! Only this process: what others on the machine use is an exporter's business.

use std::{
    fmt, fs,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

use crate::exposition::Listed;

/// Ticks of a second in `/proc`: fixed for programs, whatever the kernel's own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

const CPU: (&str, &str) = ("process_cpu_seconds", "Processor time used, user and system, in seconds");
const MEMORY: (&str, &str) = ("process_resident_memory_bytes", "Resident memory, in bytes");
const FILES: (&str, &str) = ("process_open_fds", "Open files and sockets");
const START: (&str, &str) = ("process_start_time_seconds", "When the process started, Unix time in seconds");

/// Reads this process.
#[derive(Debug)]
pub struct Process {
    started: f64,
}

impl Process {
    pub(crate) fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: now.as_secs_f64() }
    }

    pub(crate) fn listed() -> impl Iterator<Item = Listed> {
        let gauge = |(name, help): (&str, &'static str)| Listed {
            name: name.to_owned(),
            kind: "gauge",
            labels: Vec::new(),
            help,
        };
        let cpu =
            Listed { name: format!("{}_total", CPU.0), kind: "counter", labels: Vec::new(), help: CPU.1 };
        [cpu, gauge(MEMORY), gauge(FILES), gauge(START)].into_iter()
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        if let Some(seconds) = cpu_seconds() {
            add(&mut encoder, CPU, &ConstCounter::new(seconds))?;
        }
        if let Some(bytes) = resident_bytes() {
            add(&mut encoder, MEMORY, &ConstGauge::new(bytes))?;
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            add(&mut encoder, FILES, &ConstGauge::new(u64::try_from(files.count()).unwrap_or(u64::MAX)))?;
        }
        add(&mut encoder, START, &ConstGauge::new(self.started))
    }
}

fn add(
    encoder: &mut DescriptorEncoder,
    (name, help): (&str, &str),
    metric: &impl EncodeMetric,
) -> Result<(), fmt::Error> {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in parentheses, may hold blanks; utime and stime are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}
