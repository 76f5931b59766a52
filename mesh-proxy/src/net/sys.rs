//! The one place that calls what the compiler cannot check.

use std::io;
use std::ops::Range;

/// Gives memory that the allocator of this thread holds, and nobody uses, back to the system.
#[cfg_attr(
    feature = "mimalloc",
    expect(unsafe_code, reason = "a function of the allocator")
)]
pub(crate) fn give_back() {
    #[cfg(feature = "mimalloc")]
    // SAFETY: it takes nothing, and may be called by any thread at any time.
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
}

/// Unmaps the pages of a part of the address space that is a file's, read-only and as the file
/// has it. They are mapped again, from the kernel's cache of the file, when they are used.
///
/// # Errors
/// If the kernel refuses.
#[expect(unsafe_code, reason = "memory that no type owns")]
pub(crate) fn unmap_until_used(unchanged: &Range<usize>) -> io::Result<()> {
    let start = std::ptr::with_exposed_provenance_mut(unchanged.start);
    let advice = rustix::mm::Advice::LinuxDontNeed;
    // SAFETY: the range is a read-only mapping of a file of which no page was changed, so whoever
    // reads it next, finds the same bytes.
    unsafe { rustix::mm::madvise(start, unchanged.len(), advice) }?;
    Ok(())
}
