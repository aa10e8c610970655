//! Datagrams out. Loss is expected, so nothing waits and nothing is sent twice.

use super::Links;
use crm_core::Destination;
use crm_core::event::Event;
use crm_core::id::LinkId;
use crm_core::packet::Packet;
use std::net::SocketAddr;

impl Links {
    /// Seals a packet and sends it to where it goes.
    pub(crate) fn send(&mut self, to: &Destination, packet: &Packet) {
        let targets: Vec<(LinkId, SocketAddr)> = match to {
            Destination::Link { node, .. } | Destination::Node(node)
                if self.addresses.is_witness(node) =>
            {
                self.paths_to_witness()
            }
            Destination::Link { node, link } => {
                self.addresses.on_link(node, *link).into_iter().collect()
            }
            Destination::Node(node) => self.addresses.everywhere(node),
            Destination::Contact => self.contact.map(|to| (LinkId(0), to)).into_iter().collect(),
        };
        if targets.is_empty() {
            self.no_address += 1;
            return;
        }
        let payload = match postcard::to_stdvec(packet) {
            Ok(payload) => payload,
            Err(error) => return self.not_sent(error.to_string()),
        };
        let mut datagrams = std::mem::take(&mut self.datagrams);
        datagrams.clear();
        match self.endpoint.seal(&payload, &mut datagrams) {
            // The same datagrams on every link: the copies show one counter, and count once.
            Ok(()) => targets.iter().for_each(|(link, to)| self.emit(*link, *to, &datagrams)),
            Err(error) => self.not_sent(error.to_string()),
        }
        datagrams.truncate(1);
        self.datagrams = datagrams;
    }

    /// Every link of this node that speaks the witness's kind of IP.
    fn paths_to_witness(&self) -> Vec<(LinkId, SocketAddr)> {
        let mut paths = Vec::new();
        for (link, number) in self.links.iter().zip(0u8..) {
            let own = link.wanted().as_ref().map(SocketAddr::is_ipv4);
            let fits = |to: &SocketAddr| own == Ok(to.is_ipv4());
            let to = self.addresses.witness_on(LinkId(number)).filter(fits);
            paths.extend(to.map(|to| (LinkId(number), to)));
        }
        paths
    }

    fn emit(&mut self, link: LinkId, to: SocketAddr, datagrams: &[Vec<u8>]) {
        let Some(link) = self.links.get_mut(usize::from(link.0)) else { return };
        for datagram in datagrams {
            let Some(socket) = link.socket() else { return };
            match socket.get_ref().send_to(datagram, to) {
                Ok(_) => link.datagrams_out += 1,
                // Refused, unreachable, buffer full: the core sends again what matters.
                Err(_) => link.errors += 1,
            }
        }
    }

    fn not_sent(&mut self, problem: String) {
        if self.send_problem.as_ref() != Some(&problem) {
            let text = format!("a packet cannot be sent: {problem}");
            self.tell.event(Event::error("not-sent", text));
            self.send_problem = Some(problem);
        }
    }
}
