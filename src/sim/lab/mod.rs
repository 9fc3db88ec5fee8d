//! The lab's things on the embedded cluster: the chart `gadget` in both versions, and what
//! its images do. `lab/charts` and `lab/images` are what they are held to.

mod chart;
mod images;
mod numbers;

pub(super) use chart::gadget;
pub(super) use images::images;
