//! What the allocator does with memory that is freed.
//!
//! Belongs here: this one piece of advice. glibc gives freed memory back to the system beyond twice the largest block
//! that it ever mapped and freed, so that a program whose buffers come and go pays page faults for each of them: a
//! backlog over loopback took a quarter longer. A larger block moves that bound. Other allocators are not moved by it.
//!
//! Source: mallopt(3), `M_TRIM_THRESHOLD` and `M_MMAP_THRESHOLD`.

/// For a vault: larger than any block that a request needs.
#[cfg(feature = "vault")]
pub(crate) const VAULT_BLOCK: usize = 8 << 20;
/// For a recorder, which has little memory to keep.
#[cfg(feature = "recorder")]
pub(crate) const RECORDER_BLOCK: usize = 1 << 20;

/// Lets the allocator keep twice `block` bytes of what is freed. Call it once, before there are threads.
pub(crate) fn keep_freed(block: usize) {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(block)));
}
