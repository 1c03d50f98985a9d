//! Numbers that look random and are the same each time.

/// The state of the dice.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below this one, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}
