//! One connection: a request, its answer, the next request.

use super::Question;
use super::listener::{FOLLOWERS_MAX, Shared};
use super::peer::Peer;
use crate::happening::Happening;
use crm_api::{
    ApiError, LINE_BYTES_MAX, Problem, REPLY_BYTES_MAX, Refusal, Reply, ReplyLine, Request,
    RequestLine, StampedEvent, decode, encode,
};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{broadcast, oneshot};
use tokio::time::timeout;

/// Without a request for so long a connection is closed.
const IDLE: Duration = Duration::from_secs(60);
/// A client that does not take its answer for so long is dropped.
const SLOW: Duration = Duration::from_secs(10);
/// The event loop answers before this; see the deadlines there.
const ANSWER: Duration = Duration::from_secs(40);

/// Serves until the client goes or a limit is reached.
pub(super) async fn serve(stream: UnixStream, shared: &Shared) {
    let Ok(peer) = Peer::of(&stream).await else { return };
    let (reader, writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut writer = Writer(writer);
    loop {
        let mut line = Vec::new();
        let limited = (&mut reader).take(LINE_BYTES_MAX as u64 + 1);
        match timeout(IDLE, read_line(limited, &mut line)).await {
            Ok(Ok(())) if line.last() == Some(&b'\n') => {}
            Ok(Ok(())) if line.len() > LINE_BYTES_MAX => {
                let reason = format!("a request of more than {LINE_BYTES_MAX} bytes");
                let _ = writer.problem(Refusal::Limit, reason, "").await;
                return;
            }
            // The client went, was silent for too long, or broke off.
            _ => return,
        }
        if answer(&line, &peer, shared, &mut reader, &mut writer).await.is_err() {
            return;
        }
    }
}

async fn read_line(
    mut limited: tokio::io::Take<&mut BufReader<OwnedReadHalf>>,
    line: &mut Vec<u8>,
) -> io::Result<()> {
    limited.read_until(b'\n', line).await.map(drop)
}

async fn answer(
    line: &[u8],
    peer: &Peer,
    shared: &Shared,
    reader: &mut BufReader<OwnedReadHalf>,
    writer: &mut Writer,
) -> io::Result<()> {
    let request = match decode::<RequestLine>(line) {
        Ok(line) => line.request,
        Err(error) => {
            let hint = match error {
                ApiError::Version { .. } => "restart the daemon after an upgrade of the package",
                _ => "one JSON object a line: {\"v\":1,\"request\":\"status\"}",
            };
            return writer.problem(Refusal::BadRequest, error.to_string(), hint).await;
        }
    };
    let operators = shared.operators.borrow().clone();
    if request.changes() && !peer.may_change(shared.own_uid, &operators) {
        let reason = format!("{peer} may read, not change");
        let hint = "root may, and the users under `operators:` in cluster.yaml";
        return writer.problem(Refusal::NotPermitted, reason, hint).await;
    }
    if let Request::Events { since, follow } = request {
        return events(since, follow, shared, reader, writer).await;
    }
    let (sender, receiver) = oneshot::channel();
    let question = Question { request, who: peer.to_string(), answer: sender };
    shared.tell.tell(Happening::Question(question));
    match timeout(ANSWER, receiver).await {
        Ok(Ok(reply)) => writer.reply(reply).await,
        Ok(Err(_)) => {
            let reason = "the daemon is ending".to_owned();
            writer.problem(Refusal::NotReady, reason, "").await
        }
        Err(_) => {
            let reason = format!("no answer within {} s", ANSWER.as_secs());
            writer.problem(Refusal::TimedOut, reason, "look at `crm status`").await
        }
    }
}

/// Those that are kept, then those to come until the client goes.
async fn events(
    since: Option<u64>,
    follow: bool,
    shared: &Shared,
    reader: &mut BufReader<OwnedReadHalf>,
    writer: &mut Writer,
) -> io::Result<()> {
    // Counted before the first answer is waited for; no longer when this ends, however it does.
    let _follower = match follow.then(|| Follower::count(shared)) {
        Some(None) => {
            let reason = format!("too many followers: {FOLLOWERS_MAX} follow the events already");
            let hint =
                "end one of `crm events --follow`; without it the events are told all the same";
            return writer.problem(Refusal::Limit, reason, hint).await;
        }
        counted => counted.flatten(),
    };
    let (listener, (kept, gone)) = {
        let log = shared.events.borrow();
        (log.listen(), log.after(since))
    };
    if gone > 0 {
        writer.reply(Reply::Missed(gone)).await?;
    }
    for event in kept {
        writer.reply(Reply::Event(event)).await?;
    }
    if follow {
        return follow_on(listener, reader, writer).await;
    }
    writer.reply(Reply::End).await
}

/// One of those that keep their connection.
struct Follower<'a>(&'a Shared);

impl<'a> Follower<'a> {
    /// `None`: there are enough of them.
    fn count(shared: &'a Shared) -> Option<Follower<'a>> {
        let followers = shared.followers.get();
        (followers < FOLLOWERS_MAX).then(|| {
            shared.followers.set(followers + 1);
            Follower(shared)
        })
    }
}

impl Drop for Follower<'_> {
    fn drop(&mut self) {
        self.0.followers.set(self.0.followers.get().saturating_sub(1));
    }
}

async fn follow_on(
    mut listener: broadcast::Receiver<StampedEvent>,
    reader: &mut BufReader<OwnedReadHalf>,
    writer: &mut Writer,
) -> io::Result<()> {
    loop {
        let mut byte = [0u8; 1];
        tokio::select! {
            event = listener.recv() => match event {
                Ok(event) => writer.reply(Reply::Event(event)).await?,
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    writer.reply(Reply::Missed(missed)).await?;
                }
                Err(broadcast::error::RecvError::Closed) => return writer.reply(Reply::End).await,
            },
            // A follower has nothing more to say: bytes or their end close the stream.
            _ = reader.read(&mut byte) => return Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

/// The writing side, with its limits.
struct Writer(OwnedWriteHalf);

impl Writer {
    async fn reply(&mut self, reply: Reply) -> io::Result<()> {
        let mut line = encode(&ReplyLine::new(reply)).map_err(io::Error::other)?;
        if line.len() > REPLY_BYTES_MAX {
            let reply = Reply::Problem(Problem {
                kind: Refusal::Limit,
                reason: format!("the answer has {} bytes", line.len()),
                hint: String::new(),
            });
            line = encode(&ReplyLine::new(reply)).map_err(io::Error::other)?;
        }
        match timeout(SLOW, self.0.write_all(&line)).await {
            Ok(result) => result,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    async fn problem(&mut self, kind: Refusal, reason: String, hint: &str) -> io::Result<()> {
        self.reply(Reply::Problem(Problem { kind, reason, hint: hint.to_owned() })).await
    }
}
