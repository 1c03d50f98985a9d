//! A network that can be broken: what peers say to a member goes through here.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens to what peers say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Line {
    /// It arrives.
    Up,
    /// It is taken and never arrives, and nobody is told.
    Silent,
    /// Connections are reset, and new ones too.
    Down,
}

/// The way to one member.
pub(crate) struct Proxy {
    line: Arc<watch::Sender<Line>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on one port and passes everything on to another.
    pub(crate) async fn start(from: u16, to: u16) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", from))
            .await
            .expect("the port is free");
        let line = Arc::new(watch::Sender::new(Line::Up));
        let task = tokio::spawn(accept(listener, to, line.subscribe()));
        Proxy { line, task }
    }

    /// Breaks the line, or mends it. What was under way on a broken line is lost.
    pub(crate) fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, to: u16, line: watch::Receiver<Line>) {
    while let Ok((caller, _)) = listener.accept().await {
        let line = line.clone();
        tokio::spawn(async move {
            // Both ends look after themselves when it ends.
            let _ = connect(caller, to, line).await;
        });
    }
}

async fn connect(caller: TcpStream, to: u16, line: watch::Receiver<Line>) -> std::io::Result<()> {
    let mut mended = line.clone();
    if *line.borrow() == Line::Down {
        return Ok(());
    }
    if *line.borrow() == Line::Silent {
        // The caller waits for an answer that never comes; the connection is of no use later either.
        let _ = mended.wait_for(|line| *line != Line::Silent).await;
        return Ok(());
    }
    let (caller_read, caller_write) = caller.into_split();
    let (member_read, member_write) = TcpStream::connect(("127.0.0.1", to)).await?.into_split();
    tokio::select! {
        ended = pass(caller_read, member_write, line.clone()) => ended,
        ended = pass(member_read, caller_write, line) => ended,
    }
}

/// Passes bytes on as long as the line is up. A connection that was silent is not used again.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut line: watch::Receiver<Line>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => Some(read?),
            _ = line.wait_for(|line| *line != Line::Up) => None,
        };
        let Some(read) = read else {
            let _ = line.wait_for(|line| *line != Line::Silent).await;
            return Ok(());
        };
        if read == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..read]).await?;
    }
}
