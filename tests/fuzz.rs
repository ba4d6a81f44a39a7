//! The bodies of the fuzz targets, over their seeds: what a fuzzer once found stays found.
#![allow(clippy::unwrap_used)]

#[path = "../fuzz/bodies.rs"]
mod bodies;

use std::fs;
use std::path::Path;

#[test]
fn seeds() {
    for (target, body) in bodies::BODIES {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
        let mut seeds = 0;
        for entry in fs::read_dir(&folder).unwrap() {
            body(&fs::read(entry.unwrap().path()).unwrap());
            seeds += 1;
        }
        assert!(seeds > 0, "{target} has no seeds");
    }
}

/// Every seed cut at every place, and with every byte turned: where a fuzzer begins.
#[test]
fn seeds_cut_and_damaged() {
    for (target, body) in bodies::BODIES {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
        for entry in fs::read_dir(&folder).unwrap() {
            let mut seed = fs::read(entry.unwrap().path()).unwrap();
            for at in 0..seed.len() {
                body(&seed[..at]);
                for value in [0x00, 0x7F, 0x80, 0xFF, seed[at] ^ 1] {
                    let before = std::mem::replace(&mut seed[at], value);
                    body(&seed);
                    seed[at] = before;
                }
            }
        }
    }
}
