//! Sec-WebSocket-Extensions: offers and answers (RFC 6455 §9.1), and permessage-deflate in them (RFC 7692 §7.1).
