//! TLS as a passive observer sees it, against real peers: rustls in memory, recordings of OpenSSL.
#![allow(clippy::unwrap_used, reason = "a test fails so")]

mod holes;
mod late;
mod legs;
mod openssl;
mod partners;
mod peers;
mod secrets;
mod seen;
mod shapes;
mod suites;
