//! A connection to the apiserver that can be cut.

use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections while the test's runtime lives.
#[derive(Debug)]
pub struct Wire {
    /// The listening port on 127.0.0.1.
    pub port: u16,
    cut: Arc<watch::Sender<()>>,
}

impl Wire {
    /// Forwards to a port on 127.0.0.1.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let near = listener.local_addr().expect("an address").port();
        let cut = Arc::new(watch::Sender::new(()));
        tokio::spawn(pass_on(listener, port, cut.clone()));
        Self { port: near, cut }
    }

    /// Ends all connections, as a forgetful middlebox may, and returns their number. New
    /// connections pass.
    #[must_use]
    pub fn cut(&self) -> usize {
        let count = self.cut.receiver_count();
        self.cut.send_replace(());
        count
    }
}

async fn pass_on(listener: TcpListener, port: u16, cut: Arc<watch::Sender<()>>) {
    while let Ok((mut near, _)) = listener.accept().await {
        let mut cut = cut.subscribe();
        tokio::spawn(async move {
            let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else {
                return;
            };
            tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => {}
                _ = cut.changed() => {}
            }
        });
    }
}
