//! TCP as a third party sees it: packet traces and what is made of them.

mod connections;
mod facts;
mod properties;
mod streams;
mod trace;
