//! What a disk holds, and what of it is left after a power cut.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

use super::tape::{FileId, Names, Op};

/// What a disk writes in one piece.
const SECTOR: u64 = 512;

/// What a disk holds: what is durable, and what is only written.
#[derive(Debug, Clone, Default)]
pub(super) struct Image {
    files: BTreeMap<FileId, File>,
    names: BTreeMap<String, Name>,
}

#[derive(Debug, Clone, Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Pending>,
}

#[derive(Debug, Clone)]
enum Pending {
    Write { offset: u64, bytes: Arc<[u8]> },
    Truncate { len: u64 },
}

/// What a name stands for.
#[derive(Debug, Clone, Default)]
struct Name {
    durable: Option<FileId>,
    /// What became of it since the directory was flushed, in order.
    pending: Vec<Option<FileId>>,
}

/// What is left of what was not flushed.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Nothing,
    Everything,
    /// Each write as a whole, with this probability.
    Writes(f64),
    /// Each sector of each write, with this probability.
    Sectors(f64),
}

impl Image {
    /// The files of a directory, all of them durable, and their numbers and inodes.
    pub(super) fn read(directory: &Path) -> io::Result<(Self, Names)> {
        let (mut image, mut ids) = (Self::default(), Names::new());
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.ends_with("-shm") || !entry.file_type()?.is_file() {
                continue;
            }
            let id = FileId(ids.len() as u32);
            let file = File { durable: fs::read(entry.path())?, pending: Vec::new() };
            image.files.insert(id, file);
            image.names.insert(name.clone(), Name { durable: Some(id), pending: Vec::new() });
            ids.insert(name, (id, entry.metadata()?.ino()));
        }
        Ok((image, ids))
    }

    /// Something was done to it.
    pub(super) fn take(&mut self, op: &Op) {
        match op {
            Op::Create { name, file } => {
                self.files.insert(*file, File::default());
                self.names.entry(name.clone()).or_default().pending.push(Some(*file));
            }
            Op::Delete { name } => {
                self.names.entry(name.clone()).or_default().pending.push(None);
            }
            Op::SyncNames => {
                for name in self.names.values_mut() {
                    if let Some(last) = name.pending.pop() {
                        name.durable = last;
                        name.pending.clear();
                    }
                }
                let Self { files, names } = self;
                names.retain(|_, name| name.durable.is_some());
                let is_named = |id| names.values().any(|name| name.durable == Some(id));
                files.retain(|id, _| is_named(*id));
            }
            Op::Write { file, offset, bytes } => {
                let pending = Pending::Write { offset: *offset, bytes: Arc::clone(bytes) };
                self.push(*file, pending);
            }
            Op::Truncate { file, len } => self.push(*file, Pending::Truncate { len: *len }),
            Op::SyncFailed { file } => {
                if let Some(file) = self.files.get_mut(file) {
                    file.pending.clear();
                }
            }
            Op::Sync { file } => {
                if let Some(file) = self.files.get_mut(file) {
                    for pending in std::mem::take(&mut file.pending) {
                        pending.apply(&mut file.durable);
                    }
                }
            }
        }
    }

    /// A file without a name may still be written; nobody will see it.
    fn push(&mut self, file: FileId, pending: Pending) {
        if let Some(file) = self.files.get_mut(&file) {
            file.pending.push(pending);
        }
    }

    /// What a process leaves behind that ends now: everything that it wrote.
    pub(super) fn write_all(&self, to: &Path) -> io::Result<()> {
        for (name, state) in &self.names {
            let id = state.pending.last().copied().unwrap_or(state.durable);
            self.write(to, name, id, |file| file.with(Fate::Everything, None))?;
        }
        Ok(())
    }

    /// What a power cut leaves: everything durable, and of the rest what chance will have.
    pub(super) fn write_some(&self, to: &Path, rng: &mut StdRng) -> io::Result<()> {
        for (name, state) in &self.names {
            // Changes of names become durable in their order.
            let kept = rng.random_range(0..=state.pending.len());
            let id = state.pending[..kept].last().copied().unwrap_or(state.durable);
            let chance = *[0.1, 0.5, 0.9].choose(rng).expect("there are three");
            let fate = match rng.random_range(0..4) {
                0 => Fate::Nothing,
                1 => Fate::Everything,
                2 => Fate::Writes(chance),
                _ => Fate::Sectors(chance),
            };
            self.write(to, name, id, |file| file.with(fate, Some(&mut *rng)))?;
        }
        Ok(())
    }

    fn write(
        &self,
        to: &Path,
        name: &str,
        id: Option<FileId>,
        content: impl FnOnce(&File) -> Vec<u8>,
    ) -> io::Result<()> {
        match id.and_then(|id| self.files.get(&id)) {
            Some(file) => fs::write(to.join(name), content(file)),
            None => Ok(()),
        }
    }
}

impl File {
    fn with(&self, fate: Fate, rng: Option<&mut StdRng>) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        match (fate, rng) {
            (Fate::Nothing, _) => {}
            (Fate::Everything, _) | (_, None) => {
                self.pending.iter().for_each(|pending| pending.apply(&mut bytes));
            }
            (Fate::Writes(chance), Some(rng)) => {
                for pending in &self.pending {
                    if rng.random_bool(chance) {
                        pending.apply(&mut bytes);
                    }
                }
            }
            (Fate::Sectors(chance), Some(rng)) => {
                for pending in &self.pending {
                    pending.apply_torn(&mut bytes, chance, rng);
                }
            }
        }
        bytes
    }
}

impl Pending {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => put(file, *offset as usize, bytes),
            Self::Truncate { len } => file.truncate(*len as usize),
        }
    }

    fn apply_torn(&self, file: &mut Vec<u8>, chance: f64, rng: &mut StdRng) {
        let Self::Write { offset, bytes } = self else {
            if rng.random_bool(chance) {
                self.apply(file);
            }
            return;
        };
        let (mut at, end) = (*offset, offset + bytes.len() as u64);
        while at < end {
            let next = ((at / SECTOR + 1) * SECTOR).min(end);
            if rng.random_bool(chance) {
                let piece = (at - offset) as usize..(next - offset) as usize;
                put(file, at as usize, &bytes[piece]);
            }
            at = next;
        }
    }
}

/// Where a file is extended, what lies between is zero.
fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}
