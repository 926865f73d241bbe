//! What a process has used, as the scheduler accounts for it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

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

/// Processor time of all threads of a process.
pub(crate) fn of_process(process: u32) -> Result<Duration, Failure> {
    Ok(by_thread(process)?.into_values().sum())
}

/// Processor time of all threads of a process, once it has nothing more to do, or after a minute.
pub(crate) fn until_idle(process: u32) -> Result<Duration, Failure> {
    let (mut last, start) = (of_process(process)?, Instant::now());
    while start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(500));
        let now = of_process(process)?;
        if now - last < Duration::from_millis(5) {
            break;
        }
        last = now;
    }
    Ok(last)
}

/// Processor time that a process has spent in the kernel, to a hundredth of a second.
pub(crate) fn in_kernel(process: u32) -> Result<Duration, Failure> {
    const TICKS_PER_SECOND: u64 = 100;
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name is in brackets and may have anything in it; stime is the thirteenth field after it.
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in stat")?;
    let ticks: u64 = fields.split_whitespace().nth(12).ok_or("stat is short")?.parse()?;
    Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

/// Processor time of the calling thread, up to this moment.
pub(crate) fn of_this_thread() -> Result<Duration, Failure> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec to a place that is one.
    #[expect(unsafe_code, reason = "schedstat is as old as the last tick; std has no such clock")]
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) } != 0;
    if failed {
        return Err(io::Error::last_os_error().into());
    }
    Ok(Duration::new(time.tv_sec.try_into()?, time.tv_nsec.try_into()?))
}

/// Processor time of all child processes that were waited for.
pub(crate) fn of_ended_children() -> Result<Duration, Failure> {
    // SAFETY: all zeros is a valid rusage, and the kernel writes one to this place.
    #[expect(unsafe_code, reason = "std does not say what a child has used")]
    let (used, failed) = unsafe {
        let mut used: libc::rusage = std::mem::zeroed();
        let failed = libc::getrusage(libc::RUSAGE_CHILDREN, &mut used) != 0;
        (used, failed)
    };
    if failed {
        return Err(io::Error::last_os_error().into());
    }
    let time = |time: libc::timeval| -> Result<Duration, Failure> {
        Ok(Duration::from_secs(time.tv_sec.try_into()?)
            + Duration::from_micros(time.tv_usec.try_into()?))
    };
    Ok(time(used.ru_utime)? + time(used.ru_stime)?)
}

/// Resident memory in KiB.
pub(crate) fn resident_kib(process: u32) -> Result<u64, Failure> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("VmRSS without a value")?.parse()?)
}
