//! Keys, and a manifest that somebody vouches for (Ed25519 over the manifest's hash).
//!
//! A valid signature proves that the named key signed; whether that key is the device's, the caller compares.

use std::{fmt, str::FromStr};

use dashvault_base::ContentHash;
use ed25519_dalek::{Signature, Signer, VerifyingKey};

use super::{Manifest, ManifestError};

/// A device's or vault's secret key.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key that a 32-byte secret seed stands for.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// The key that others check signatures with.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }
}

impl SigningKey {
    /// Signs any statement. `context` says what kind it is, so that one kind never passes for another, nor for a manifest.
    #[must_use]
    pub fn sign_statement(&self, context: &str, statement: &[u8]) -> [u8; 64] {
        self.0.sign(&statement_hash(context, statement)).to_bytes()
    }
}

/// The domain-separated hash of a statement.
fn statement_hash(context: &str, statement: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new_derive_key(context).update(statement).finalize().as_bytes()
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public_key().fingerprint())
    }
}

/// An Ed25519 public key; text form is 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Takes the 32 bytes as they are; a key that is no curve point verifies nothing.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether this key signed a statement of this kind.
    ///
    /// # Errors
    /// It did not, or is no valid key.
    pub fn verify_statement(
        &self,
        context: &str,
        statement: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), SignatureError> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| SignatureError)?;
        let signature = Signature::from_bytes(signature);
        key.verify_strict(&statement_hash(context, statement), &signature).map_err(|_| SignatureError)
    }

    /// A short form for people to compare: eight groups of four hex digits of the key's BLAKE3.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let hash = ContentHash::of(&self.0).to_string();
        let groups: Vec<&str> = (0..8).filter_map(|group| hash.get(group * 4..group * 4 + 4)).collect();
        groups.join(":")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&ContentHash::from_bytes(self.0), f)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// The text is not 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a public key is 64 hex digits")]
pub struct PublicKeyParseError;

impl FromStr for PublicKey {
    type Err = PublicKeyParseError;

    fn from_str(text: &str) -> Result<Self, PublicKeyParseError> {
        let bytes: ContentHash = text.parse().map_err(|_| PublicKeyParseError)?;
        Ok(Self(*bytes.as_bytes()))
    }
}

/// The signature does not belong to this manifest and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the manifest's signature is not that of its key")]
pub struct SignatureError;

/// A manifest, the key that vouches for it, and the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedManifest {
    manifest: Manifest,
    public_key: PublicKey,
    signature: [u8; 64],
}

impl SignedManifest {
    /// Signs `manifest`.
    ///
    /// # Errors
    /// The manifest is one that no reader would accept.
    pub fn sign(manifest: Manifest, key: &SigningKey) -> Result<Self, ManifestError> {
        manifest.check()?;
        let signature = key.0.sign(manifest.hash().as_bytes()).to_bytes();
        Ok(Self { manifest, public_key: key.public_key(), signature })
    }

    /// Puts together what was read; nothing is proven until [`SignedManifest::verify`].
    #[must_use]
    pub const fn from_parts(manifest: Manifest, public_key: PublicKey, signature: [u8; 64]) -> Self {
        Self { manifest, public_key, signature }
    }

    /// Whether the signature is that of the key over this manifest.
    ///
    /// # Errors
    /// It is not, or the key is no valid one.
    pub fn verify(&self) -> Result<(), SignatureError> {
        let key = VerifyingKey::from_bytes(&self.public_key.0).map_err(|_| SignatureError)?;
        let signature = Signature::from_bytes(&self.signature);
        key.verify_strict(self.manifest.hash().as_bytes(), &signature).map_err(|_| SignatureError)
    }

    /// What is signed.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What is signed, without the rest.
    #[must_use]
    pub fn into_manifest(self) -> Manifest {
        self.manifest
    }

    /// The key it names.
    #[must_use]
    pub const fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// The Ed25519 signature.
    #[must_use]
    pub const fn signature(&self) -> &[u8; 64] {
        &self.signature
    }
}
