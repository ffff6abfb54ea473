//! A server that follows a script: one connection per reply, then it is gone. It serves 127.0.0.1 only, and stops by itself
//! when the script is done or after [`LIFETIME`].

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const LIFETIME: Duration = Duration::from_secs(20);

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub path: String,
    /// The Range header's value.
    pub range: Option<String>,
}

/// Answers a request with the raw bytes of head and body; the connection is closed behind them.
pub type Reply = Box<dyn Fn(&Request) -> Vec<u8> + Send>;

pub struct Server {
    pub url: String,
    thread: JoinHandle<Vec<Request>>,
}

impl Server {
    pub fn start(script: Vec<Reply>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        let thread = std::thread::spawn(move || {
            let end = Instant::now() + LIFETIME;
            script.iter().map_while(|reply| Some(answer(accept(&listener, end)?, reply))).collect()
        });
        Server { url, thread }
    }

    /// The requests that came. Waits for the script's end, so that a reply nobody asked for costs [`LIFETIME`].
    pub fn requests(self) -> Vec<Request> {
        self.thread.join().unwrap()
    }
}

/// An address at which nobody answers: no program gets this port by chance.
pub const DEAD: &str = "http://127.0.0.1:1/";

fn accept(listener: &TcpListener, end: Instant) -> Option<TcpStream> {
    while Instant::now() < end {
        match listener.accept() {
            Ok((stream, _)) => return Some(stream),
            Err(e) if e.kind() == ErrorKind::WouldBlock => std::thread::sleep(Duration::from_millis(2)),
            Err(e) => panic!("{e}"),
        }
    }
    None
}

fn answer(mut stream: TcpStream, reply: &Reply) -> Request {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(LIFETIME)).unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && head.len() < 10_000 && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap_or_default().to_string();
    let range = head.lines().find_map(|l| l.to_lowercase().strip_prefix("range: ").map(str::to_string));
    let request = Request { path, range };
    // A client that has read enough hangs up; that is its right.
    let _ = stream.write_all(&reply(&request));
    request
}

/// A response with a length.
pub fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    head(status, &format!("{headers}Content-Length: {}\r\n", body.len()), body)
}

/// A response with just these headers (each ending with CRLF).
pub fn head(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\n\r\n").as_bytes(), body].concat()
}

/// The whole file, whatever range was asked for.
pub fn whole(content: &'static [u8]) -> Reply {
    Box::new(|_| response("200 OK", "", content))
}

/// The file as a good server gives it: the range asked for.
pub fn ranged(content: &'static [u8]) -> Reply {
    Box::new(|request| match request.range.as_deref().map(first) {
        None => response("200 OK", "", content),
        Some(from) if from >= content.len() => response("416 Range Not Satisfiable", "", b""),
        Some(from) => {
            let range = format!("Content-Range: bytes {from}-{}/{}\r\n", content.len() - 1, content.len());
            response("206 Partial Content", &range, &content[from..])
        }
    })
}

/// The number in `bytes=N-`.
fn first(range: &str) -> usize {
    range.strip_prefix("bytes=").and_then(|r| r.strip_suffix('-')).unwrap().parse().unwrap()
}

/// As `of`, but the last `missing` bytes never come.
pub fn cut(of: Reply, missing: usize) -> Reply {
    Box::new(move |request| {
        let mut bytes = of(request);
        bytes.truncate(bytes.len() - missing);
        bytes
    })
}

/// As `of`, after a while without a word. Nobody else is answered meanwhile.
pub fn late(of: Reply, wait: Duration) -> Reply {
    Box::new(move |request| {
        std::thread::sleep(wait);
        of(request)
    })
}

/// Always the same bytes.
pub fn raw(bytes: Vec<u8>) -> Reply {
    Box::new(move |_| bytes.clone())
}
