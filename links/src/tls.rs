//! TLS for those that connect to us: a certificate chain and a key in PEM, and the handshake.

use std::{io, sync::Arc};

use rustls::{
    ServerConfig,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// A connection after its handshake.
pub type ServerStream = tokio_rustls::server::TlsStream<TcpStream>;

/// Why a certificate and its key cannot be used. Nothing of the key is ever said.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("the certificate file holds no certificate in PEM")]
    NoCertificate,
    #[error("the certificate file cannot be read as PEM")]
    Certificate(#[source] pem::Error),
    #[error("the key file holds no private key in PEM")]
    Key,
    #[error("certificate and key do not fit together or are not supported")]
    Refused(#[source] rustls::Error),
}

/// Takes connections.
#[derive(Clone)]
pub struct Server(TlsAcceptor);

impl Server {
    /// TLS 1.2 and 1.3 with HTTP/1.1, without client certificates. The chain begins with the server's own certificate.
    pub fn new(certificate_pem: &[u8], key_pem: &[u8]) -> Result<Self, TlsError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate_pem)
            .collect::<Result<_, _>>()
            .map_err(TlsError::Certificate)?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| TlsError::Key)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Refused)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(TlsError::Refused)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// The handshake. It takes as long as the other side likes: the caller limits it.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<ServerStream> {
        self.0.accept(stream).await
    }
}
