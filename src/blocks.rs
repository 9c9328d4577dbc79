//! Text 64 bytes at a time: one bit tells of each byte what it is.

// What is not inlined into the function that `dispatch!` makes for a kind of processor is compiled for the
// oldest one.
#![allow(clippy::inline_always)]

use fearless_simd::prelude::*;
use fearless_simd::u8x64;

/// A block; the last one is filled up with blanks.
pub(crate) fn padded(block: &[u8]) -> [u8; 64] {
    block.try_into().unwrap_or_else(|_| {
        let mut full = [b' '; 64];
        full.iter_mut()
            .zip(block)
            .for_each(|(to, from)| *to = *from);
        full
    })
}

/// A bit for each byte of the block that is this one.
#[inline(always)]
pub(crate) fn mask<S: Simd>(simd: S, block: &[u8; 64], byte: u8) -> u64 {
    u8x64::from_slice(simd, block).simd_eq(byte).to_bitmask()
}

/// The positions of the bits that are set, lowest first.
pub(crate) fn bits(mut mask: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = mask.trailing_zeros();
        mask &= mask.wrapping_sub(1);
        (bit < 64).then_some(bit)
    })
}
