//! Cipher suites: their names, and what is needed to decrypt those that can be.

/// A cipher suite by its number in the IANA registry. Unknown numbers keep their value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CipherSuite(pub u16);

/// The hash of a suite's key schedule (TLS 1.3) or pseudorandom function (TLS 1.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
}

impl Hash {
    /// Its output, in bytes.
    pub const fn length(self) -> usize {
        match self {
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
        }
    }
}

/// The MAC of a CBC suite.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mac {
    /// HMAC-SHA1.
    Sha1,
    /// HMAC-SHA256.
    Sha256,
    /// HMAC-SHA384.
    Sha384,
}

impl Mac {
    /// The length of key and tag, in bytes.
    pub const fn length(self) -> usize {
        match self {
            Mac::Sha1 => 20,
            Mac::Sha256 => 32,
            Mac::Sha384 => 48,
        }
    }
}

/// How records are protected.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cipher {
    /// AES-128-GCM (RFC 5288).
    Aes128Gcm,
    /// AES-256-GCM (RFC 5288).
    Aes256Gcm,
    /// ChaCha20-Poly1305 (RFC 7905).
    ChaCha20Poly1305,
    /// AES-128-CCM (RFC 6655).
    Aes128Ccm,
    /// AES-256-CCM (RFC 6655).
    Aes256Ccm,
    /// AES-128-CCM with a tag of 8 bytes (RFC 6655).
    Aes128Ccm8,
    /// AES-256-CCM with a tag of 8 bytes (RFC 6655).
    Aes256Ccm8,
    /// AES-128-CBC with a MAC (RFC 5246 §6.2.3.2).
    Aes128Cbc(Mac),
    /// AES-256-CBC with a MAC (RFC 5246 §6.2.3.2).
    Aes256Cbc(Mac),
}

impl Cipher {
    /// Bytes of its key.
    pub const fn key_length(self) -> usize {
        match self {
            Cipher::Aes128Gcm | Cipher::Aes128Ccm | Cipher::Aes128Ccm8 | Cipher::Aes128Cbc(_) => 16,
            _ => 32,
        }
    }

    /// Bytes of its tag; 0 for CBC.
    pub const fn tag_length(self) -> usize {
        match self {
            Cipher::Aes128Ccm8 | Cipher::Aes256Ccm8 => 8,
            Cipher::Aes128Cbc(_) | Cipher::Aes256Cbc(_) => 0,
            _ => 16,
        }
    }

    /// What a record costs above its plaintext, the header aside: at least and at most, in bytes.
    ///
    /// TLS 1.3 adds the content type (RFC 8446 §5.2, padding not counted: hardly anybody pads); GCM and CCM of TLS 1.2
    /// the explicit part of the nonce (RFC 5288 §3); CBC an IV, a MAC, and padding of one to sixteen bytes.
    pub const fn overhead(self, tls13: bool) -> (u16, u16) {
        let tag = self.tag_length() as u16;
        match self {
            Cipher::Aes128Cbc(mac) | Cipher::Aes256Cbc(mac) => {
                let least = 16 + mac.length() as u16 + 1;
                (least, least + 15)
            }
            _ if tls13 => (tag + 1, tag + 1),
            Cipher::ChaCha20Poly1305 => (tag, tag),
            _ => (tag + 8, tag + 8),
        }
    }
}

impl CipherSuite {
    /// Its name in the registry, `None` when it is not listed here.
    pub fn name(self) -> Option<&'static str> {
        self.find().map(|&(_, name, ..)| name)
    }

    /// Its name, or its number.
    pub fn text(self) -> String {
        self.name().map_or_else(|| format!("{:#06x}", self.0), str::to_owned)
    }

    /// Cipher and hash, when records of this suite can be decrypted.
    pub fn protection(self) -> Option<(Cipher, Hash)> {
        self.find().and_then(|&(_, _, cipher, hash)| Some((cipher?, hash)))
    }

    /// Whether it is a suite of TLS 1.3 (RFC 8446 §B.4).
    pub const fn is_tls13(self) -> bool {
        self.0 >> 8 == 0x13
    }

    fn find(self) -> Option<&'static Entry> {
        SUITES.binary_search_by_key(&self.0, |&(number, ..)| number).ok().map(|index| &SUITES[index])
    }
}

type Entry = (u16, &'static str, Option<Cipher>, Hash);

use Hash::{Sha256, Sha384};

const GCM128: Option<Cipher> = Some(Cipher::Aes128Gcm);
const GCM256: Option<Cipher> = Some(Cipher::Aes256Gcm);
const CHACHA: Option<Cipher> = Some(Cipher::ChaCha20Poly1305);
const CCM128: Option<Cipher> = Some(Cipher::Aes128Ccm);
const CCM256: Option<Cipher> = Some(Cipher::Aes256Ccm);
const CCM128_8: Option<Cipher> = Some(Cipher::Aes128Ccm8);
const CCM256_8: Option<Cipher> = Some(Cipher::Aes256Ccm8);
const CBC128: Option<Cipher> = Some(Cipher::Aes128Cbc(Mac::Sha1));
const CBC256: Option<Cipher> = Some(Cipher::Aes256Cbc(Mac::Sha1));
const CBC128_256: Option<Cipher> = Some(Cipher::Aes128Cbc(Mac::Sha256));
const CBC256_256: Option<Cipher> = Some(Cipher::Aes256Cbc(Mac::Sha256));
const CBC256_384: Option<Cipher> = Some(Cipher::Aes256Cbc(Mac::Sha384));

/// By number.
#[rustfmt::skip]
const SUITES: &[Entry] = &[
    (0x0004, "TLS_RSA_WITH_RC4_128_MD5", None, Sha256),
    (0x0005, "TLS_RSA_WITH_RC4_128_SHA", None, Sha256),
    (0x000A, "TLS_RSA_WITH_3DES_EDE_CBC_SHA", None, Sha256),
    (0x0016, "TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA", None, Sha256),
    (0x002F, "TLS_RSA_WITH_AES_128_CBC_SHA", CBC128, Sha256),
    (0x0032, "TLS_DHE_DSS_WITH_AES_128_CBC_SHA", CBC128, Sha256),
    (0x0033, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA", CBC128, Sha256),
    (0x0034, "TLS_DH_anon_WITH_AES_128_CBC_SHA", CBC128, Sha256),
    (0x0035, "TLS_RSA_WITH_AES_256_CBC_SHA", CBC256, Sha256),
    (0x0038, "TLS_DHE_DSS_WITH_AES_256_CBC_SHA", CBC256, Sha256),
    (0x0039, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA", CBC256, Sha256),
    (0x003A, "TLS_DH_anon_WITH_AES_256_CBC_SHA", CBC256, Sha256),
    (0x003C, "TLS_RSA_WITH_AES_128_CBC_SHA256", CBC128_256, Sha256),
    (0x003D, "TLS_RSA_WITH_AES_256_CBC_SHA256", CBC256_256, Sha256),
    (0x0040, "TLS_DHE_DSS_WITH_AES_128_CBC_SHA256", CBC128_256, Sha256),
    (0x0041, "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA", None, Sha256),
    (0x0067, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256", CBC128_256, Sha256),
    (0x006A, "TLS_DHE_DSS_WITH_AES_256_CBC_SHA256", CBC256_256, Sha256),
    (0x006B, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256", CBC256_256, Sha256),
    (0x006C, "TLS_DH_anon_WITH_AES_128_CBC_SHA256", CBC128_256, Sha256),
    (0x006D, "TLS_DH_anon_WITH_AES_256_CBC_SHA256", CBC256_256, Sha256),
    (0x0084, "TLS_RSA_WITH_CAMELLIA_256_CBC_SHA", None, Sha256),
    (0x008C, "TLS_PSK_WITH_AES_128_CBC_SHA", CBC128, Sha256),
    (0x008D, "TLS_PSK_WITH_AES_256_CBC_SHA", CBC256, Sha256),
    (0x009C, "TLS_RSA_WITH_AES_128_GCM_SHA256", GCM128, Sha256),
    (0x009D, "TLS_RSA_WITH_AES_256_GCM_SHA384", GCM256, Sha384),
    (0x009E, "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", GCM128, Sha256),
    (0x009F, "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384", GCM256, Sha384),
    (0x00A2, "TLS_DHE_DSS_WITH_AES_128_GCM_SHA256", GCM128, Sha256),
    (0x00A3, "TLS_DHE_DSS_WITH_AES_256_GCM_SHA384", GCM256, Sha384),
    (0x00A6, "TLS_DH_anon_WITH_AES_128_GCM_SHA256", GCM128, Sha256),
    (0x00A7, "TLS_DH_anon_WITH_AES_256_GCM_SHA384", GCM256, Sha384),
    (0x00A8, "TLS_PSK_WITH_AES_128_GCM_SHA256", GCM128, Sha256),
    (0x00A9, "TLS_PSK_WITH_AES_256_GCM_SHA384", GCM256, Sha384),
    (0x00AA, "TLS_DHE_PSK_WITH_AES_128_GCM_SHA256", GCM128, Sha256),
    (0x00AB, "TLS_DHE_PSK_WITH_AES_256_GCM_SHA384", GCM256, Sha384),
    (0x00AE, "TLS_PSK_WITH_AES_128_CBC_SHA256", CBC128_256, Sha256),
    (0x00AF, "TLS_PSK_WITH_AES_256_CBC_SHA384", CBC256_384, Sha384),
    (0x1301, "TLS_AES_128_GCM_SHA256", GCM128, Sha256),
    (0x1302, "TLS_AES_256_GCM_SHA384", GCM256, Sha384),
    (0x1303, "TLS_CHACHA20_POLY1305_SHA256", CHACHA, Sha256),
    (0x1304, "TLS_AES_128_CCM_SHA256", CCM128, Sha256),
    (0x1305, "TLS_AES_128_CCM_8_SHA256", CCM128_8, Sha256),
    (0xC004, "TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA", CBC128, Sha256),
    (0xC005, "TLS_ECDH_ECDSA_WITH_AES_256_CBC_SHA", CBC256, Sha256),
    (0xC007, "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", None, Sha256),
    (0xC008, "TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA", None, Sha256),
    (0xC009, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", CBC128, Sha256),
    (0xC00A, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", CBC256, Sha256),
    (0xC00E, "TLS_ECDH_RSA_WITH_AES_128_CBC_SHA", CBC128, Sha256),
    (0xC00F, "TLS_ECDH_RSA_WITH_AES_256_CBC_SHA", CBC256, Sha256),
    (0xC011, "TLS_ECDHE_RSA_WITH_RC4_128_SHA", None, Sha256),
    (0xC012, "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", None, Sha256),
    (0xC013, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", CBC128, Sha256),
    (0xC014, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", CBC256, Sha256),
    (0xC018, "TLS_ECDH_anon_WITH_AES_128_CBC_SHA", CBC128, Sha256),
    (0xC019, "TLS_ECDH_anon_WITH_AES_256_CBC_SHA", CBC256, Sha256),
    (0xC023, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", CBC128_256, Sha256),
    (0xC024, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", CBC256_384, Sha384),
    (0xC025, "TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA256", CBC128_256, Sha256),
    (0xC026, "TLS_ECDH_ECDSA_WITH_AES_256_CBC_SHA384", CBC256_384, Sha384),
    (0xC027, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", CBC128_256, Sha256),
    (0xC028, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", CBC256_384, Sha384),
    (0xC029, "TLS_ECDH_RSA_WITH_AES_128_CBC_SHA256", CBC128_256, Sha256),
    (0xC02A, "TLS_ECDH_RSA_WITH_AES_256_CBC_SHA384", CBC256_384, Sha384),
    (0xC02B, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", GCM128, Sha256),
    (0xC02C, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", GCM256, Sha384),
    (0xC02D, "TLS_ECDH_ECDSA_WITH_AES_128_GCM_SHA256", GCM128, Sha256),
    (0xC02E, "TLS_ECDH_ECDSA_WITH_AES_256_GCM_SHA384", GCM256, Sha384),
    (0xC02F, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", GCM128, Sha256),
    (0xC030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", GCM256, Sha384),
    (0xC031, "TLS_ECDH_RSA_WITH_AES_128_GCM_SHA256", GCM128, Sha256),
    (0xC032, "TLS_ECDH_RSA_WITH_AES_256_GCM_SHA384", GCM256, Sha384),
    (0xC035, "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA", CBC128, Sha256),
    (0xC036, "TLS_ECDHE_PSK_WITH_AES_256_CBC_SHA", CBC256, Sha256),
    (0xC037, "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256", CBC128_256, Sha256),
    (0xC038, "TLS_ECDHE_PSK_WITH_AES_256_CBC_SHA384", CBC256_384, Sha384),
    (0xC050, "TLS_RSA_WITH_ARIA_128_GCM_SHA256", None, Sha256),
    (0xC051, "TLS_RSA_WITH_ARIA_256_GCM_SHA384", None, Sha384),
    (0xC05C, "TLS_ECDHE_ECDSA_WITH_ARIA_128_GCM_SHA256", None, Sha256),
    (0xC05D, "TLS_ECDHE_ECDSA_WITH_ARIA_256_GCM_SHA384", None, Sha384),
    (0xC060, "TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256", None, Sha256),
    (0xC061, "TLS_ECDHE_RSA_WITH_ARIA_256_GCM_SHA384", None, Sha384),
    (0xC072, "TLS_ECDHE_ECDSA_WITH_CAMELLIA_128_CBC_SHA256", None, Sha256),
    (0xC073, "TLS_ECDHE_ECDSA_WITH_CAMELLIA_256_CBC_SHA384", None, Sha384),
    (0xC076, "TLS_ECDHE_RSA_WITH_CAMELLIA_128_CBC_SHA256", None, Sha256),
    (0xC077, "TLS_ECDHE_RSA_WITH_CAMELLIA_256_CBC_SHA384", None, Sha384),
    (0xC09C, "TLS_RSA_WITH_AES_128_CCM", CCM128, Sha256),
    (0xC09D, "TLS_RSA_WITH_AES_256_CCM", CCM256, Sha256),
    (0xC09E, "TLS_DHE_RSA_WITH_AES_128_CCM", CCM128, Sha256),
    (0xC09F, "TLS_DHE_RSA_WITH_AES_256_CCM", CCM256, Sha256),
    (0xC0A0, "TLS_RSA_WITH_AES_128_CCM_8", CCM128_8, Sha256),
    (0xC0A1, "TLS_RSA_WITH_AES_256_CCM_8", CCM256_8, Sha256),
    (0xC0A2, "TLS_DHE_RSA_WITH_AES_128_CCM_8", CCM128_8, Sha256),
    (0xC0A3, "TLS_DHE_RSA_WITH_AES_256_CCM_8", CCM256_8, Sha256),
    (0xC0A4, "TLS_PSK_WITH_AES_128_CCM", CCM128, Sha256),
    (0xC0A5, "TLS_PSK_WITH_AES_256_CCM", CCM256, Sha256),
    (0xC0A6, "TLS_DHE_PSK_WITH_AES_128_CCM", CCM128, Sha256),
    (0xC0A7, "TLS_DHE_PSK_WITH_AES_256_CCM", CCM256, Sha256),
    (0xC0A8, "TLS_PSK_WITH_AES_128_CCM_8", CCM128_8, Sha256),
    (0xC0A9, "TLS_PSK_WITH_AES_256_CCM_8", CCM256_8, Sha256),
    (0xC0AC, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM", CCM128, Sha256),
    (0xC0AD, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM", CCM256, Sha256),
    (0xC0AE, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8", CCM128_8, Sha256),
    (0xC0AF, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8", CCM256_8, Sha256),
    (0xCCA8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", CHACHA, Sha256),
    (0xCCA9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", CHACHA, Sha256),
    (0xCCAA, "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256", CHACHA, Sha256),
    (0xCCAB, "TLS_PSK_WITH_CHACHA20_POLY1305_SHA256", CHACHA, Sha256),
    (0xCCAC, "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256", CHACHA, Sha256),
    (0xCCAD, "TLS_DHE_PSK_WITH_CHACHA20_POLY1305_SHA256", CHACHA, Sha256),
    (0xD001, "TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256", GCM128, Sha256),
    (0xD002, "TLS_ECDHE_PSK_WITH_AES_256_GCM_SHA384", GCM256, Sha384),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_agrees_with_its_names() {
        assert!(SUITES.is_sorted_by_key(|&(number, ..)| number));
        for &(_, name, cipher, hash) in SUITES {
            let Some(cipher) = cipher else { continue };
            assert_eq!(name.contains("128") && !name.contains("POLY"), cipher.key_length() == 16, "{name}");
            assert_eq!(name.contains("CBC"), cipher.tag_length() == 0, "{name}");
            assert_eq!(name.contains("CCM_8"), cipher.tag_length() == 8, "{name}");
            assert_eq!(name.ends_with("SHA384"), hash == Sha384, "{name}");
            if let Cipher::Aes128Cbc(mac) | Cipher::Aes256Cbc(mac) = cipher {
                let suffix = match mac {
                    Mac::Sha1 => "SHA",
                    Mac::Sha256 => "SHA256",
                    Mac::Sha384 => "SHA384",
                };
                assert!(name.ends_with(suffix), "{name}");
            }
        }
    }

    #[test]
    fn overheads_are_those_of_the_standards() {
        assert_eq!(Cipher::Aes128Gcm.overhead(true), (17, 17));
        assert_eq!(Cipher::Aes128Gcm.overhead(false), (24, 24));
        assert_eq!(Cipher::ChaCha20Poly1305.overhead(false), (16, 16));
        assert_eq!(Cipher::Aes128Ccm8.overhead(false), (16, 16));
        assert_eq!(Cipher::Aes128Cbc(Mac::Sha1).overhead(false), (37, 52));
    }
}
