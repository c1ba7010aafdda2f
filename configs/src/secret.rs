//! Secrets are referred to, never written down: `${file:/etc/coldwatch/broker}` or `${env:BROKER_PASSWORD}`.

/// Where a secret is to be taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference<'a> {
    /// The content of this file, without the line end.
    File(&'a str),
    /// The value of this environment variable.
    Environment(&'a str),
}

/// Reads a reference; `None` for any other text.
pub fn reference(text: &str) -> Option<Reference<'_>> {
    let inner = text.trim().strip_prefix("${")?.strip_suffix('}')?;
    let (kind, name) = inner.split_once(':')?;
    match (kind, name.trim()) {
        (_, "") => None,
        ("file", path) => Some(Reference::File(path)),
        ("env", name) => Some(Reference::Environment(name)),
        _ => None,
    }
}

/// How the caller gets at a secret: the text, or why it is not to be had.
pub type Resolve<'a> = &'a dyn Fn(Reference<'_>) -> Result<String, String>;

/// Resolves nothing: for checking a site away from its gateway, where the secrets are not.
pub fn unresolved(_: Reference<'_>) -> Result<String, String> {
    Ok(String::new())
}

/// True for a key whose value should not stand in a file.
pub fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["password", "passwd", "passphrase", "secret", "token", "api_key", "apikey", "private_key"]
        .iter()
        .any(|word| key.contains(word))
}
