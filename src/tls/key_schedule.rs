//! From secrets to keys (RFC 8446 §7, RFC 5246 §5 and §6.3).

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384};
use zeroize::{Zeroize, Zeroizing};

use super::suite::Hash;

/// HKDF-Expand-Label (RFC 8446 §7.1) with an empty context; fills `out`.
///
/// # Panics
///
/// When `secret` is shorter than the hash or `out` longer than 255 hashes: both are chosen by the caller.
pub fn expand_label(hash: Hash, secret: &[u8], label: &str, out: &mut [u8]) {
    let mut info = [0u8; 64];
    let full = 6 + label.len();
    info[..2].copy_from_slice(&(out.len() as u16).to_be_bytes());
    info[2] = full as u8;
    info[3..9].copy_from_slice(b"tls13 ");
    info[9..3 + full].copy_from_slice(label.as_bytes());
    // The byte behind the label is the length of the context: none.
    let info = &info[..full + 4];
    const INVARIANT: &str = "the secret has the length of the hash, the output is shorter than 255 hashes";
    match hash {
        Hash::Sha256 => Hkdf::<Sha256>::from_prk(secret).expect(INVARIANT).expand(info, out).expect(INVARIANT),
        Hash::Sha384 => Hkdf::<Sha384>::from_prk(secret).expect(INVARIANT).expand(info, out).expect(INVARIANT),
    }
}

/// The secret after a KeyUpdate (RFC 8446 §7.2).
pub fn next_traffic_secret(hash: Hash, secret: &[u8]) -> Zeroizing<[u8; 48]> {
    let mut next = Zeroizing::new([0; 48]);
    expand_label(hash, secret, "traffic upd", &mut next[..hash.length()]);
    next
}

/// The pseudorandom function of TLS 1.2 (RFC 5246 §5); fills `out`. The seed is given in parts.
pub fn prf(hash: Hash, secret: &[u8], label: &str, seed: &[&[u8]], out: &mut [u8]) {
    match hash {
        Hash::Sha256 => p_hash::<Hmac<Sha256>>(secret, label, seed, out),
        Hash::Sha384 => p_hash::<Hmac<Sha384>>(secret, label, seed, out),
    }
}

fn p_hash<M: Mac + KeyInit + Clone>(secret: &[u8], label: &str, seed: &[&[u8]], out: &mut [u8]) {
    let keyed = <M as KeyInit>::new_from_slice(secret).expect("HMAC takes a key of any length");
    let with_seed = |mut mac: M| {
        mac.update(label.as_bytes());
        for part in seed {
            mac.update(part);
        }
        mac.finalize().into_bytes()
    };
    // A(1) = HMAC(secret, seed); A(i) = HMAC(secret, A(i-1)).
    let mut a = with_seed(keyed.clone());
    for chunk in out.chunks_mut(a.len()) {
        let mut mac = keyed.clone();
        mac.update(&a);
        let mut block = with_seed(mac);
        chunk.copy_from_slice(&block[..chunk.len()]);
        block.as_mut_slice().zeroize();
        let mut mac = keyed.clone();
        mac.update(&a);
        a = mac.finalize().into_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: String = text.split_whitespace().collect();
        (0..digits.len() / 2).map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap()).collect()
    }

    /// RFC 8448 §3: "derive write traffic keys for handshake data" of the server.
    #[test]
    fn keys_of_a_traffic_secret() {
        let secret = hex("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38");
        let (mut key, mut iv) = ([0; 16], [0; 12]);
        expand_label(Hash::Sha256, &secret, "key", &mut key);
        expand_label(Hash::Sha256, &secret, "iv", &mut iv);
        assert_eq!(key[..], hex("3fce516009c21727d0f2e4e86ee403bc"));
        assert_eq!(iv[..], hex("5d313eb2671276ee13000b30"));
    }

    /// The widely published test vector for the PRF with SHA-256 (posted to the TLS working group in 2009).
    #[test]
    fn the_pseudorandom_function() {
        let secret = hex("9bbe436ba940f017b17652849a71db35");
        let seed = hex("a0ba9f936cda311827a6f796ffd5198c");
        let mut out = [0; 100];
        prf(Hash::Sha256, &secret, "test label", &[&seed[..7], &seed[7..]], &mut out);
        assert_eq!(out[..32], hex("e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a"));
        assert_eq!(out[96..], hex("87347b66"));
    }
}
