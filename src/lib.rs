//! Lariat.
