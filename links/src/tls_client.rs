//! TLS towards a server that proves who it is.

use std::{io, path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// Where systems keep the certificates of the authorities that everybody trusts.
const SYSTEM_BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Whose certificates are believed.
#[derive(Clone, Debug)]
pub struct Trust(Arc<ClientConfig>);

/// Why there is no encrypted connection.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("failed to read certificates from {file}: {why}")]
    Unreadable { file: String, why: String },
    #[error("{0} holds no certificate of an authority")]
    NoAuthority(String),
    #[error("TLS cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// The other side did not prove to be who it should be.
    #[error("{0}")]
    NotTrusted(String),
    #[error("TLS failed: {0}")]
    Handshake(#[source] io::Error),
}

impl Trust {
    /// Believes the authorities in a PEM file, and nobody else.
    pub fn in_file(file: &Path) -> Result<Self, TlsError> {
        let name = || file.display().to_string();
        let unreadable =
            |why: String| TlsError::Unreadable { file: file.display().to_string(), why };
        let pem = std::fs::read(file).map_err(|error| unreadable(error.to_string()))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| unreadable(format!("{error:?}")))?;
            // A bundle of many may hold one that nobody can use.
            let _ = roots.add(certificate);
        }
        if roots.is_empty() {
            return Err(TlsError::NoAuthority(name()));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// Believes the authorities that this system believes; `None` where it keeps no list in a known place.
    pub fn of_system() -> Option<Result<Self, TlsError>> {
        SYSTEM_BUNDLES.iter().map(Path::new).find(|file| file.exists()).map(Self::in_file)
    }
}

/// Encrypts a connection. `host` is whom the certificate must name: a DNS name or an IP address, in brackets or not.
pub async fn connect(
    stream: TcpStream,
    host: &str,
    trust: &Trust,
) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>, TlsError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name =
        ServerName::try_from(bare).map_err(|error| TlsError::NotTrusted(error.to_string()))?;
    let connector = TlsConnector::from(Arc::clone(&trust.0));
    connector.connect(name, stream).await.map_err(|error| {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        match cause {
            Some(rustls::Error::InvalidCertificate(why)) => TlsError::NotTrusted(objection(why)),
            _ => TlsError::Handshake(error),
        }
    })
}

fn objection(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => {
            "no authority that is believed here signed it".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another name".to_owned()
        }
        // What `openssl req -x509` makes when nothing else is said. The library has no name of its own for it.
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "it is an authority's own; a server needs one with basicConstraints CA:FALSE".to_owned()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::tls::Server;

    /// A server that greets whoever trusts it, and the file of the authority that vouches for it.
    async fn server() -> (u16, tempfile::NamedTempFile) {
        let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let certificate = own.cert.pem();
        let server =
            Server::new(certificate.as_bytes(), own.signing_key.serialize_pem().as_bytes())
                .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(mut stream) = server.accept(stream).await {
                    let _ = stream.write_all(b"hello").await;
                }
            }
        });
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(certificate.as_bytes()).unwrap();
        (port, file)
    }

    async fn dial(port: u16) -> TcpStream {
        TcpStream::connect(("127.0.0.1", port)).await.unwrap()
    }

    #[tokio::test]
    async fn a_server_is_believed_by_its_authority_and_its_name() {
        let (port, authority) = server().await;
        let trust = Trust::in_file(authority.path()).unwrap();
        let mut stream = connect(dial(port).await, "localhost", &trust).await.unwrap();
        let mut said = [0; 5];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"hello");

        let (_, other) = server().await;
        let stranger = Trust::in_file(other.path()).unwrap();
        for (host, trust) in [("localhost", &stranger), ("gateway", &trust), ("127.0.0.1", &trust)]
        {
            let refused = connect(dial(port).await, host, trust).await.err().unwrap();
            assert!(matches!(refused, TlsError::NotTrusted(_)), "{host}: {refused}");
        }
    }

    #[test]
    fn a_file_without_an_authority_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = Trust::in_file(file.path()).unwrap_err().to_string();
        assert!(refused.contains(file.path().to_str().unwrap()), "{refused}");
        assert!(matches!(Trust::in_file(Path::new("/nowhere")), Err(TlsError::Unreadable { .. })));
    }
}
