//! Certificates made on the spot, and a client that trusts their authority alone.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

/// An authority that signs server certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// The authority's own certificate.
    pub certificate: rcgen::Certificate,
}

/// A server certificate, its serial number, and its key.
pub struct Server {
    /// The certificate in PEM.
    pub pem: String,
    /// The key in PEM (PKCS #8).
    pub key: String,
    /// The certificate as a handshake shows it.
    pub der: CertificateDer<'static>,
}

impl Authority {
    pub fn new() -> Self {
        let mut wanted = CertificateParams::new(Vec::new()).unwrap();
        wanted.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        wanted.distinguished_name.push(DnType::CommonName, format!("Authority {}", uuid::Uuid::new_v4()));
        let key = KeyPair::generate().unwrap();
        let certificate = wanted.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(wanted, key), certificate }
    }

    /// A P-256 certificate for `localhost`.
    pub fn sign(&self) -> Server {
        self.sign_with(|_| ())
    }

    pub fn sign_with(&self, change: impl FnOnce(&mut CertificateParams)) -> Server {
        let key = KeyPair::generate().unwrap();
        let mut wanted = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        wanted.distinguished_name.push(DnType::CommonName, "localhost");
        change(&mut wanted);
        let made = wanted.signed_by(&key, &self.issuer).unwrap();
        Server { pem: made.pem(), key: key.serialize_pem(), der: made.der().clone() }
    }

    /// What a client needs to call a server of this authority.
    pub fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        Arc::new(config.with_root_certificates(roots).with_no_client_auth())
    }
}

/// Writes `chain.pem` and a private `key.pem` into a folder, each in one go.
pub fn write(folder: &Path, chain: &str, key: &str) {
    for (name, text) in [("chain.pem", chain), ("key.pem", key)] {
        let temporary = folder.join("new.pem");
        fs::write(&temporary, text).unwrap();
        fs::set_permissions(&temporary, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&temporary, folder.join(name)).unwrap();
    }
}

/// A connection with the handshake done.
pub fn connect(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(config.clone(), name).unwrap(), socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// One request and the head and body of its answer, on a connection that stays open.
pub fn ask(stream: &mut (impl std::io::Read + std::io::Write), request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    stream.flush().unwrap();
    let mut answer = Vec::new();
    let mut byte = [0];
    let complete = |answer: &[u8]| {
        let text = String::from_utf8_lossy(answer);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
        (body.len() >= length.parse::<usize>().ok()?).then_some(())
    };
    while complete(&answer).is_none() && stream.read(&mut byte).unwrap_or(0) == 1 {
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}
