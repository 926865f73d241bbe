//! When something ends before it is done.

/// A countdown of steps; at its end the process is killed or the power fails.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Doom(Option<(u32, bool)>);

impl Doom {
    /// After so many more steps; `power`: not only the process ends.
    pub(crate) fn after(steps: u32, power: bool) -> Self {
        Self(Some((steps, power)))
    }

    /// A step was taken: whether it was the last one, and whether the power failed.
    pub(crate) fn strikes(&mut self) -> Option<bool> {
        let (left, power) = self.0.as_mut()?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        let power = *power;
        self.0 = None;
        Some(power)
    }
}
