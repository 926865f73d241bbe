//! A server of coap-rs's that says 2.01 to every request and stores nothing, until it is killed.

use std::net::SocketAddr;

use coap::Server;
use coap::server::{Listener, UdpCoapListener};
use coap_lite::{CoapRequest, ResponseType};
use tokio::net::UdpSocket;

fn main() -> std::io::Result<()> {
    // One thread: several would make more answers by the clock, and fewer per second of processor time.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        eprintln!("coap {}", socket.local_addr()?);
        eprintln!("ready");
        let listener: Box<dyn Listener> = Box::new(UdpCoapListener::from_socket(socket));
        Server::from_listeners(vec![listener]).run(created).await
    })
}

async fn created(mut request: Box<CoapRequest<SocketAddr>>) -> Box<CoapRequest<SocketAddr>> {
    if let Some(response) = &mut request.response {
        response.set_status(ResponseType::Created);
    }
    request
}
