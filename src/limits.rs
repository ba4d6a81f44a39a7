//! Every bound of the program in one place, with its reason. Reaching one is counted and shown.

use std::time::Duration;

/// The bounds. [`Limits::default`] is what the program runs with.
#[derive(Clone, Debug)]
pub struct Limits {
    /// TCP connections followed at a time. A connection is about 300 bytes, so that a million fit in 512 MiB.
    pub connections: usize,
    /// Segments held out of order for one direction: Arkime's 256 has proved itself.
    pub held_segments: usize,
    /// Bytes held out of order for one direction. Larger than any usual receive window, smaller than a flood.
    pub held_bytes: usize,
    /// Memory for what is held out of order on all connections together. Beyond it holes are given up at once.
    pub held_memory: usize,
    /// How long a hole may stay open while later bytes wait. A retransmission timer backs off to about this.
    pub held_time: Duration,
    /// Bytes of one HTTP head. Servers refuse heads above 8 to 64 KiB; what they refused is read too.
    pub head_bytes: usize,
    /// Header fields of one head.
    pub head_fields: usize,
    /// Bytes of an answer's body that are kept to be quoted.
    pub body_bytes: usize,
    /// Bytes that a client sent behind its upgrade request, kept until the answer is known.
    pub early_bytes: usize,
    /// Streams of one HTTP/2 connection followed at a time. Servers allow 100 to 250.
    pub h2_streams: usize,
    /// Bytes of one HPACK dynamic table. Browsers ask for 64 KiB.
    pub h2_table_bytes: usize,
    /// Requests of one connection that may wait for their answers: nobody pipelines deeper.
    pub pipelined_requests: usize,
    /// Bytes of a message kept as its preview, when somebody asks for messages.
    pub preview_bytes: usize,
    /// Bytes that one compressed message may inflate to before it is only counted: a bomb grows a thousandfold.
    pub inflated_bytes: u64,
    /// Inflaters, shared by all directions that compress. Each is about 48 KiB.
    pub inflaters: usize,
    /// Violations kept for one direction of a leg; more are counted.
    pub violations: usize,
    /// Pings that may wait for their pong.
    pub pings_waiting: usize,
    /// Sessions kept until the end, so that they can be judged with knowledge of all others.
    pub sessions: usize,
    /// Headers peeled off one packet, from the link layer to TCP. Three tunnels in one another need about twelve.
    pub nested_headers: usize,
    /// Fragmented IP datagrams put together at a time.
    pub fragmented_datagrams: usize,
    /// Bytes of all fragments held at a time.
    pub fragment_bytes: usize,
    /// How long a datagram waits for its fragments (RFC 8200 §4.5 says 60 s; captures are in order).
    pub fragment_time: Duration,
    /// Plain HTTP exchanges, and connections without a session, remembered for joining.
    pub bystanders: usize,
    /// How long a connection that ended is remembered for late packets, as TIME-WAIT does.
    pub linger: Duration,
    /// How long a silent connection is followed before it may be forgotten when room is needed.
    pub idle: Duration,
    /// Bytes of TLS records held until a secret comes, for one direction.
    pub tls_held_bytes: usize,
    /// Bytes of TLS records held so by all connections together.
    pub tls_held_total: usize,
    /// Bytes of one TLS handshake message: chains of certificates have some ten thousand.
    pub tls_handshake_bytes: usize,
    /// TLS secrets kept.
    pub secrets: usize,
    /// Memory for packets that wait until it is known whether their session is written, while capturing.
    pub waiting_packet_bytes: usize,
    /// Memory for packets that wait until somebody at the screen saves their session. Nobody asked for it: half of the above.
    pub saveable_packet_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 1_500_000,
            held_segments: 256,
            held_bytes: 1 << 20,
            held_memory: 32 << 20,
            held_time: Duration::from_secs(5),
            head_bytes: 128 << 10,
            head_fields: 256,
            body_bytes: 1 << 10,
            early_bytes: 16 << 10,
            h2_streams: 1024,
            h2_table_bytes: 64 << 10,
            pipelined_requests: 64,
            preview_bytes: 256,
            inflated_bytes: 16 << 20,
            inflaters: 128,
            violations: 8,
            pings_waiting: 16,
            sessions: 5_000,
            nested_headers: 24,
            fragmented_datagrams: 1024,
            fragment_bytes: 8 << 20,
            fragment_time: Duration::from_secs(30),
            bystanders: 4096,
            linger: Duration::from_secs(2),
            idle: Duration::from_secs(300),
            tls_held_bytes: 256 << 10,
            tls_held_total: 64 << 20,
            tls_handshake_bytes: 128 << 10,
            secrets: 1_000_000,
            waiting_packet_bytes: 256 << 20,
            saveable_packet_bytes: 128 << 20,
        }
    }
}
