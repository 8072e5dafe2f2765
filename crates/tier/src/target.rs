//! What to purge, and how far.

use edge_cache_core::marker::PurgeKind;
use edge_cache_policy::normalize;
use http::Uri;

/// What to purge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Every entry that the origin tagged so.
    Tag(String),
    /// One URL with all its variants.
    Url {
        /// `http` or `https`.
        scheme: String,
        /// Host and port.
        authority: String,
        /// The path.
        path: String,
        /// The query without its `?`.
        query: String,
    },
    /// Every path of an authority below a directory: what is no whole directory, or lies too deep, is rounded up to the one above
    /// ([`Purger::directories`](crate::Purger::directories) tells which).
    Prefix {
        /// Host and port.
        authority: String,
        /// The path's beginning.
        prefix: String,
    },
    /// Everything.
    All,
}

/// Why a text is no URL of a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It names no scheme or no host.
    #[error("`{0}`: expected an absolute URL as clients name it, http://HOST[:PORT]/PATH")]
    NotAbsolute(String),
    /// It holds what is none of the cache's business.
    #[error("expected an absolute URL without a user and a password")]
    Credentials,
}

impl Target {
    /// What the origin tagged so.
    pub fn tag(tag: impl Into<String>) -> Self {
        Self::Tag(tag.into())
    }

    /// A URL, absolute and as clients name it.
    ///
    /// ```
    /// use edge_cache_tier::Target;
    ///
    /// let target = Target::url("https://shop.example/books?sort=title")?;
    /// assert!(matches!(&target, Target::Url { path, query, .. } if path == "/books" && query == "sort=title"));
    /// assert!(Target::url("/books").is_err());
    /// # Ok::<(), edge_cache_tier::TargetError>(())
    /// ```
    ///
    /// # Errors
    /// It is not absolute, or names a user.
    pub fn url(url: &str) -> Result<Self, TargetError> {
        let (scheme, authority, uri) = absolute(url)?;
        let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
        Ok(Self::Url { scheme, authority, path, query })
    }

    /// Every URL that begins so, up to a whole directory; the same by either scheme.
    ///
    /// # Errors
    /// As of [`url`](Self::url).
    pub fn prefix(url: &str) -> Result<Self, TargetError> {
        let (_, authority, uri) = absolute(url)?;
        Ok(Self::Prefix { authority, prefix: uri.path().to_owned() })
    }
}

fn absolute(url: &str) -> Result<(String, String, Uri), TargetError> {
    let not_absolute = || TargetError::NotAbsolute(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| not_absolute())?;
    let (scheme, authority) = uri.scheme_str().zip(uri.authority()).ok_or_else(not_absolute)?;
    if authority.as_str().contains('@') {
        return Err(TargetError::Credentials);
    }
    let authority = normalize::without_default_port(scheme, authority.as_str()).to_owned();
    Ok((scheme.to_owned(), authority, uri))
}

/// A purge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purge {
    /// What.
    pub targets: Vec<Target>,
    /// How far.
    pub kind: PurgeKind,
}

impl Purge {
    /// What it takes is asked for anew, and served only if that fails.
    pub fn soft(targets: impl IntoIterator<Item = Target>) -> Self {
        Self { targets: targets.into_iter().collect(), kind: PurgeKind::Soft }
    }

    /// What it takes is never served again.
    pub fn hard(targets: impl IntoIterator<Item = Target>) -> Self {
        Self { targets: targets.into_iter().collect(), kind: PurgeKind::Hard }
    }
}
