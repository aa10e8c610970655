//! The machine on which the figures were made: without it they say nothing.

use std::fs::read_to_string;

/// Processors, kernel, memory, and how busy it was.
pub(crate) fn description() -> String {
    let cpuinfo = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = read_to_string("/proc/meminfo").unwrap_or_default();
    let memory: u64 = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok())
        .unwrap_or(0);
    let load = read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split_whitespace().take(3).collect();
    format!(
        "{cores} x {model}, {} GiB, Linux {}, load at the begin {}, one write of the store {:.2} ms",
        memory / 1024 / 1024,
        kernel.trim(),
        load.join(" "),
        sync_time(),
    )
}

/// What a durable replacement of a small file costs here, in milliseconds: a record is two such
/// writes, one after the other (coordinator, follower).
fn sync_time() -> f64 {
    let directory = std::env::temp_dir().join(format!("crm-bench-{}", std::process::id()));
    let mut times = Vec::new();
    if std::fs::create_dir_all(&directory).is_ok() {
        for _ in 0..31 {
            let begun = std::time::Instant::now();
            let draft = directory.join("draft");
            let written = std::fs::write(&draft, [7; 2000])
                .and_then(|()| std::fs::File::open(&draft)?.sync_all())
                .and_then(|()| std::fs::rename(&draft, directory.join("file")))
                .and_then(|()| std::fs::File::open(&directory)?.sync_all());
            if written.is_ok() {
                times.push(begun.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    let _ = std::fs::remove_dir_all(&directory);
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
