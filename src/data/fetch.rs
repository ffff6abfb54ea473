//! One file from one mirror, over HTTP, into a `.part` file that any later attempt goes on from.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::time::Duration;

use ureq::http::header::{CONTENT_RANGE, RANGE};
use ureq::http::{Response, StatusCode, Uri};
use ureq::{Agent, Body, Proxy, Timeout};

use super::verify::{Doing, Observer};
use crate::error::Error;
use crate::plural::counted;
use crate::storage::{Disk, remove_if_there};

/// Bytes moved from the net to the disk at a time.
const CHUNK: usize = 1 << 16;
/// New bytes after which a broken connection counts as the first one again.
const GOOD_PROGRESS: u64 = 1 << 20;

/// How long to bear with a server.
#[derive(Clone, Debug)]
pub struct Patience {
    /// Attempts at one mirror without noticeable progress between them.
    pub attempts: u32,
    /// Pause before the second attempt; before the third twice as long, and so on.
    pub pause: Duration,
    /// For finding and reaching the server.
    pub connect: Duration,
    /// Without a single byte, when some should come.
    pub stall: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let s = Duration::from_secs;
        Patience { attempts: 4, pause: s(1), connect: s(20), stall: s(30) }
    }
}

/// Why there is no file from this mirror.
pub(super) enum Stop {
    /// The next attempt may go on where this one stopped.
    Broken(String),
    /// This mirror will not give it: try the next one.
    Refused(String),
    /// The matter is here and not there.
    Here(Error),
}

/// The file to be fetched.
pub(super) struct Job<'a> {
    /// What the user knows it by.
    pub name: &'a str,
    /// Bytes of the whole file. No more are ever written.
    pub total: u64,
    /// Where the bytes are gathered.
    pub part: &'a Path,
    /// How long to bear with a server.
    pub patience: &'a Patience,
}

impl Job<'_> {
    /// Bytes of the file that are there: 0 without a part, and for one that is too long to be a beginning.
    pub fn held(&self) -> Result<u64, Error> {
        match self.part.metadata() {
            Ok(about) => Ok(if about.len() > self.total { 0 } else { about.len() }),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(0),
            Err(e) => Err(Error::io(self.part, "opening", &e)),
        }
    }

    /// Opens the part, a new one if there is none, and cuts off what it holds beyond `from` bytes.
    pub fn open(&self, from: u64) -> Result<File, Error> {
        let failed = |e| Error::io(self.part, "opening", &e);
        let file = OpenOptions::new().append(true).create(true).open(self.part).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() > from {
            file.set_len(from).map_err(failed)?;
        }
        Ok(file)
    }

    /// Completes the part from `url`, which may take several connections.
    pub fn run(&self, url: &str, watch: &mut dyn Observer) -> Result<(), Stop> {
        let agent = agent(url, self.patience);
        // Only bytes beyond all earlier attempts are progress, so that a server that starts afresh each time comes to an end.
        let (mut failures, mut reached) = (0, self.held().map_err(Stop::Here)?);
        loop {
            let why = match self.attempt(&agent, url, watch) {
                Err(Stop::Broken(why)) => why,
                done_or_hopeless => return done_or_hopeless,
            };
            let have = self.held().map_err(Stop::Here)?;
            failures = if have > reached + GOOD_PROGRESS { 1 } else { failures + 1 };
            reached = reached.max(have);
            if failures >= self.patience.attempts {
                return Err(Stop::Refused(format!("{why} (tried {})", counted(failures, "time"))));
            }
            watch.note(&format!("{}: {why}; going on after {have} of {} bytes", self.name, self.total));
            std::thread::sleep(self.patience.pause * failures);
        }
    }

    /// One connection, or two if the server cannot go on where the part ends.
    fn attempt(&self, agent: &Agent, url: &str, watch: &mut dyn Observer) -> Result<(), Stop> {
        let have = self.held().map_err(Stop::Here)?;
        if have == self.total {
            return Ok(());
        }
        let mut response = self.get(agent, url, have)?;
        let mut continued = response.status() == StatusCode::PARTIAL_CONTENT && have > 0;
        let unusable = response.status() == StatusCode::RANGE_NOT_SATISFIABLE || continued && !self.continues(&response, have);
        if unusable && have > 0 {
            response = self.get(agent, url, 0)?;
            continued = false;
        }
        let from = if continued { have } else { 0 };
        self.acceptable(&response, continued, from)?;
        let mut file = self.open(from).map_err(Stop::Here)?;
        watch.begin(Doing::Fetching, self.name, from, self.total);
        self.copy(response.into_body(), &mut file, from, watch)
    }

    /// Whether a 206 brings just what was asked for: `Content-Range: bytes <have>-<last>/<total or *>`.
    fn continues(&self, response: &Response<Body>, have: u64) -> bool {
        let header = response.headers().get(CONTENT_RANGE).and_then(|v| v.to_str().ok());
        let parse = |text: &str| {
            let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
            let (first, last) = range.split_once('-')?;
            let whole = total == "*" || total.parse() == Ok(self.total);
            Some(whole && first.parse() == Ok(have) && last.parse() == Ok(self.total - 1))
        };
        header.and_then(parse) == Some(true)
    }

    /// Refuses what cannot be the file before anything is written.
    fn acceptable(&self, response: &Response<Body>, continued: bool, from: u64) -> Result<(), Stop> {
        let status = response.status();
        if status != StatusCode::OK && !continued {
            let busy = status.is_server_error() || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status);
            let why = format!("the server answers {status}");
            return Err(if busy { Stop::Broken(why) } else { Stop::Refused(why) });
        }
        if response.body().mime_type() == Some("text/html") {
            return Err(Stop::Refused("a web page came instead of the file (does this network want a login?)".into()));
        }
        match response.body().content_length() {
            Some(n) if n != self.total - from => {
                Err(Stop::Refused(format!("another file: the server announces {} bytes, expected {}", from.saturating_add(n), self.total)))
            }
            _ => Ok(()),
        }
    }

    /// Appends the body to the part, which has `have` bytes.
    fn copy(&self, body: Body, file: &mut File, mut have: u64, watch: &mut dyn Observer) -> Result<(), Stop> {
        let (mut body, mut chunk) = (body.into_reader(), vec![0; CHUNK]);
        loop {
            // At the end one byte more is asked for, to notice a body that is too long.
            let room = (self.total - have).clamp(1, CHUNK as u64) as usize;
            match body.read(&mut chunk[..room]).map_err(|e| self.failure(e.into()))? {
                0 if have == self.total => return Ok(()),
                0 => return Err(Stop::Broken(format!("the server closed the connection after {have} of {} bytes", self.total))),
                _ if have == self.total => {
                    remove_if_there(&Disk, self.part).map_err(Stop::Here)?;
                    return Err(Stop::Refused(format!("another file: more than the expected {} bytes came", self.total)));
                }
                n => {
                    file.write_all(&chunk[..n]).map_err(|e| Stop::Here(Error::io(self.part, "writing", &e)))?;
                    have += n as u64;
                    watch.advance(have);
                }
            }
        }
    }

    /// Asks for the bytes from `from` on.
    fn get(&self, agent: &Agent, url: &str, from: u64) -> Result<Response<Body>, Stop> {
        let request = if from > 0 { agent.get(url).header(RANGE, format!("bytes={from}-")) } else { agent.get(url) };
        request.call().map_err(|e| self.failure(e))
    }

    /// What a failed exchange means, in our words.
    fn failure(&self, e: ureq::Error) -> Stop {
        use ErrorKind as K;
        // Everything else (an unknown name, a refused connection, a certificate) will be the same in a second.
        let passing = [K::UnexpectedEof, K::ConnectionReset, K::ConnectionAborted, K::BrokenPipe, K::TimedOut];
        match e {
            ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => Stop::Refused("the server could not be reached in time".into()),
            ureq::Error::Timeout(_) => Stop::Broken(format!("nothing came for {} s", self.patience.stall.as_secs_f64())),
            ureq::Error::Io(e) if passing.contains(&e.kind()) => Stop::Broken(format!("the connection broke ({e})")),
            ureq::Error::Io(e) => Stop::Refused(e.to_string()),
            other => Stop::Refused(other.to_string()),
        }
    }
}

/// A client with the time limits of `patience`, and with the environment's proxy unless the server is this machine.
fn agent(url: &str, patience: &Patience) -> Agent {
    let host = url.parse::<Uri>().ok().and_then(|u| u.host().map(str::to_string)).unwrap_or_default();
    let local = host == "localhost" || host == "[::1]" || host.starts_with("127.");
    Agent::config_builder()
        .proxy(if local { None } else { Proxy::try_from_env() })
        .http_status_as_error(false)
        .user_agent(concat!("spiketrain/", env!("CARGO_PKG_VERSION")))
        // The digests are those of the file as it is; a range of a compressed transfer means nothing.
        .accept_encoding("identity")
        .timeout_resolve(Some(patience.connect))
        .timeout_connect(Some(patience.connect))
        .timeout_recv_response(Some(patience.stall))
        .timeout_per_read(Some(patience.stall))
        .timeout_per_write(Some(patience.stall))
        .build()
        .new_agent()
}
