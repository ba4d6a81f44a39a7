//! HTTP: what an opening handshake costs, and a large body.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wsflow::http::handshake::{Answer, Offer};
use wsflow::http::{Dialogue, Event, HeadStore};
use wsflow::limits::Limits;
use wsflow::packet::Moment;
use wsflow::stream::{Role, StreamEvent};

/// What a browser sends: about 500 bytes.
const REQUEST: &str = "GET /socket?token=abcdef HTTP/1.1\r\nHost: chat.example.com\r\nConnection: Upgrade\r\n\
    Pragma: no-cache\r\nCache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 \
    (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\nOrigin: https://chat.example.com\r\n\
    Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.9\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nServer: nginx\r\nDate: Sat, 21 Nov 2026 09:30:00 GMT\r\n\
    Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

fn hear(dialogue: &mut Dialogue, heads: &mut HeadStore, role: Role, bytes: &[u8]) {
    dialogue.handle(role, StreamEvent::Data(bytes), Moment::default(), heads, &mut |event| {
        black_box(&event);
    });
}

fn http(criterion: &mut Criterion) {
    let mut heads = HeadStore::new(&Limits::default());
    let mut group = criterion.benchmark_group("http");

    group.bench_function("upgrade request", |bencher| {
        bencher.iter(|| hear(&mut Dialogue::new(), &mut heads, Role::Client, black_box(REQUEST.as_bytes())));
    });
    group.bench_function("handshake", |bencher| {
        bencher.iter(|| {
            let mut dialogue = Dialogue::new();
            hear(&mut dialogue, &mut heads, Role::Client, black_box(REQUEST.as_bytes()));
            hear(&mut dialogue, &mut heads, Role::Server, black_box(RESPONSE.as_bytes()));
        });
    });
    group.bench_function("upgrade requests that are all different", |bencher| {
        let mut number = 0_u32;
        let mut request = REQUEST.replace("abcdef", "000000").into_bytes();
        let (target, agent) = (19, 140);
        bencher.iter(|| {
            number += 1;
            let digits = format!("{number:06}");
            request[target..target + 6].copy_from_slice(&digits.as_bytes()[..6]);
            request[agent..agent + 6].copy_from_slice(&digits.as_bytes()[..6]);
            hear(&mut Dialogue::new(), &mut heads, Role::Client, black_box(&request));
        });
    });

    let mut head = None;
    let mut note = |event: Event<'_>| {
        if let Event::Request(request) = event {
            head = Some(request.head);
        }
    };
    Dialogue::new().handle(
        Role::Client,
        StreamEvent::Data(REQUEST.as_bytes()),
        Moment::default(),
        &mut heads,
        &mut note,
    );
    let head = head.expect("the request was told");
    group.bench_function("offer", |bencher| bencher.iter(|| Offer::read(black_box(&head))));
    let response = wsflow::http::head::ResponseHead::new(
        wsflow::http::head::Version::HTTP_11,
        101,
        "Switching Protocols",
        RESPONSE.split_once("\r\n").map_or("", |(_, lines)| lines),
    );
    group.bench_function("answer", |bencher| {
        bencher.iter(|| Answer::read(black_box(&response), Some(&head)));
    });

    let segment = vec![b'x'; 1460];
    let mut dialogue = Dialogue::new();
    hear(&mut dialogue, &mut heads, Role::Server, b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\n");
    group.throughput(Throughput::Bytes(segment.len() as u64));
    group.bench_function("segment of a body", |bencher| {
        bencher.iter(|| hear(&mut dialogue, &mut heads, Role::Server, black_box(&segment)));
    });
    group.finish();
}

criterion_group!(benches, http);
criterion_main!(benches);
