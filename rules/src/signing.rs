//! Signatures (Ed25519, RFC 8032) under what the gateway vouches for: sealed reports, corrections, changes of its key.

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::hex::Hex;

/// An Ed25519 public key.
pub type PublicKey = Hex<32>;

/// A private key. It is never printed.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// From the 32 bytes that RFC 8032 calls the private key. `None` if no key comes of them.
    pub fn from_seed(seed: &[u8; 32]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self)
    }

    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        Hex(bytes)
    }

    pub fn sign(&self, text: &[u8]) -> Hex<64> {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.0.sign(text).as_ref());
        Hex(bytes)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey of {}", self.public())
    }
}

/// Whether the owner of the key signed this text.
pub fn is_signed(key: &PublicKey, text: &[u8], signature: &Hex<64>) -> bool {
    UnparsedPublicKey::new(&ED25519, key.0).verify(text, &signature.0).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, tests 1 and 3.
    const VECTORS: [(&str, &str, &str, &str); 2] = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ];

    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(digit).collect()
    }

    #[test]
    fn keys_and_signatures_are_those_of_the_rfc() {
        for (seed, public, text, signature) in VECTORS {
            let key = SigningKey::from_seed(&bytes(seed).try_into().unwrap()).unwrap();
            assert_eq!(key.public().to_string(), public);
            assert_eq!(key.sign(&bytes(text)).to_string(), signature);
            assert!(is_signed(&key.public(), &bytes(text), &signature.parse().unwrap()));
            assert!(!is_signed(&key.public(), b"another text", &signature.parse().unwrap()));
        }
    }

    #[test]
    fn a_key_does_not_print_what_is_secret() {
        let key = SigningKey::from_seed(&[7; 32]).unwrap();
        assert!(!format!("{key:?}").contains("0707"));
    }
}
