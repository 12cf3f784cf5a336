//! The Unix socket on which a running controller hands out backups of itself.
//!
//! Whoever may connect may read the data directory anyway: the socket is made with mode 0600 before it gets its name. A
//! connection says nothing; it gets the file's content, or a line that begins with `error: `, and is closed. One is served at a
//! time, because each costs the event loop a moment. The socket of a process that was killed is replaced by the next one,
//! which holds the journal's lock and so is the only one.

use std::{
    fs,
    io::{self, Read},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{io::AsyncWriteExt, net::UnixListener, time::timeout};

use super::{Backup, Error};
use crate::{event_loop::Handle, identity::authority::Authority, limits};

/// Name of the socket in the data directory.
pub(super) const FILE: &str = "backup.sock";
/// Begins the answer when there is no backup.
const REFUSED: &str = "error: ";

/// What is handed out.
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    handle: Handle,
    authority: Arc<Authority>,
    /// File of our own CA; none if it was supplied.
    ca: Option<PathBuf>,
}

impl Server {
    /// Listens in the data directory `dir`; `ca` is the file of our own CA.
    pub fn bind(
        dir: &Path,
        handle: Handle,
        authority: Arc<Authority>,
        ca: Option<PathBuf>,
    ) -> Result<Self, Error> {
        let path = dir.join(FILE);
        let listener = bind(&path).map_err(|source| Error::Serve { path: path.clone(), source })?;
        Ok(Self { listener, path, handle, authority, ca })
    }

    /// Hands out backups until it is dropped.
    pub async fn run(self) {
        loop {
            match self.listener.accept().await {
                Ok((mut stream, _)) => {
                    let answer = match self.answer().await {
                        Ok(bytes) => bytes,
                        Err(error) => format!("{REFUSED}{error}\n").into_bytes(),
                    };
                    // Whoever asked may have gone.
                    let written = timeout(limits::BACKUP_TIMEOUT, stream.write_all(&answer)).await;
                    let sent = matches!(written, Ok(Ok(())));
                    tracing::info!(bytes = answer.len(), sent, "handed out a backup");
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept on the socket for backups");
                    tokio::time::sleep(limits::ACCEPT_RETRY).await;
                }
            }
        }
    }

    async fn answer(&self) -> Result<Vec<u8>, Error> {
        let copy = self.handle.copy(limits::BACKUP_TIMEOUT).await;
        let copy = copy.map_err(|error| Error::Refused(error.to_string()))??;
        let ca = self.ca.as_deref().map(super::restore::read_ca).transpose()?.flatten();
        Backup::new(copy, self.authority.trust_domain(), ca, self.authority.sha256()).to_bytes()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A socket that stays is replaced by the next controller.
        let _best_effort = fs::remove_file(&self.path);
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    let scratch = path.with_extension(format!("sock.{}", std::process::id()));
    let _none = fs::remove_file(&scratch);
    let listener = UnixListener::bind(&scratch)?;
    fs::set_permissions(&scratch, fs::Permissions::from_mode(0o600))?;
    fs::rename(&scratch, path)?;
    Ok(listener)
}

/// The content of a backup of the controller that runs on the data directory `dir`; none if none runs there.
pub(super) fn fetch(dir: &Path) -> Result<Option<Vec<u8>>, Error> {
    let path = dir.join(FILE);
    let ask = |source| Error::Ask { path: path.clone(), source };
    let stream = match UnixStream::connect(&path) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(ask(error)),
    };
    stream.set_read_timeout(Some(limits::BACKUP_TIMEOUT)).map_err(ask)?;
    let mut bytes = Vec::new();
    stream.take(limits::MAX_BACKUP_BYTES).read_to_end(&mut bytes).map_err(ask)?;
    if let Some(reason) = bytes.strip_prefix(REFUSED.as_bytes()) {
        return Err(Error::Refused(String::from_utf8_lossy(reason).trim_end().to_owned()));
    }
    Backup::from_bytes("what the controller sent", &bytes)?;
    Ok(Some(bytes))
}
