//! A bad line under the kernel's own UDP and TCP: a network device that sends every packet back with its two addresses
//! exchanged, later, or not at all.
//!
//! ```text
//!   client ── to 10.9.0.2 ──> kernel ──> mirror: lost? late? ──> kernel ── from 10.9.0.2 to 10.9.0.1 ──> server
//! ```
//!
//! A packet to [`THERE`] comes back as one from there to [`HERE`], where the server listens, and the answers take the
//! same way. Exchanged addresses leave every checksum as it was. What is lost is lost before the kernel at the other end
//! sees it, so that TCP has to find out and send again as on any line.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Failure, kernel};

/// Where servers listen.
pub(crate) const HERE: &str = "10.9.0.1";

/// Where clients find them.
pub(crate) const THERE: &str = "10.9.0.2";

const DEVICE: &str = "mirror";

/// Longer than any packet.
const PACKET_BYTES: usize = 65_536;

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weather {
    /// Of the packets in each direction, 0 to 1.
    pub(crate) loss: f64,
    /// Each way.
    pub(crate) delay: Duration,
}

/// The device. Its threads end with the process, as the device does.
pub(crate) struct Mirror {
    weather: Arc<Mutex<Weather>>,
}

impl Mirror {
    /// Makes the device, in a network namespace of this process's own, and the weather fine.
    ///
    /// # Errors
    /// When this process may not, or `ip` is not there.
    pub(crate) fn start() -> Result<Self, Failure> {
        let device = kernel::tun(DEVICE)?;
        let address = format!("{HERE}/24");
        ip(&["link", "set", "lo", "up"])?;
        ip(&["address", "add", &address, "dev", DEVICE])?;
        ip(&["link", "set", DEVICE, "up"])?;
        // What TCP learned of the line in one weather would be wrong in the next.
        fs::write("/proc/sys/net/ipv4/tcp_no_metrics_save", "1")?;
        let weather = Arc::new(Mutex::new(Weather::default()));
        let (late, due) = mpsc::channel();
        let (read, write, here) = (device.try_clone()?, device, Arc::clone(&weather));
        thread::spawn(move || {
            take(read, &here, |at, packet| late.send((at, packet)).is_ok());
        });
        thread::spawn(move || give_back(write, &due));
        Ok(Self { weather })
    }

    /// Other weather for what comes from now on.
    pub(crate) fn set(&self, weather: Weather) {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner) = weather;
    }
}

/// Takes every packet that the kernel sends, and says what becomes of it.
fn take(
    mut device: File,
    weather: &Mutex<Weather>,
    mut give: impl FnMut(Instant, Vec<u8>) -> bool,
) {
    let mut dice = Dice(1);
    let mut buf = vec![0; PACKET_BYTES];
    while let Ok(len) = device.read(&mut buf) {
        let Weather { loss, delay } = *weather.lock().unwrap_or_else(PoisonError::into_inner);
        let mut packet = buf[..len].to_vec();
        // The addresses of IPv4 (RFC 791 §3.1); nothing here speaks IPv6.
        let is_ipv4 = packet.len() >= 20 && packet[0] >> 4 == 4;
        if !is_ipv4 || dice.throw() < loss {
            continue;
        }
        let (source, destination) = packet[12..20].split_at_mut(4);
        source.swap_with_slice(destination);
        if !give(Instant::now() + delay, packet) {
            return;
        }
    }
}

/// All come as late as all others, so each is due after the one before it.
fn give_back(mut device: File, due: &Receiver<(Instant, Vec<u8>)>) {
    while let Ok((at, packet)) = due.recv() {
        thread::sleep(at.saturating_duration_since(Instant::now()));
        if device.write_all(&packet).is_err() {
            return;
        }
    }
}

fn ip(arguments: &[&str]) -> Result<(), Failure> {
    let status = Command::new("ip").args(arguments).status()?;
    status
        .success()
        .then_some(())
        .ok_or_else(|| format!("ip {}: {status}", arguments.join(" ")).into())
}

/// SplitMix64: the same in every run.
struct Dice(u64);

impl Dice {
    /// 0 to 1.
    fn throw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dice_are_fair() {
        let mut dice = Dice(1);
        let low = (0..10_000).filter(|_| dice.throw() < 0.3).count();
        assert!((2_800..3_200).contains(&low), "{low}");
    }
}
