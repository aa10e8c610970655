//! A small server for the laboratories: says which node it runs on, to browsers by HTTP and to
//! anybody by datagrams, there with its process number.
//! Usage: lab-web ADDRESS:PORT

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "0.0.0.0:80".to_owned());
    let name = nix::unistd::gethostname()?.to_string_lossy().into_owned();
    let datagrams = UdpSocket::bind(&address)?;
    let listener = TcpListener::bind(&address)?;
    let word = format!("{name} {}", std::process::id());
    std::thread::spawn(move || {
        let mut question = [0; 64];
        while let Ok((_, from)) = datagrams.recv_from(&mut question) {
            let _ = datagrams.send_to(word.as_bytes(), from);
        }
    });
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
