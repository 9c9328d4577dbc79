//! Text in blocks of 64 bytes: a bit for each byte tells its class.

// Without inlining into the function that `dispatch!` makes for each processor kind, a function is
// compiled for the oldest processor.
#![allow(clippy::inline_always)]

use fearless_simd::prelude::*;
use fearless_simd::u8x64;

/// A block of 64 bytes; a shorter last block is padded with blanks.
pub(crate) fn padded(block: &[u8]) -> [u8; 64] {
    block.try_into().unwrap_or_else(|_| {
        let mut full = [b' '; 64];
        full.iter_mut()
            .zip(block)
            .for_each(|(to, from)| *to = *from);
        full
    })
}

/// A bit for each byte of the block that equals `byte`.
#[inline(always)]
pub(crate) fn mask<S: Simd>(simd: S, block: &[u8; 64], byte: u8) -> u64 {
    u8x64::from_slice(simd, block).simd_eq(byte).to_bitmask()
}

/// The positions of the set bits, lowest first.
pub(crate) fn bits(mut mask: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = mask.trailing_zeros();
        mask &= mask.wrapping_sub(1);
        (bit < 64).then_some(bit)
    })
}
