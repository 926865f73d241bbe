//! What a process has used, as the scheduler accounts for it.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use crate::Failure;

/// Processor time of each thread of a process, by thread name, to the nanosecond.
///
/// `/proc/PID/stat` counts in ticks of 10 ms; `schedstat` of each task is exact. Threads that have
/// ended are not in it, so servers that start threads per request would look too good.
pub(crate) fn by_thread(process: u32) -> Result<BTreeMap<String, Duration>, Failure> {
    let mut used: BTreeMap<String, Duration> = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let task = task?.path();
        let (Ok(name), Ok(stat)) =
            (fs::read_to_string(task.join("comm")), fs::read_to_string(task.join("schedstat")))
        else {
            // It ended between being listed and being read.
            continue;
        };
        let nanoseconds = stat.split_whitespace().next().ok_or("schedstat is empty")?.parse()?;
        *used.entry(name.trim().to_owned()).or_default() += Duration::from_nanos(nanoseconds);
    }
    Ok(used)
}

/// Processor time of the calling thread.
pub(crate) fn of_this_thread() -> Result<Duration, Failure> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = stat.split_whitespace().next().ok_or("schedstat is empty")?.parse()?;
    Ok(Duration::from_nanos(nanoseconds))
}

/// Resident memory in KiB.
pub(crate) fn resident_kib(process: u32) -> Result<u64, Failure> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("VmRSS without a value")?.parse()?)
}
