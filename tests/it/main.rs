//! The real binary from outside, and rules about the source that the compiler does not know.

mod architecture;
