//! One side ends the connection, the other has not noticed and goes on: how long nothing had been said.

use wsflow::script::{Script, text};

use super::judge;

/// A client that says something every 100 ms, and goes on for as long after the server's FIN.
fn streams(times: u32) -> Script {
    let say = |script: Script, _| script.client(text("tick")).after_ms(100);
    let before = (0..times).fold(Script::new().opening_handshake(), say);
    (0..times).fold(before.server_fin(), say)
}

#[test]
fn the_silence_is_that_before_the_end() {
    let judged = judge(&streams(20));
    assert_eq!(judged.cause(), Some("fin-without-close"));
    assert!(judged.verdicts()[0].contains("100 ms after the last byte"), "{:?}", judged.verdicts());
}
