//! A small web server for the laboratories: says which node it runs on.
//! Usage: lab-web ADDRESS:PORT

use std::io::{Read, Write};
use std::net::TcpListener;

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "0.0.0.0:80".to_owned());
    let name = nix::unistd::gethostname()?.to_string_lossy().into_owned();
    let listener = TcpListener::bind(address)?;
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let mut request = [0; 1024];
        // A client that sends nothing or goes away costs its own request only.
        let _ = stream.set_read_timeout(Some(std::time::Duration::from_millis(200)));
        let _ = stream.read(&mut request);
        let answer = format!("HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n{name}\n");
        let _ = stream.write_all(answer.as_bytes());
    }
    Ok(())
}
