//! Where a process spends its processor time: `perf` looks at it some thousand times a second.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Failure;
use crate::flame_graph::Folded;

/// How often it looks, in times per second of processor time. No divisor of anything that happens regularly.
const FREQUENCY: &str = "1999";

/// The same where whole stacks are kept, which takes longer; and of commands that are over after a few milliseconds.
const DEEP: &str = "1499";
const BRIEF: &str = "4999";

/// As much of the stack is kept as perf allows, in bytes.
const WHOLE_STACKS: &str = "dwarf,65528";

/// A part of the work, in the order of a note's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Layer {
    Sockets,
    Files,
    Kernel,
    Coap,
    Oscore,
    Hash,
    Journal,
    Sqlite,
    Store,
    Server,
    Memory,
    Std,
    Index,
    Unknown,
}

impl Layer {
    pub(crate) const ALL: [Self; 14] = [
        Self::Sockets,
        Self::Files,
        Self::Kernel,
        Self::Coap,
        Self::Oscore,
        Self::Hash,
        Self::Journal,
        Self::Sqlite,
        Self::Store,
        Self::Server,
        Self::Memory,
        Self::Std,
        Self::Index,
        Self::Unknown,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sockets => "kernel: sockets",
            Self::Files => "kernel: files",
            Self::Kernel => "kernel: all else",
            Self::Coap => "CoAP",
            Self::Oscore => "OSCORE",
            Self::Hash => "hashes",
            Self::Journal => "changes, encoded",
            Self::Sqlite => "SQLite",
            Self::Store => "store",
            Self::Server => "server",
            Self::Index => "index, when idle",
            Self::Memory => "memory: allocated, copied",
            Self::Std => "standard library",
            Self::Unknown => "not attributed",
        }
    }
}

/// By the crate that a Rust function is of, or works on: the first one that its name has in it.
const CRATES: &[(&str, Layer)] = &[
    ("suibi_coap::", Layer::Coap),
    ("bytes::", Layer::Coap),
    ("suibi_oscore::", Layer::Oscore),
    ("aes::", Layer::Oscore),
    ("ccm::", Layer::Oscore),
    ("ctr::", Layer::Oscore),
    ("cipher::", Layer::Oscore),
    ("hkdf::", Layer::Oscore),
    ("hmac::", Layer::Oscore),
    ("sha2::", Layer::Hash),
    ("digest::", Layer::Hash),
    ("suibi_journal::", Layer::Journal),
    ("minicbor::", Layer::Journal),
    ("uuid::", Layer::Journal),
    ("jiff::", Layer::Journal),
    ("zstd", Layer::Journal),
    ("rusqlite::", Layer::Sqlite),
    ("suibi_store::", Layer::Store),
    ("suibi_server::", Layer::Server),
    ("suibi_net::", Layer::Server),
    ("mio::", Layer::Server),
];

/// The same for what has a place of its own in none of these.
const STD: &[&str] = &["core::", "alloc::", "std::", "hashbrown::", "foldhash::", "tracing"];

/// The name of the thread that keeps the index and answers what has to be read.
const READER: &str = "reader";

/// Whose work one sample saw.
fn layer_of(thread: &str, frames: &[Frame<'_>]) -> Layer {
    let Some(leaf) = frames.first() else { return Layer::Unknown };
    if thread == READER {
        return Layer::Index;
    }
    if leaf.is_kernel() {
        return frames.iter().find_map(Frame::system_call).map_or(Layer::Kernel, layer_of_call);
    }
    let file = leaf.file.rsplit('/').next().unwrap_or_default();
    if file.starts_with("libc.so") || file.starts_with("libc-") {
        let is_memory = ["mem", "alloc", "free", "unlink_chunk", "brk", "arena"];
        let is_memory = is_memory.iter().any(|part| leaf.symbol.contains(part));
        return if is_memory { Layer::Memory } else { Layer::Std };
    }
    if leaf.symbol.starts_with("__rust_") || leaf.symbol.starts_with("__rdl_") {
        return Layer::Memory;
    }
    let of_crate = |(name, layer): &(&str, Layer)| Some((leaf.symbol.find(name)?, *layer));
    if let Some((_, layer)) = CRATES.iter().filter_map(of_crate).min_by_key(|(at, _)| *at) {
        return layer;
    }
    if STD.iter().any(|name| leaf.symbol.contains(name)) {
        return Layer::Std;
    }
    if ["ZSTD_", "HUF_", "FSE_"].iter().any(|name| leaf.symbol.starts_with(name)) {
        return Layer::Journal;
    }
    // What is left of the program with a name and no path is C, and that is SQLite.
    let is_c = file.starts_with("suibi") && !leaf.symbol.contains("::");
    if is_c && leaf.symbol != "[unknown]" { Layer::Sqlite } else { Layer::Unknown }
}

fn layer_of_call(name: &str) -> Layer {
    match name {
        "sendto" | "sendmsg" | "sendmmsg" | "recvfrom" | "recvmsg" | "recvmmsg" => Layer::Sockets,
        "pwrite64" | "pwritev" | "pread64" | "fsync" | "fdatasync" | "ftruncate" | "fallocate"
        | "openat" | "close" | "newfstat" | "newfstatat" | "unlink" | "fcntl" => Layer::Files,
        _ => Layer::Kernel,
    }
}

/// One line of a stack.
struct Frame<'a> {
    symbol: &'a str,
    file: &'a str,
}

impl<'a> Frame<'a> {
    /// `ADDRESS SYMBOL (FILE)`
    fn parse(line: &'a str) -> Option<Self> {
        let (_, rest) = line.trim_start().split_once(' ')?;
        let (symbol, file) = rest.strip_suffix(')')?.rsplit_once(" (")?;
        Some(Self { symbol, file })
    }

    fn is_kernel(&self) -> bool {
        self.file.starts_with('[') && self.file != "[vdso]" && self.file != "[unknown]"
    }

    /// Which system call this is the entry of: `__x64_sys_sendmmsg`, `__arm64_sys_sendmmsg`.
    fn system_call(&self) -> Option<&'a str> {
        let (architecture, name) = self.symbol.split_once("_sys_")?;
        let is_entry = self.is_kernel() && architecture.starts_with("__");
        (is_entry && !architecture[2..].contains('_')).then_some(name)
    }
}

/// Samples by layer.
pub(crate) type Samples = BTreeMap<Layer, u64>;

/// A process that is being looked at.
pub(crate) struct Profile {
    perf: Child,
    file: PathBuf,
}

impl Profile {
    /// Begins; `None` where there is no perf, or it may not be used.
    pub(crate) fn start(process: u32, dir: &Path) -> Option<Self> {
        Self::begin(process, dir, FREQUENCY, "fp")
    }

    /// The same, with whole stacks of the program's own functions.
    pub(crate) fn deep(process: u32, dir: &Path) -> Option<Self> {
        Self::begin(process, dir, DEEP, WHOLE_STACKS)
    }

    fn begin(process: u32, dir: &Path, frequency: &str, stacks: &str) -> Option<Self> {
        let file = dir.join("perf.data");
        let mut perf = record(frequency, stacks, &file);
        perf.arg("-p").arg(process.to_string());
        let perf = perf.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let mut profile = Self { perf, file };
        // Its file has a beginning once it looks.
        while std::fs::metadata(&profile.file).map_or(0, |file| file.len()) == 0 {
            if profile.perf.try_wait().ok()?.is_some() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(profile)
    }

    /// Ends, and says what was seen.
    ///
    /// # Errors
    /// When perf is there and does not work.
    pub(crate) fn finish(self) -> Result<Samples, Failure> {
        Ok(count(&self.seen()?))
    }

    /// Ends, and says what was seen, by stack.
    ///
    /// # Errors
    /// When perf is there and does not work.
    pub(crate) fn finish_folded(self) -> Result<Folded, Failure> {
        Ok(fold(&self.seen()?))
    }

    fn seen(mut self) -> Result<String, Failure> {
        // It writes its file when it is interrupted.
        Command::new("kill").args(["-INT", &self.perf.id().to_string()]).status()?;
        self.perf.wait()?;
        script(&self.file, None)
    }
}

/// What a command and all that it starts do, of those whose name this is; nothing where there is no perf.
///
/// # Errors
/// When the command fails.
pub(crate) fn of_command(command: &Command, name: &str, dir: &Path) -> Result<Folded, Failure> {
    let file = dir.join("perf.data");
    let mut perf = record(BRIEF, WHOLE_STACKS, &file);
    perf.arg("--").arg(command.get_program()).args(command.get_args()).env_clear();
    perf.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    match perf.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Err(_) => Ok(Folded::new()),
        Ok(status) if status.success() => Ok(fold(&script(&file, Some(name))?)),
        Ok(status) => Err(format!("perf or the command under it: {status}").into()),
    }
}

fn record(frequency: &str, stacks: &str, file: &Path) -> Command {
    let mut perf = Command::new("perf");
    perf.args(["record", "-q", "-e", "cpu-clock", "-F", frequency, "--call-graph", stacks, "-o"]);
    perf.arg(file);
    perf
}

/// What is in a file of perf's, as text.
fn script(file: &Path, command: Option<&str>) -> Result<String, Failure> {
    let mut perf = Command::new("perf");
    perf.args(["script", "--no-inline", "-F", "comm,ip,sym,dso", "-i"]).arg(file);
    if let Some(command) = command {
        perf.args(["--comm", command]);
    }
    let script = perf.stderr(Stdio::null()).output()?;
    Ok(String::from_utf8_lossy(&script.stdout).into_owned())
}

impl Drop for Profile {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.perf.kill();
        let _ = self.perf.wait();
    }
}

/// A sample is a line with the thread's name, its stack, and an empty line.
fn count(script: &str) -> Samples {
    let mut samples = Samples::new();
    for sample in script.split("\n\n") {
        let mut lines = sample.trim_matches('\n').lines();
        let Some(thread) = lines.next() else { continue };
        let frames: Vec<_> = lines.filter_map(Frame::parse).collect();
        *samples.entry(layer_of(thread.trim(), &frames)).or_default() += 1;
    }
    samples
}

/// The same, whole: who called whom.
fn fold(script: &str) -> Folded {
    let mut folded = Folded::new();
    for sample in script.split("\n\n") {
        let mut lines = sample.trim_matches('\n').lines();
        let Some(thread) = lines.next() else { continue };
        let name = |frame: Frame<'_>| match frame.is_kernel() {
            true => format!("{}[k]", frame.symbol),
            false => frame.symbol.to_owned(),
        };
        let frames = lines.filter_map(Frame::parse).filter(|frame| frame.symbol != "[unknown]");
        let mut stack: Vec<_> = frames.map(name).collect();
        if !stack.is_empty() {
            stack.push(thread.trim().to_owned());
            stack.reverse();
            *folded.entry(stack).or_default() += 1;
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(thread: &str, stack: &[&str]) -> Layer {
        let samples = count(&format!("{thread} \n\t{}\n\n", stack.join("\n\t")));
        assert_eq!(samples.values().sum::<u64>(), 1);
        *samples.keys().next().unwrap()
    }

    #[test]
    fn a_sample_is_the_work_of_the_crate_that_its_function_is_of() {
        let program = |symbol: &str| layer("writer", &[&format!("8565dc {symbol} (/t/suibi)")]);
        assert_eq!(program("suibi_coap::dedup::Recent::see"), Layer::Coap);
        assert_eq!(program("sha2::sha256::x86::digest_blocks"), Layer::Hash);
        assert_eq!(program("sqlite3VdbeExec"), Layer::Sqlite);
        assert_eq!(program("<suibi_journal::id::Hash as core::fmt::Display>::fmt"), Layer::Journal);
        assert_eq!(
            program("core::ptr::drop_in_place<rusqlite::statement::Statement>"),
            Layer::Sqlite
        );
        assert_eq!(program("alloc::raw_vec::RawVecInner<A>::reserve"), Layer::Std);
        assert_eq!(program("[unknown]"), Layer::Unknown);
        let c = |symbol: &str| layer("suibi", &[&format!("99 {symbol} (/usr/lib/libc.so.6)")]);
        assert_eq!(c("__memmove_avx512_unaligned_erms"), Layer::Memory);
        assert_eq!(c("_int_malloc"), Layer::Memory);
        assert_eq!(c("pthread_mutex_lock@@GLIBC_2.2.5"), Layer::Std);
    }

    #[test]
    fn stacks_are_folded_outermost_first() {
        let sample = "writer \n\tffff sync ([kernel.kallsyms])\n\t12 commit (/t/suibi)\n\tff [unknown] ([unknown])\n\n";
        let folded = fold(&sample.repeat(3));
        let stack = ["writer", "commit", "sync[k]"].map(str::to_owned).to_vec();
        assert_eq!(folded, Folded::from([(stack, 3)]));
    }

    #[test]
    fn a_sample_of_the_kernel_is_the_work_of_its_system_call() {
        let kernel = |symbol: &str| format!("ffffffff81e3215d {symbol} ([kernel.kallsyms])");
        let stack = |call: &str| {
            let frames = ["udp_sendmsg", call, "do_syscall_64"].map(kernel);
            layer("suibi", &frames.each_ref().map(String::as_str))
        };
        assert_eq!(stack("__x64_sys_sendmmsg"), Layer::Sockets);
        assert_eq!(stack("__arm64_sys_fdatasync"), Layer::Files);
        assert_eq!(stack("__x64_sys_futex"), Layer::Kernel);
        assert_eq!(stack("asm_exc_page_fault"), Layer::Kernel);
        assert_eq!(layer("reader", &[&kernel("ext4_sync_file")]), Layer::Index);
        assert_eq!(layer("writer", &[]), Layer::Unknown);
    }
}
