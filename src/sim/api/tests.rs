//! The server through the real kube client, on paused time.

mod basics;
