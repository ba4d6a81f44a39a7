//! The CBC suites of TLS 1.2 (RFC 5246 §6.2.3.2), also with the MAC over the ciphertext (RFC 7366).
//!
//! Nobody waits for an answer of ours, so that nothing here needs to take the same time for good and bad padding.

use aes::cipher::block_padding::NoPadding;
use aes::cipher::{Array, BlockModeDecrypt, InnerIvInit};
use aes::{Aes128Dec, Aes256Dec};
use hmac::{Hmac, KeyInit};
use sha1::Sha1;
use sha2::{Sha256, Sha384};

use super::decryptor::additional_data;
use super::record::RecordHeader;

const BLOCK: usize = 16;

/// Keys of one direction.
pub(super) struct Cbc {
    cipher: Aes,
    mac: KeyedMac,
    encrypt_then_mac: bool,
}

impl Cbc {
    /// The lengths of the keys say which cipher and MAC these are: AES-128 or AES-256; SHA-1, SHA-256 or SHA-384.
    pub(super) fn new(mac_key: &[u8], key: &[u8], encrypt_then_mac: bool) -> Cbc {
        Cbc { cipher: Aes::new(key), mac: KeyedMac::new(mac_key), encrypt_then_mac }
    }

    /// Decrypts one record into `plain`, which is empty. Whether MAC and padding are right.
    pub(super) fn open(&self, seq: u64, header: RecordHeader, body: &[u8], plain: &mut Vec<u8>) -> bool {
        if self.encrypt_then_mac {
            self.open_outer(seq, header, body, plain)
        } else {
            self.open_inner(seq, header, body, plain)
        }
    }

    /// IV, then content, MAC and padding encrypted.
    fn open_inner(&self, seq: u64, header: RecordHeader, body: &[u8], plain: &mut Vec<u8>) -> bool {
        if !self.decrypt(body, plain) || !strip_padding(plain) {
            return false;
        }
        let Some(length) = plain.len().checked_sub(self.mac.length()) else { return false };
        let (content, tag) = plain.split_at(length);
        if !self.mac.verify(&[&additional_data(seq, header, length), content], tag) {
            return false;
        }
        plain.truncate(length);
        true
    }

    /// IV, then content and padding encrypted, then the MAC of both.
    fn open_outer(&self, seq: u64, header: RecordHeader, body: &[u8], plain: &mut Vec<u8>) -> bool {
        let Some(length) = body.len().checked_sub(self.mac.length()) else { return false };
        let (sealed, tag) = body.split_at(length);
        self.mac.verify(&[&additional_data(seq, header, length), sealed], tag)
            && self.decrypt(sealed, plain)
            && strip_padding(plain)
    }

    fn decrypt(&self, body: &[u8], plain: &mut Vec<u8>) -> bool {
        let Some((iv, sealed)) = body.split_first_chunk::<BLOCK>() else { return false };
        if sealed.is_empty() || sealed.len() % BLOCK != 0 {
            return false;
        }
        plain.extend_from_slice(sealed);
        let iv = Array::from(*iv);
        match &self.cipher {
            Aes::Aes128(key) => cbc::Decryptor::inner_iv_init(&**key, &iv).decrypt_padded::<NoPadding>(plain).is_ok(),
            Aes::Aes256(key) => cbc::Decryptor::inner_iv_init(&**key, &iv).decrypt_padded::<NoPadding>(plain).is_ok(),
        }
    }
}

/// The last byte says how many bytes of the same value stand before it (RFC 5246 §6.2.3.2).
fn strip_padding(plain: &mut Vec<u8>) -> bool {
    let Some(&padding) = plain.last() else { return false };
    let Some(length) = plain.len().checked_sub(usize::from(padding) + 1) else { return false };
    let right = plain[length..].iter().all(|&byte| byte == padding);
    plain.truncate(length);
    right
}

enum Aes {
    Aes128(Box<Aes128Dec>),
    Aes256(Box<Aes256Dec>),
}

impl Aes {
    fn new(key: &[u8]) -> Aes {
        match Aes128Dec::new_from_slice(key) {
            Ok(key) => Aes::Aes128(Box::new(key)),
            Err(_) => Aes::Aes256(Box::new(Aes256Dec::new_from_slice(key).expect("a key of 16 or 32 bytes"))),
        }
    }
}

enum KeyedMac {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
}

impl KeyedMac {
    fn new(key: &[u8]) -> KeyedMac {
        const INVARIANT: &str = "HMAC takes a key of any length";
        match key.len() {
            20 => KeyedMac::Sha1(Hmac::new_from_slice(key).expect(INVARIANT)),
            32 => KeyedMac::Sha256(Hmac::new_from_slice(key).expect(INVARIANT)),
            _ => KeyedMac::Sha384(Hmac::new_from_slice(key).expect(INVARIANT)),
        }
    }

    fn length(&self) -> usize {
        match self {
            KeyedMac::Sha1(_) => 20,
            KeyedMac::Sha256(_) => 32,
            KeyedMac::Sha384(_) => 48,
        }
    }

    fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        match self {
            KeyedMac::Sha1(mac) => verify(mac.clone(), parts, tag),
            KeyedMac::Sha256(mac) => verify(mac.clone(), parts, tag),
            KeyedMac::Sha384(mac) => verify(mac.clone(), parts, tag),
        }
    }
}

fn verify<M: hmac::Mac>(mut mac: M, parts: &[&[u8]], tag: &[u8]) -> bool {
    for part in parts {
        mac.update(part);
    }
    mac.verify_slice(tag).is_ok()
}
