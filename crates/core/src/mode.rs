/// Which rules apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The RFC's shared cache plus the field's guards: route defaults, jitter, negative caching, `Set-Cookie` never stored.
    #[default]
    Guarded,
    /// A plain shared cache by RFC 9111 and nothing more.
    Rfc,
}
