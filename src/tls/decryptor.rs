//! Record protection undone (RFC 8446 §5.2, RFC 5246 §6.2.3, RFC 7366): one direction, one set of keys.
//!
//! What does not authenticate is not decrypted: a wrong key gives nothing, never wrong text.

use aes::{Aes128, Aes256};
use aes_gcm::aead::array::Array;
use aes_gcm::aead::consts::{U8, U12, U16};
use aes_gcm::aead::{AeadCore, AeadInOut};
use aes_gcm::{Aes128Gcm, Aes256Gcm, KeyInit};
use ccm::Ccm;
use chacha20poly1305::ChaCha20Poly1305;
use zeroize::{Zeroize, Zeroizing};

use super::cbc::Cbc;
use super::key_schedule::{expand_label, prf};
use super::record::{ContentType, RecordHeader};
use super::secrets::ClientRandom;
use super::suite::{Cipher, Hash};
use crate::stream::Role;

/// Decrypts the records that one side protects with one set of keys. Knows no sequence number: the caller counts.
pub struct Decryptor {
    protection: Protection,
    cipher: Cipher,
    tls13: bool,
}

enum Protection {
    Aead { key: Aead, iv: Zeroizing<[u8; 12]> },
    Cbc(Box<Cbc>),
}

/// What the keys of TLS 1.2 are made of, the master secret aside.
#[derive(Clone, Copy)]
pub struct Tls12Parameters<'a> {
    /// Of the ClientHello.
    pub client_random: &'a ClientRandom,
    /// Of the ServerHello.
    pub server_random: &'a [u8; 32],
    /// Whether the two agreed to encrypt_then_mac (RFC 7366).
    pub encrypt_then_mac: bool,
}

impl Decryptor {
    /// From a traffic secret (RFC 8446 §7.3). `None` when the secret has not the length of the suite's hash.
    pub fn tls13(cipher: Cipher, hash: Hash, secret: &[u8]) -> Option<Decryptor> {
        if secret.len() != hash.length() {
            return None;
        }
        let mut key = Zeroizing::new([0; 32]);
        let key = &mut key[..cipher.key_length()];
        let mut iv = Zeroizing::new([0; 12]);
        expand_label(hash, secret, "key", key);
        expand_label(hash, secret, "iv", &mut *iv);
        let protection = Protection::Aead { key: Aead::new(cipher, key)?, iv };
        Some(Decryptor { protection, cipher, tls13: true })
    }

    /// From a master secret: the keys with which `role` writes (RFC 5246 §6.3).
    pub fn tls12(cipher: Cipher, hash: Hash, master: &[u8], with: Tls12Parameters<'_>, role: Role) -> Decryptor {
        let (mac, iv) = match cipher {
            Cipher::Aes128Cbc(mac) | Cipher::Aes256Cbc(mac) => (mac.length(), 0),
            Cipher::ChaCha20Poly1305 => (0, 12),
            _ => (0, 4),
        };
        let key = cipher.key_length();
        // At most two MAC keys of 48 bytes, two keys of 32, two IVs of 12.
        let mut block = Zeroizing::new([0; 2 * (48 + 32 + 12)]);
        let block = &mut block[..2 * (mac + key + iv)];
        prf(hash, master, "key expansion", &[with.server_random, with.client_random], block);
        let server = usize::from(role == Role::Server);
        let part = |start: usize, length: usize| &block[start + server * length..][..length];
        let (mac_key, key_bytes) = (part(0, mac), part(2 * mac, key));
        let protection = match Aead::new(cipher, key_bytes) {
            Some(key_of_aead) => {
                let mut nonce = Zeroizing::new([0; 12]);
                nonce[..iv].copy_from_slice(part(2 * (mac + key), iv));
                Protection::Aead { key: key_of_aead, iv: nonce }
            }
            None => Protection::Cbc(Box::new(Cbc::new(mac_key, key_bytes, with.encrypt_then_mac))),
        };
        Decryptor { protection, cipher, tls13: false }
    }

    /// The cipher.
    pub fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// Whether these are keys of TLS 1.3: the plaintext is a TLSInnerPlaintext, see [`take_inner_type`].
    pub fn is_tls13(&self) -> bool {
        self.tls13
    }

    /// Decrypts one record that was sent with sequence number `seq` into `plain`, whose former content goes. Whether it
    /// authenticated; when it did not, `plain` is empty.
    pub fn open(&self, seq: u64, header: RecordHeader, body: &[u8], plain: &mut Vec<u8>) -> bool {
        plain.clear();
        let opened = match &self.protection {
            Protection::Aead { key, iv } => self.open_aead(key, iv, seq, header, body, plain),
            Protection::Cbc(cbc) => cbc.open(seq, header, body, plain),
        };
        if !opened {
            plain.zeroize();
        }
        opened
    }

    /// The part of the nonce that stands before the ciphertext (RFC 5288 §3), where there is one. Most senders count
    /// it up by one a record.
    pub fn explicit_nonce(&self, body: &[u8]) -> Option<u64> {
        if !self.has_explicit_nonce() {
            return None;
        }
        body.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
    }

    fn has_explicit_nonce(&self) -> bool {
        !self.tls13 && self.cipher.tag_length() > 0 && self.cipher != Cipher::ChaCha20Poly1305
    }

    fn open_aead(
        &self,
        key: &Aead,
        iv: &[u8; 12],
        seq: u64,
        header: RecordHeader,
        body: &[u8],
        plain: &mut Vec<u8>,
    ) -> bool {
        let mut nonce = *iv;
        let sealed = if self.has_explicit_nonce() {
            let Some((explicit, sealed)) = body.split_first_chunk::<8>() else { return false };
            nonce[4..].copy_from_slice(explicit);
            sealed
        } else {
            // RFC 8446 §5.3, RFC 7905 §2: the sequence number is mixed into the IV.
            for (byte, counter) in nonce[4..].iter_mut().zip(seq.to_be_bytes()) {
                *byte ^= counter;
            }
            body
        };
        let Some(length) = sealed.len().checked_sub(self.cipher.tag_length()) else { return false };
        let (sealed, tag) = sealed.split_at(length);
        plain.extend_from_slice(sealed);
        if self.tls13 {
            key.open(&nonce, &header.to_bytes(), plain, tag)
        } else {
            key.open(&nonce, &additional_data(seq, header, length), plain, tag)
        }
    }
}

/// What TLS 1.2 authenticates beside the content: sequence number, type, version, length (RFC 5246 §6.2.3.3).
pub(super) fn additional_data(seq: u64, header: RecordHeader, length: usize) -> [u8; 13] {
    let mut data = [0; 13];
    data[..8].copy_from_slice(&seq.to_be_bytes());
    data[8..11].copy_from_slice(&header.to_bytes()[..3]);
    data[11..].copy_from_slice(&(length as u16).to_be_bytes());
    data
}

/// Takes padding and content type from a decrypted TLSInnerPlaintext (RFC 8446 §5.4): the type, and how much padding
/// there was. `None` when there is nothing but padding.
pub fn take_inner_type(plain: &mut Vec<u8>) -> Option<(ContentType, usize)> {
    let end = plain.iter().rposition(|&byte| byte != 0)?;
    let padding = plain.len() - end - 1;
    let content = ContentType(plain[end]);
    plain.truncate(end);
    Some((content, padding))
}

enum Aead {
    Aes128Gcm(Box<Aes128Gcm>),
    Aes256Gcm(Box<Aes256Gcm>),
    ChaCha20Poly1305(Box<ChaCha20Poly1305>),
    Aes128Ccm(Box<Ccm<Aes128, U16, U12>>),
    Aes256Ccm(Box<Ccm<Aes256, U16, U12>>),
    Aes128Ccm8(Box<Ccm<Aes128, U8, U12>>),
    Aes256Ccm8(Box<Ccm<Aes256, U8, U12>>),
}

impl Aead {
    /// `None` for CBC, and for a key of the wrong length.
    fn new(cipher: Cipher, key: &[u8]) -> Option<Aead> {
        Some(match cipher {
            Cipher::Aes128Gcm => Aead::Aes128Gcm(keyed(key)?),
            Cipher::Aes256Gcm => Aead::Aes256Gcm(keyed(key)?),
            Cipher::ChaCha20Poly1305 => Aead::ChaCha20Poly1305(keyed(key)?),
            Cipher::Aes128Ccm => Aead::Aes128Ccm(keyed(key)?),
            Cipher::Aes256Ccm => Aead::Aes256Ccm(keyed(key)?),
            Cipher::Aes128Ccm8 => Aead::Aes128Ccm8(keyed(key)?),
            Cipher::Aes256Ccm8 => Aead::Aes256Ccm8(keyed(key)?),
            Cipher::Aes128Cbc(_) | Cipher::Aes256Cbc(_) => return None,
        })
    }

    fn open(&self, nonce: &[u8; 12], data: &[u8], text: &mut [u8], tag: &[u8]) -> bool {
        match self {
            Aead::Aes128Gcm(key) => open(&**key, nonce, data, text, tag),
            Aead::Aes256Gcm(key) => open(&**key, nonce, data, text, tag),
            Aead::ChaCha20Poly1305(key) => open(&**key, nonce, data, text, tag),
            Aead::Aes128Ccm(key) => open(&**key, nonce, data, text, tag),
            Aead::Aes256Ccm(key) => open(&**key, nonce, data, text, tag),
            Aead::Aes128Ccm8(key) => open(&**key, nonce, data, text, tag),
            Aead::Aes256Ccm8(key) => open(&**key, nonce, data, text, tag),
        }
    }
}

fn keyed<A: KeyInit>(key: &[u8]) -> Option<Box<A>> {
    A::new_from_slice(key).ok().map(Box::new)
}

fn open<A>(key: &A, nonce: &[u8; 12], data: &[u8], text: &mut [u8], tag: &[u8]) -> bool
where
    A: AeadInOut + AeadCore<NonceSize = U12>,
{
    let Ok(tag) = Array::try_from(tag) else { return false };
    key.decrypt_inout_detached(&Array::from(*nonce), data, text.into(), &tag).is_ok()
}
