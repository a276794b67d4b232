//! Refresh tokens. None is stored: the token of a generation is derived from the grant's seed and the root key of the
//! grant's birth, so that it takes the database and the root key to make one.
//!
//! `sgr_` and base64url of: format (1 byte, 1) | root key fingerprint (4) | grant id (16) | generation (8, big-endian) |
//! prefilter (8) | tag (32). 69 bytes, 92 characters.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::{MacKeys, RootKeyError, RootKeyId, RootKeys, TAG_BYTES};
use crate::grant::{Grant, GrantId};

/// Lets a secret scanner, and a person, see what it is.
const PREFIX: &str = "sgr_";

const FORMAT: u8 = 1;

/// What the two sets of keys are derived for. Another word here would end every session.
const TAG_KEYS: &str = "refresh";
const PREFILTER_KEYS: &str = "prefilter";

const PREFILTER_BYTES: usize = 8;
const BYTES: usize = 1 + 4 + 16 + 8 + PREFILTER_BYTES + TAG_BYTES;

/// Characters of [`BYTES`] in base64url. None is left over: no two texts stand for the same bytes.
const ENCODED: usize = BYTES / 3 * 4;

/// What refresh tokens are made and recognised with.
pub struct RefreshKeys {
    tags: MacKeys,
    prefilters: MacKeys,
    active: RootKeyId,
}

/// A refresh token, to be handed to its holder. Wiped when dropped.
#[derive(Clone)]
pub struct RefreshToken(Zeroizing<String>);

/// A refresh token as presented: it passed the prefilter, and is not believed yet.
pub struct PresentedRefreshToken {
    root: [u8; 4],
    grant: GrantId,
    generation: u64,
    prefilter: [u8; PREFILTER_BYTES],
    tag: [u8; TAG_BYTES],
}

impl RefreshKeys {
    /// Derives the keys from every root key.
    ///
    /// # Errors
    /// When the crypto library refuses.
    pub fn derive(roots: &RootKeys) -> Result<Self, RootKeyError> {
        Ok(Self {
            tags: MacKeys::derive(roots, TAG_KEYS)?,
            prefilters: MacKeys::derive(roots, PREFILTER_KEYS)?,
            active: roots.active().id(),
        })
    }

    /// The root key that a grant is born under now.
    pub const fn active_root(&self) -> RootKeyId {
        self.active
    }

    /// The token of a generation of a grant: the same whenever it is made. `None`: the root key of the grant's birth is
    /// not there any more.
    pub fn mint(&self, grant: &Grant, generation: u64) -> Option<RefreshToken> {
        let root = grant.root_key_id.parse::<RootKeyId>().ok()?.fingerprint();
        let prefilter = self.prefilter(root, &grant.id, generation)?;
        let tag = self.tag(root, grant, generation)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES));
        bytes.push(FORMAT);
        bytes.extend_from_slice(&root);
        bytes.extend_from_slice(grant.id.as_bytes());
        bytes.extend_from_slice(&generation.to_be_bytes());
        bytes.extend_from_slice(&prefilter);
        bytes.extend_from_slice(&*tag);
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + ENCODED));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(&*bytes, &mut text);
        Some(RefreshToken(text))
    }

    /// Reads a token, if it may be one of ours by its shape and its prefilter: what was made up is turned away without a
    /// look into the database. That proves nothing yet. Compared in constant time.
    pub fn read(&self, text: &str) -> Option<PresentedRefreshToken> {
        let presented = PresentedRefreshToken::parse(text)?;
        let expected = self.prefilter(presented.root, &presented.grant, presented.generation)?;
        verify_slices_are_equal(&expected, &presented.prefilter).ok().map(|()| presented)
    }

    /// Whether it was made here for this grant, at whichever generation. Compared in constant time.
    pub fn verify(&self, presented: &PresentedRefreshToken, grant: &Grant) -> bool {
        let birth = grant.root_key_id.parse::<RootKeyId>().map(|id| id.fingerprint());
        birth == Ok(presented.root)
            && presented.grant == grant.id
            && self
                .tag(presented.root, grant, presented.generation)
                .is_some_and(|tag| verify_slices_are_equal(&*tag, &presented.tag).is_ok())
    }

    fn prefilter(&self, root: [u8; 4], grant: &GrantId, generation: u64) -> Option<[u8; PREFILTER_BYTES]> {
        let parts: [&[u8]; 3] = [b"prefilter", grant.as_bytes(), &generation.to_be_bytes()];
        let tag = self.prefilters.authenticate_under(root, &parts)?;
        tag.first_chunk().copied()
    }

    fn tag(&self, root: [u8; 4], grant: &Grant, generation: u64) -> Option<Zeroizing<[u8; TAG_BYTES]>> {
        let parts: [&[u8]; 7] = [
            b"refresh",
            &[FORMAT],
            &root,
            grant.seed.expose(),
            grant.id.as_bytes(),
            &generation.to_be_bytes(),
            grant.client_id.as_bytes(),
        ];
        self.tags.authenticate_under(root, &parts).map(Zeroizing::new)
    }
}

impl fmt::Debug for RefreshKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshKeys(***)")
    }
}

impl RefreshToken {
    /// As it travels: 96 characters that need no escaping in JSON, in a cookie or in a URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(***)")
    }
}

impl PresentedRefreshToken {
    /// `None`: it is none, whatever else it is.
    fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX).filter(|encoded| encoded.len() == ENCODED)?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded).ok()?);
        let (format, rest) = bytes.split_first()?;
        let (root, rest) = rest.split_first_chunk()?;
        let (grant, rest) = rest.split_first_chunk()?;
        let (generation, rest) = rest.split_first_chunk()?;
        let (prefilter, tag) = rest.split_first_chunk()?;
        (*format == FORMAT).then_some(Self {
            root: *root,
            grant: GrantId::from_bytes(*grant),
            generation: u64::from_be_bytes(*generation),
            prefilter: *prefilter,
            tag: tag.try_into().ok()?,
        })
    }

    /// Which grant it says it is of.
    pub const fn claimed_grant(&self) -> &GrantId {
        &self.grant
    }

    /// Which generation it says it is.
    pub const fn generation(&self) -> u64 {
        self.generation
    }
}

impl fmt::Debug for PresentedRefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresentedRefreshToken(***)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
