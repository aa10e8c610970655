//! The demo's web service: says which node answers. Called by the name `crm-demo-web`.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

/// Serves until it is ended.
pub(crate) fn serve(address: &str) -> std::io::Result<()> {
    let node = nix::unistd::gethostname()?.to_string_lossy().into_owned();
    let listener = TcpListener::bind(address)?;
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let mut request = [0; 2048];
        // A client that says nothing or goes away costs its own request only.
        let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
        let _ = stream.read(&mut request);
        let page = format!("served by {node}\n");
        let head = format!(
            "HTTP/1.0 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            page.len()
        );
        let _ = stream.write_all(format!("{head}{page}").as_bytes());
    }
    Ok(())
}
