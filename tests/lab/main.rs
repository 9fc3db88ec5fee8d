//! The lab lane.
