use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A way to the API server that can be cut or go silent, while the server goes on for everybody else.
pub(crate) struct Way {
    port: u16,
    server: String,
    /// How often it went silent.
    silences: Arc<AtomicU64>,
    running: JoinHandle<()>,
}

impl Way {
    /// A way to the server that a kubeconfig names, and that kubeconfig's text for it.
    pub(crate) async fn beside(kubeconfig: &str) -> (Self, String) {
        let (_, rest) = kubeconfig.split_once("server: https://").expect("the lab's kubeconfig names its server");
        let server = rest.split_whitespace().next().expect("the server has an address").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let silences = Arc::default();
        let running = tokio::spawn(pass_on(listener, server.clone(), Arc::clone(&silences)));
        let text = kubeconfig.replace(&server, &format!("127.0.0.1:{port}"));
        (Self { port, server, silences, running }, text)
    }

    /// Breaks every connection and refuses new ones for a while.
    pub(crate) async fn cut(&mut self, span: Duration) {
        self.running.abort();
        let _ = (&mut self.running).await;
        tokio::time::sleep(span).await;
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.expect("the port is free again");
        self.running = tokio::spawn(pass_on(listener, self.server.clone(), Arc::clone(&self.silences)));
    }

    /// From now on nothing comes on the connections that are open, until something is asked on
    /// one of them: watches are held open and show nothing.
    pub(crate) fn fall_silent(&self) {
        self.silences.fetch_add(1, Ordering::SeqCst);
    }
}

async fn pass_on(listener: TcpListener, server: String, silences: Arc<AtomicU64>) {
    let mut connections = JoinSet::new();
    while let Ok((ours, _)) = listener.accept().await {
        let (server, silences) = (server.clone(), Arc::clone(&silences));
        connections.spawn(async move {
            let theirs = TcpStream::connect(server).await?;
            connect(ours, theirs, &silences).await
        });
    }
}

async fn connect(ours: TcpStream, theirs: TcpStream, silences: &AtomicU64) -> std::io::Result<()> {
    ours.set_nodelay(true)?;
    theirs.set_nodelay(true)?;
    // In which time of the way something was last asked.
    let asked = AtomicU64::new(silences.load(Ordering::SeqCst));
    let (mut from_us, mut to_us) = ours.into_split();
    let (mut from_them, mut to_them) = theirs.into_split();
    let up = async {
        let mut bytes = vec![0; 1 << 16];
        loop {
            let n = from_us.read(&mut bytes).await?;
            if n == 0 {
                return to_them.shutdown().await;
            }
            asked.store(silences.load(Ordering::SeqCst), Ordering::SeqCst);
            to_them.write_all(&bytes[..n]).await?;
        }
    };
    let down = async {
        let mut bytes = vec![0; 1 << 16];
        loop {
            let n = from_them.read(&mut bytes).await?;
            if n == 0 {
                return to_us.shutdown().await;
            }
            if asked.load(Ordering::SeqCst) == silences.load(Ordering::SeqCst) {
                to_us.write_all(&bytes[..n]).await?;
            }
        }
    };
    tokio::try_join!(up, down).map(drop)
}
