//! Chance that can be repeated: each test prints its seed, and `FUZZ_SEED` sets it.

/// splitmix64.
pub struct Dice {
    pub seed: u64,
    state: u64,
}

impl Dice {
    /// Thrown anew in each run, unless `FUZZ_SEED` says how.
    pub fn new() -> Dice {
        let from_clock = || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 % 1_000_000_000;
        let seed = std::env::var("FUZZ_SEED").map_or_else(|_| from_clock(), |seed| seed.parse().expect("FUZZ_SEED is a number"));
        println!("FUZZ_SEED={seed}");
        Dice::with_seed(seed)
    }

    pub fn with_seed(seed: u64) -> Dice {
        Dice { seed, state: seed }
    }

    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not zero.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}
