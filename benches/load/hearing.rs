//! How soon listeners of the agenda know of a booking, and what that costs.

use std::rc::Rc;
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use crate::measure::listeners::{Heard, listen};
use crate::measure::rows::Row;
use crate::measure::{Outcome, cpu_us, rank, up_to};
use crate::side::Side;

const LISTENERS: usize = 200;

/// Bookings one after the other, each once all listeners have heard of the one before; a line with the figures.
pub fn measured(time: Duration) -> Outcome<String> {
    // Services of their own: no event of an earlier turn is still on its way.
    let side = Side::start(Row::Booking)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let said = LocalSet::new().block_on(&runtime, told_to_all(&side, time))?;
    side.check()?;
    Ok(said)
}

async fn told_to_all(side: &Side, time: Duration) -> Outcome<String> {
    let (pid, address) = (side.services().scheduler.pid(), side.services().agenda_address());
    let heard = Rc::new(Heard::default());
    for _ in 0..LISTENERS {
        listen(&address, &heard).await?;
    }
    heard.wait("all listen", |heard| heard.linked.get() == LISTENERS).await?;
    let stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let (asking, mut delays) = (side.asking(), Vec::new());
    let (cpu_before, in_time) = (cpu_us(pid), up_to(Instant::now() + time));
    while delays.is_empty() || in_time() {
        heard.at.borrow_mut().clear();
        let mut request = asking.request(0, 0)?;
        request.headers_mut().insert(HOST, address.parse()?);
        let sent = Instant::now();
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        answer.into_body().collect().await?;
        if status != 201 {
            return Err(format!("a booking was answered with {status}").into());
        }
        side.booked_one_more();
        heard.wait("all have heard", |heard| heard.at.borrow().len() == LISTENERS).await?;
        delays.push(sent.elapsed());
    }
    delays.sort_unstable();
    let millis = |percent| rank(&delays, percent).as_secs_f64() * 1e3;
    let deliveries = (delays.len() * LISTENERS) as f64;
    Ok(format!(
        "{LISTENERS} listeners, {} bookings: known to all after p50 {:.2} ms, p99 {:.2} ms; CPU of the scheduler for each delivery, \
         with its share of the booking: {:.1} µs",
        delays.len(),
        millis(50),
        millis(99),
        (cpu_us(pid) - cpu_before) / deliveries
    ))
}
