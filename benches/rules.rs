//! What the judgement of one session costs: all rules, and with the verdict.
//!
//! Nearly all sessions are well, and there may be a hundred thousand of them a second. The aim for all rules together on a
//! healthy session is 300 ns, where a packet costs 90.

#![allow(missing_docs)]

use std::hint::black_box;
use std::io;
use std::path::{Path, PathBuf};

use criterion::{Criterion, criterion_group, criterion_main};
use wsflow::diagnosis::rules::RULES;
use wsflow::diagnosis::{Facts, diagnose};
use wsflow::engine::{Engine, EngineOptions, Event, Sink, Wants};
use wsflow::limits::Limits;
use wsflow::session::{Neighbours, Session};
use wsflow::source::{Input, Savefiles, Source};

/// Keeps the first session.
#[derive(Default)]
struct First(Option<Session>);

impl Sink for First {
    fn wants(&self) -> Wants {
        Wants::default()
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        if let Event::Session(session, _) = event {
            self.0.get_or_insert_with(|| (*session).clone());
        }
        Ok(())
    }
}

/// The first session of an example capture.
fn session(capture: &str) -> Session {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps").join(capture);
    let mut source = Savefiles::open(&[path], None).expect("the examples can be read");
    let limits = Limits::default();
    let mut first = First::default();
    let mut engine = Engine::new(&limits, EngineOptions::default(), first.wants());
    while let Some(input) = source.next(usize::MAX).expect("the examples are whole") {
        if let Input::Packets(packets) = input {
            engine.packets(packets, &mut first).expect("the sink takes everything");
        }
    }
    engine.finish(&mut first).expect("the sink takes everything");
    first.0.expect("every example has a session")
}

fn rules(criterion: &mut Criterion) {
    let neighbours = Neighbours::default();
    let proxied = session("nginx-healthy.pcap");
    let mut direct = proxied.clone();
    direct.legs.truncate(1);
    let cases = [
        ("healthy, direct", direct),
        ("healthy, proxied", proxied),
        ("refused", session("nginx-upgrade-stripped.pcap")),
    ];
    for (name, session) in cases {
        // What rules have asked is remembered: each round begins anew.
        let facts = || Facts::new(black_box(&session), black_box(&neighbours));
        criterion.bench_function(&format!("rules, {name}"), |bencher| {
            bencher.iter(|| {
                let facts = facts();
                RULES.iter().filter(|rule| (rule.check)(&facts).is_some()).count()
            });
        });
        criterion.bench_function(&format!("diagnose, {name}"), |bencher| {
            bencher.iter(|| diagnose(&facts()));
        });
    }
}

criterion_group!(benches, rules);
criterion_main!(benches);
