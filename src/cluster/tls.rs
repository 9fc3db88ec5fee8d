/// Makes ring the one TLS provider of this process; asked again, it does nothing.
///
/// Both HTTP stacks in the binary look for a provider of the process and panic
/// where there is none, so that whoever makes a client asks for this first.
pub fn install_tls() {
    // An error means that there is a provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
