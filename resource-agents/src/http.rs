//! Does a web server answer at a URL? Plain HTTP to one address, one question, one answer.

use crate::contract::{Failure, Parameters};
use crate::deadline::{Deadline, QUESTION};
use crate::metadata::{Kind, Parameter};
use crate::running::Readiness;
use crate::tcp;

/// A page and what must be on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// `HOST:PORT` to connect to.
    address: String,
    host: String,
    path: String,
    expect: Option<String>,
}

/// The two parameters of agents that ask for a page.
pub(crate) fn parameters(url: &str) -> [Parameter; 2] {
    [
        Parameter::new(
            "url",
            Kind::String,
            "The page that it must answer, without encryption; every answer below 500 counts",
        )
        .default(url),
        Parameter::new(
            "expect",
            Kind::String,
            "A text that the page must hold; then only an answer of 200 counts",
        ),
    ]
}

impl Page {
    pub(crate) fn new(parameters: &Parameters) -> Result<Page, Failure> {
        let url = parameters.required("url")?;
        Page::parse(url, parameters.text("expect")).ok_or_else(|| {
            Failure::configured(format!(
                "`url` must be http://HOST[:PORT]/PATH without spaces, found {url:?}"
            ))
        })
    }

    fn parse(url: &str, expect: Option<&str>) -> Option<Page> {
        let rest = url.strip_prefix("http://")?;
        let (host, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let fits = !host.is_empty() && url.chars().all(|c| c.is_ascii_graphic());
        // The last colon may belong to an address in brackets.
        let port = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
        let address = match port {
            Some((_, port)) => port.parse::<u16>().ok().map(|_| host.to_owned())?,
            None => format!("{host}:80"),
        };
        fits.then(|| Page {
            address,
            host: host.to_owned(),
            path: path.to_owned(),
            expect: expect.map(str::to_owned),
        })
    }

    /// Asks once; the error says what was found.
    pub(crate) fn ask(&self, deadline: Deadline) -> Result<(), String> {
        let deadline = deadline.for_a_question();
        let url = format!("http://{}{}", self.host, self.path);
        let explain = |error: std::io::Error| format!("{url}: {error}");
        let stream = tcp::connect(&self.address, deadline)?;
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: crm\r\nConnection: close\r\n\r\n",
            self.path, self.host
        );
        // The first line is enough where nothing is expected on the page.
        let enough = |answer: &[u8]| self.expect.is_none() && answer.contains(&b'\n');
        let answer = tcp::exchange(stream, request.as_bytes(), deadline, MOST_READ, enough)
            .map_err(explain)?;
        self.judge(&String::from_utf8_lossy(&answer)).map_err(|found| format!("{url}: {found}"))
    }

    fn judge(&self, answer: &str) -> Result<(), String> {
        let first = answer.lines().next().unwrap_or_default();
        let code = first
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.split(' ').nth(1)?.parse::<u16>().ok())
            .ok_or_else(|| format!("expected an answer in HTTP, found {first:?}"))?;
        match &self.expect {
            None if (100..500).contains(&code) => Ok(()),
            None => Err(format!("expected an answer below 500, found {first:?}")),
            Some(_) if code != 200 => Err(format!("expected the answer 200, found {first:?}")),
            Some(text) if answer.contains(text.as_str()) => Ok(()),
            Some(text) => Err(format!("expected {text:?} on the page, found it not")),
        }
    }
}

impl Readiness for Page {
    fn look(&self, _: i32, deadline: Deadline) -> Result<(), String> {
        self.ask(deadline.at_most(QUESTION))
    }
}

const MOST_READ: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_others_refused() {
        let address = |url| Page::parse(url, None).map(|page| page.address);
        assert_eq!(address("http://web").as_deref(), Some("web:80"));
        assert_eq!(address("http://[::1]/x").as_deref(), Some("[::1]:80"));
        assert_eq!(address("http://[::1]:81/x").as_deref(), Some("[::1]:81"));
        for bad in [
            "",
            "web",
            "https://web/",
            "http://",
            "http:///x",
            "http://a:b/",
            "http://a/ b",
            "http://a/\r\nX: y",
        ] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }

    /// A status with more time than usual is what an operator gives a server that is often busy.
    #[test]
    fn a_slow_page_is_well_where_status_has_time_for_it_and_no_start_waits_for_one() {
        use std::io::{Read, Write};
        let server = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", server.local_addr().expect("its address"));
        let slow = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().expect("a client");
            let _ = stream.read(&mut [0; 1024]);
            std::thread::sleep(QUESTION + QUESTION / 10);
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n");
        });
        let page = Page::parse(&url, None).expect("url");
        let minutes = Deadline::after(QUESTION * 24);
        assert_eq!(page.ask(minutes), Ok(()));
        slow.join().expect("it answered");
        assert!(minutes.at_most(QUESTION).for_a_question().remaining() <= QUESTION);
    }

    #[test]
    fn answers_are_judged_by_code_and_text() {
        let plain = Page::parse("http://a/", None).expect("url");
        assert!(plain.judge("HTTP/1.1 200 OK\r\n\r\nhello").is_ok());
        assert!(plain.judge("HTTP/1.0 404 Not Found\r\n").is_ok());
        for bad in ["HTTP/1.1 503 Busy\r\n", "", "220 mail ready", "HTTP/1.1 x"] {
            assert!(plain.judge(bad).is_err(), "{bad}");
        }
        let strict = Page::parse("http://a/", Some("hello")).expect("url");
        assert!(strict.judge("HTTP/1.1 200 OK\r\n\r\nhello").is_ok());
        assert!(strict.judge("HTTP/1.1 200 OK\r\n\r\nbye").is_err());
        assert!(strict.judge("HTTP/1.1 404 hello\r\n").is_err());
    }
}
